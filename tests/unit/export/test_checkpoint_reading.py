"""What TensorFlow wrote is read as TensorFlow reads it, whatever the path means."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from slimserve.export.checkpoint.contents import open_checkpoint
from slimserve.export.errors import ExportError

from tests.conftest import ROOT
from tests.support.checkpoints import WRITERS, small_tensors, tensorflow_v1, tensorflow_v2

TENSORS = small_tensors()


@pytest.fixture(params=["V1", "V2"])
def written(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return WRITERS[request.param](tmp_path / "model.ckpt", TENSORS)


def same(array: np.ndarray, expected: np.ndarray) -> bool:
    return array.dtype == expected.dtype and array.shape == expected.shape and np.array_equal(array, expected)


def test_every_tensor_that_tensorflow_wrote_is_read_as_it_was(written: Path) -> None:
    with open_checkpoint(written) as checkpoint:
        assert all(same(checkpoint.read(name), array) for name, array in TENSORS.items())


def test_names_shapes_and_dtypes_of_everything_are_listed(written: Path) -> None:
    with open_checkpoint(written) as checkpoint:
        assert checkpoint.tensors == {name: (array.shape, array.dtype) for name, array in TENSORS.items()}


@pytest.mark.parametrize("format", ["V1", "V2"])
@pytest.mark.parametrize(
    "array",
    [
        np.array(2.5, np.float32),
        np.zeros((0, 4), np.float32),
        np.array([-1, 1 << 40], np.int64),
        np.array([-7, 7], np.int32),
        np.array([1.5, -2.5], np.float64),
        np.array([1.5, -2.5], np.float16),
        np.array([True, False]),
    ],
    ids=["scalar", "empty", "int64", "int32", "float64", "float16", "bool"],
)
def test_tensors_of_other_shapes_and_dtypes_are_read(format: str, array: np.ndarray, tmp_path: Path) -> None:
    with open_checkpoint(WRITERS[format](tmp_path / "model", {"x": array})) as checkpoint:
        assert same(checkpoint.read("x"), array)


@pytest.mark.parametrize("format", ["V1", "V2"])
def test_names_with_any_characters_are_read(format: str, tmp_path: Path) -> None:
    tensors = {name: np.full(3, len(name), np.float32) for name in ("a\x00b", "ünï", "a" * 300, "ab", "a")}
    with open_checkpoint(WRITERS[format](tmp_path / "model", tensors)) as checkpoint:
        assert all(same(checkpoint.read(name), array) for name, array in tensors.items())


def test_tensors_come_in_the_order_of_the_file(written: Path) -> None:
    with open_checkpoint(written) as checkpoint:
        names = [name for name, _ in checkpoint.read_all(TENSORS)]
    assert names == (sorted(TENSORS) if checkpoint.format == "V1" else list(TENSORS))


def test_only_the_tensors_asked_for_come(written: Path) -> None:
    wanted = {"vgg_16/fc8/biases", "vgg_16/conv1/conv1_1/weights"}
    with open_checkpoint(written) as checkpoint:
        assert {name for name, _ in checkpoint.read_all(wanted)} == wanted


def test_progress_ends_at_the_bytes_asked_for(written: Path) -> None:
    steps: list[int] = []
    floats = [name for name, array in TENSORS.items() if array.dtype == np.float32]
    with open_checkpoint(written) as checkpoint:
        list(checkpoint.read_all(floats, steps.append))
    assert steps == sorted(steps)
    assert steps[-1] == sum(TENSORS[name].nbytes for name in floats)


def test_arrays_are_aligned_and_the_callers_own(written: Path) -> None:
    with open_checkpoint(written) as checkpoint:
        flags = checkpoint.read("vgg_16/fc6/weights").flags
    assert flags.aligned
    assert flags.writeable


def test_large_arrays_start_where_tensorflow_takes_them_without_a_copy(tmp_path: Path) -> None:
    with open_checkpoint(
        tensorflow_v2(tmp_path / "model", {"x": np.ones(1 << 19, np.float32)})
    ) as checkpoint:
        array = checkpoint.read("x")
    assert array.ctypes.data % 64 == 0  # EIGEN_MAX_ALIGN_BYTES


class TestTensorsForSinks:
    NAME = "vgg_16/conv1/conv1_1/weights"

    def test_their_bytes_go_there(self, written: Path) -> None:
        pieces: list[bytes] = []
        sinks = {self.NAME: lambda piece: pieces.append(piece.tobytes())}
        with open_checkpoint(written) as checkpoint:
            rest = dict(checkpoint.read_all(TENSORS, sinks=sinks))
        assert b"".join(pieces) == TENSORS[self.NAME].tobytes()
        assert rest.keys() == TENSORS.keys() - {self.NAME}

    def test_large_ones_go_there_in_pieces(self, tmp_path: Path) -> None:
        array = np.arange(1 << 19, dtype=np.float32)
        pieces: list[bytes] = []
        with open_checkpoint(tensorflow_v1(tmp_path / "model", {"x": array})) as checkpoint:
            assert not list(
                checkpoint.read_all(["x"], sinks={"x": lambda piece: pieces.append(bytes(piece))})
            )
        assert b"".join(pieces) == array.tobytes()
        assert max(map(len, pieces)) < array.nbytes

    def test_a_sink_that_fails_is_no_fault_of_the_checkpoint(self, written: Path) -> None:
        def full(piece: np.ndarray) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        with open_checkpoint(written) as checkpoint, pytest.raises(OSError, match="No space left"):
            list(checkpoint.read_all(TENSORS, sinks={self.NAME: full}))


def test_a_file_that_the_system_does_not_give_is_named_with_the_reason(written: Path) -> None:
    file = written if written.is_file() else written.with_name(f"{written.name}.data-00000-of-00001")
    with open_checkpoint(written) as checkpoint:
        _close_for_reading(file)
        with pytest.raises(ExportError, match=r"model\.ckpt cannot be read: Bad file descriptor"):
            checkpoint.read("vgg_16/fc6/weights")


def _close_for_reading(file: Path) -> None:
    """Put something that can only be written in the place of an open file."""
    (descriptor,) = (int(link.name) for link in Path("/proc/self/fd").iterdir() if link.resolve() == file)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)


def test_a_tensor_that_is_not_there_is_named(written: Path) -> None:
    with open_checkpoint(written) as checkpoint, pytest.raises(ExportError, match="has no tensor fc9"):
        checkpoint.read("fc9")


@pytest.mark.parametrize("part", ["", ".index", ".data-00000-of-00001"])
def test_a_v2_checkpoint_is_found_by_any_of_its_names(part: str, tmp_path: Path) -> None:
    tensorflow_v2(tmp_path / "model.ckpt-7", TENSORS)
    with open_checkpoint(tmp_path / f"model.ckpt-7{part}") as checkpoint:
        assert (checkpoint.format, checkpoint.file) == ("V2", tmp_path / "model.ckpt-7")


def test_a_folder_with_one_checkpoint_stands_for_it(written: Path) -> None:
    (written.parent / "notes.txt").write_text("not a checkpoint")
    with open_checkpoint(written.parent) as checkpoint:
        assert checkpoint.file == written


def test_a_folder_with_a_state_file_stands_for_its_latest_checkpoint(tmp_path: Path) -> None:
    for step in (1, 2):
        tensorflow_v2(tmp_path / f"model.ckpt-{step}", TENSORS)
    tf.compat.v1.train.update_checkpoint_state(str(tmp_path), "model.ckpt-1")
    with open_checkpoint(tmp_path) as checkpoint:
        assert checkpoint.file.name == "model.ckpt-1"


def test_a_folder_that_was_moved_keeps_its_latest_checkpoint(tmp_path: Path) -> None:
    trained = tmp_path / "trained"
    trained.mkdir()
    tensorflow_v2(trained / "model", TENSORS)
    (trained / "checkpoint").write_text(f'model_checkpoint_path: "{trained / "model"}"')
    moved = shutil.move(trained, tmp_path / "moved")
    with open_checkpoint(moved) as checkpoint:
        assert checkpoint.file == tmp_path / "moved" / "model"


def test_the_format_is_told_by_content(tmp_path: Path) -> None:
    with open_checkpoint(tensorflow_v1(tmp_path / "model.index", TENSORS)) as checkpoint:
        assert checkpoint.format == "V1"


def test_a_path_is_no_pattern(tmp_path: Path) -> None:
    with open_checkpoint(tensorflow_v2(tmp_path / "model[1]*?.ckpt", TENSORS)) as checkpoint:
        assert same(checkpoint.read("global_step"), TENSORS["global_step"])


def test_a_v2_checkpoint_in_several_data_files_is_read(tmp_path: Path) -> None:
    names = sorted(TENSORS)
    parts = [
        tensorflow_v2(tmp_path / f"part{number}", {name: TENSORS[name] for name in chosen})
        for number, chosen in enumerate((names[:4], names[4:]))
    ]
    tf.raw_ops.MergeV2Checkpoints(
        checkpoint_prefixes=[str(part) for part in parts], destination_prefix=str(tmp_path / "whole")
    )
    with open_checkpoint(tmp_path / "whole") as checkpoint:
        assert all(same(array, TENSORS[name]) for name, array in checkpoint.read_all(names))


@pytest.mark.parametrize("format", ["V1", "V2"])
def test_a_tensor_of_strings_is_listed_and_refused(format: str, tmp_path: Path) -> None:
    tensors = {"graph": np.array([b"abc"]), "x": np.ones(2, np.float32)}
    with open_checkpoint(WRITERS[format](tmp_path / "model", tensors)) as checkpoint:
        assert same(checkpoint.read("x"), tensors["x"])
        with pytest.raises(ExportError, match=r"graph in .* strings"):
            checkpoint.read("graph")


def test_the_digest_is_that_of_the_v1_file(tmp_path: Path) -> None:
    file = tensorflow_v1(tmp_path / "model.ckpt", TENSORS)
    with open_checkpoint(file) as checkpoint:
        assert checkpoint.sha256() == hashlib.sha256(file.read_bytes()).hexdigest()
        assert checkpoint.size == file.stat().st_size


def test_the_digest_of_v2_covers_index_and_data(tmp_path: Path) -> None:
    prefix = tensorflow_v2(tmp_path / "model.ckpt", TENSORS)
    parts = [Path(f"{prefix}{suffix}").read_bytes() for suffix in (".index", ".data-00000-of-00001")]
    with open_checkpoint(prefix) as checkpoint:
        assert checkpoint.sha256() == hashlib.sha256(b"".join(parts)).hexdigest()
        assert checkpoint.size == sum(map(len, parts))


def test_a_full_size_checkpoint_is_read_as_tensorflow_reads_it(demo_checkpoint: Path) -> None:
    reader = tf.train.load_checkpoint(str(demo_checkpoint))
    with open_checkpoint(demo_checkpoint) as checkpoint:
        assert checkpoint.size > 530_000_000
        assert set(checkpoint.tensors) == set(reader.get_variable_to_shape_map())
        assert all(
            same(array, reader.get_tensor(name)) for name, array in checkpoint.read_all(checkpoint.tensors)
        )


READ_ALL = """
import sys
import tensorflow
from slimserve.export.checkpoint.contents import open_checkpoint
from tests.support.memory import peak
with open_checkpoint(sys.argv[1]) as checkpoint:
    before = peak()
    for name, array in checkpoint.read_all(checkpoint.tensors):
        del array
    print(peak() - before, max(spec.nbytes for spec in checkpoint.tensors.values()))
"""


def test_reading_holds_the_largest_tensor_once(demo_checkpoint: Path) -> None:
    command = [sys.executable, "-c", READ_ALL, str(demo_checkpoint)]
    grown, largest = map(
        int, subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.split()
    )
    assert grown < 1.1 * largest
