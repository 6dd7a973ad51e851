"""Checkpoints are written so that TensorFlow reads them, and whole or not at all."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from slimserve.export.demo.checkpoint_writer import write_checkpoint
from slimserve.export.errors import ExportError

from tests.support.checkpoints import small_tensors

TENSORS = small_tensors() | {
    "scalar": np.array(-1.5, np.float32),
    "empty": np.zeros((0, 3), np.float32),
    "doubles": np.array([1e300, -1.0]),
    "integers": np.array([[-1, 2], [3, -(1 << 31)]], np.int32),
    "zero\x00byte": np.ones(2, np.float32),
    "transposed": np.arange(6, dtype=np.float32).reshape(2, 3).T,
    "big endian": np.arange(3, dtype=">f4"),
}


@pytest.mark.parametrize("format", ["V1", "V2"])
def test_tensorflow_reads_what_is_written(format: str, tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "model", TENSORS, format)
    reader = tf.train.load_checkpoint(str(tmp_path / "model"))
    shapes = {name: list(array.shape) for name, array in TENSORS.items()}
    assert reader.get_variable_to_shape_map() == shapes
    for name, array in TENSORS.items():
        assert np.array_equal(reader.get_tensor(name), array)


@pytest.mark.parametrize("format", ["V1", "V2"])
def test_a_saver_restores_what_is_written(format: str, tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "model", TENSORS, format)
    name = "vgg_16/fc6/weights"
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        variable = tf.compat.v1.get_variable(name, TENSORS[name].shape)
        tf.compat.v1.train.Saver([variable]).restore(session, str(tmp_path / "model"))
        assert np.array_equal(session.run(variable), TENSORS[name])


@pytest.mark.parametrize(("format", "files"), [("V1", ["m"]), ("V2", ["m.data-00000-of-00001", "m.index"])])
def test_nothing_but_the_checkpoint_is_left(format: str, files: list[str], tmp_path: Path) -> None:
    for _ in range(2):
        write_checkpoint(tmp_path / "m", TENSORS, format)
    assert sorted(file.name for file in tmp_path.iterdir()) == files


@pytest.mark.parametrize("format", ["V1", "V2"])
def test_progress_ends_at_all_bytes(format: str, tmp_path: Path) -> None:
    steps: list[int] = []
    write_checkpoint(tmp_path / "model", small_tensors(), format, steps.append)
    assert steps == sorted(steps)
    assert steps[-1] >= sum(array.nbytes for array in small_tensors().values())


def test_a_dtype_without_a_place_in_v1_leaves_the_old_checkpoint(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "model", TENSORS)
    before = (tmp_path / "model").read_bytes()
    with pytest.raises(ValueError, match="x is float16: write V2"):
        write_checkpoint(tmp_path / "model", {"a": TENSORS["scalar"], "x": np.ones(2, np.float16)})
    assert (tmp_path / "model").read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="cannot be written: No such file or directory"):
        write_checkpoint(tmp_path / "missing" / "model", TENSORS)


WRITE_WITH_SMALL_FILES = """
import resource, sys
import numpy as np
from slimserve.export.demo.checkpoint_writer import write_checkpoint
from slimserve.export.errors import ExportError
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
for format in ("V1", "V2"):
    try:
        write_checkpoint(sys.argv[1], {"x": np.ones(100_000, np.float32)}, format)
    except ExportError as error:
        print(error)
"""


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITE_WITH_SMALL_FILES, str(tmp_path / "model")]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    files = ("model", "model.data-00000-of-00001")
    assert run.stdout == "".join(f"{tmp_path / file} cannot be written: File too large\n" for file in files)
    assert not list(tmp_path.iterdir())
