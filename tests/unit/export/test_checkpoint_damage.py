"""A checkpoint that is missing, cut short, damaged or made to do harm gets one line that names the fault."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from slimserve.export.checkpoint.contents import open_checkpoint
from slimserve.export.errors import ExportError
from tensorflow.core.protobuf.tensor_bundle_pb2 import BundleEntryProto, BundleHeaderProto

from tests.support.checkpoints import (
    WRITERS,
    crafted_v1,
    crafted_v2,
    flip,
    small_tensors,
    table,
    tensorflow_v1,
    tensorflow_v2,
)

TENSORS = small_tensors()
SECOND = np.arange(1 << 17, dtype=np.float32)


def error_of(path: Path) -> str:
    """Open a checkpoint and read all of it; return the error's message."""
    with pytest.raises(ExportError) as caught, open_checkpoint(path) as checkpoint:
        for _ in checkpoint.read_all(checkpoint.tensors):
            pass
    message = str(caught.value)
    assert "\n" not in message
    return message


def missing(folder: Path) -> Path:
    return folder / "vgg_16.ckpt"


def empty(folder: Path) -> Path:
    (folder / "vgg_16.ckpt").touch()
    return folder / "vgg_16.ckpt"


def text(folder: Path) -> Path:
    (folder / "vgg_16.ckpt").write_text("weights, honestly\n" * 100)
    return folder / "vgg_16.ckpt"


def zeros(folder: Path) -> Path:
    (folder / "vgg_16.ckpt").write_bytes(bytes(10_000))
    return folder / "vgg_16.ckpt"


def web_page(folder: Path) -> Path:
    (folder / "vgg_16.ckpt").write_text("<!DOCTYPE html><html>404</html>")
    return folder / "vgg_16.ckpt"


def keras_weights(folder: Path) -> Path:
    (folder / "vgg16.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    return folder / "vgg16.h5"


def bare_folder(folder: Path) -> Path:
    return folder


def saved_model(folder: Path) -> Path:
    (folder / "saved_model.pb").write_bytes(b"\x08\x01")
    return folder


def two_checkpoints(folder: Path) -> Path:
    tensorflow_v1(folder / "first", TENSORS)
    tensorflow_v2(folder / "second", TENSORS)
    return folder


def state_without_checkpoint(folder: Path) -> Path:
    (folder / "checkpoint").write_text('model_checkpoint_path: "model.ckpt-9"')
    return folder


def malformed_state(folder: Path) -> Path:
    (folder / "checkpoint").write_bytes(b"\xff\xfe{{{")
    return folder


def pipe(folder: Path) -> Path:
    os.mkfifo(folder / "vgg_16.ckpt")
    return folder / "vgg_16.ckpt"


def data_without_index(folder: Path) -> Path:
    tensorflow_v2(folder / "model", TENSORS)
    (folder / "model.index").unlink()
    return folder / "model.data-00000-of-00001"


def index_without_data(folder: Path) -> Path:
    tensorflow_v2(folder / "model", TENSORS)
    (folder / "model.data-00000-of-00001").unlink()
    return folder / "model"


def graph_of_a_checkpoint(folder: Path) -> Path:
    tensorflow_v2(folder / "model.ckpt", TENSORS)
    (folder / "model.ckpt.meta").write_bytes(b"\n\x05graph")
    return folder / "model.ckpt.meta"


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (missing, "does not exist"),
        (empty, "is empty: download or copy the checkpoint again"),
        (text, "is not a TensorFlow checkpoint but text: give the checkpoint that slim's training wrote"),
        (zeros, "is not a TensorFlow checkpoint but zeros: the download or the copy was not finished"),
        (web_page, "is not a TensorFlow checkpoint but an HTML or XML page: the download went wrong"),
        (keras_weights, "is not a TensorFlow checkpoint but an HDF5 file"),
        (bare_folder, "holds no checkpoint: it is empty$"),
        (saved_model, "holds no checkpoint .it is a SavedModel already."),
        (two_checkpoints, "holds 2 checkpoints: name one of them .first, second."),
        (state_without_checkpoint, "names model.ckpt-9, which is not there"),
        (malformed_state, "does not say which checkpoint is the latest"),
        (pipe, "is neither a file nor a folder"),
        (data_without_index, "model.index is missing beside it"),
        (index_without_data, "its data file model.data-00000-of-00001 is missing"),
        (graph_of_a_checkpoint, "is not a TensorFlow checkpoint but its graph: give .*model.ckpt$"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_what_is_no_checkpoint_is_told(make: Callable[[Path], Path], says: str, tmp_path: Path) -> None:
    assert re.search(says, error_of(make(tmp_path)))


def test_a_missing_checkpoint_brings_up_the_one_that_is_there(tmp_path: Path) -> None:
    tensorflow_v1(tmp_path / "vgg_16.ckpt", TENSORS)
    assert error_of(tmp_path / "vgg16.ckpt").endswith(f"did you mean {tmp_path / 'vgg_16.ckpt'}?")


@pytest.mark.parametrize("kept", [0.05, 0.5, 0.99])
def test_a_v1_file_cut_short_is_told(kept: float, tmp_path: Path) -> None:
    file = tensorflow_v1(tmp_path / "model.ckpt", TENSORS)
    os.truncate(file, int(kept * file.stat().st_size))
    assert "is damaged: its end is missing; download or copy it again" in error_of(file)


def test_v2_data_cut_short_names_a_tensor_that_is_lost(tmp_path: Path) -> None:
    prefix = tensorflow_v2(tmp_path / "model.ckpt", TENSORS)
    data = tmp_path / "model.ckpt.data-00000-of-00001"
    os.truncate(data, data.stat().st_size - 1)
    last = list(TENSORS)[-1]
    assert f"{last} in {prefix} is damaged: its data ends beyond the end of {data.name}" in error_of(prefix)


def test_a_v2_index_cut_short_is_told(tmp_path: Path) -> None:
    prefix = tensorflow_v2(tmp_path / "model.ckpt", TENSORS)
    os.truncate(tmp_path / "model.ckpt.index", 200)
    assert "is damaged: its end is missing" in error_of(prefix)


@pytest.fixture(params=["V1", "V2"])
def second_damaged(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Two tensors too large to share a checksum, a byte of the second flipped."""
    path = WRITERS[request.param](
        tmp_path / "model.ckpt", {"first": np.ones(1 << 17, np.float32), "second": SECOND}
    )
    file = path if path.exists() else tmp_path / "model.ckpt.data-00000-of-00001"
    flip(file, file.read_bytes().index(SECOND.tobytes()) + 1000)
    return path


def test_a_flipped_byte_names_the_tensor_that_it_hit(second_damaged: Path) -> None:
    assert error_of(second_damaged).startswith(
        f"second in {second_damaged} is damaged: its checksum does not match"
    )


def test_tensors_that_were_not_hit_are_still_read(second_damaged: Path) -> None:
    with open_checkpoint(second_damaged) as checkpoint:
        assert np.all(checkpoint.read("first") == 1)


def test_v1_tensors_that_share_a_checksum_are_named_together(tmp_path: Path) -> None:
    path = tensorflow_v1(tmp_path / "model.ckpt", TENSORS)
    flip(path, path.read_bytes().index(TENSORS["vgg_16/fc8/weights"].tobytes()) + 40)
    assert error_of(path).startswith("one of vgg_16/fc6/biases to vgg_16/mean_rgb in ")


@pytest.mark.soak
def test_one_flipped_byte_in_the_middle_of_a_full_size_checkpoint_is_named(
    demo_checkpoint: Path, tmp_path: Path
) -> None:
    file = Path(shutil.copy(demo_checkpoint, tmp_path / "vgg_16.ckpt"))
    flip(file, file.stat().st_size // 2)
    assert f"vgg_16/fc6/weights in {file} is damaged: its checksum does not match" in error_of(file)


@pytest.mark.parametrize("position", [60, -43, -60], ids=["contents", "footer", "index"])
def test_a_flipped_byte_in_the_metadata_is_told(position: int, tmp_path: Path) -> None:
    file = tensorflow_v1(tmp_path / "model.ckpt", TENSORS)
    flip(file, position)
    assert "is damaged" in error_of(file)


def test_swapped_tensors_are_told(tmp_path: Path) -> None:
    prefix = tensorflow_v2(
        tmp_path / "model.ckpt", {"a": np.zeros(8, np.float32), "b": np.ones(8, np.float32)}
    )
    data = tmp_path / "model.ckpt.data-00000-of-00001"
    data.write_bytes(data.read_bytes()[32:] + data.read_bytes()[:32])
    assert "a in" in error_of(prefix)


@pytest.mark.parametrize(
    "shape",
    [(1 << 62, 1 << 62), (-1, 3), (1 << 33,), (1,) * 40, (0, 1 << 62), (1 << 20, 1 << 20), (4,)],
    ids=str,
)
def test_a_shape_that_the_file_cannot_hold_is_refused_by_name(shape: tuple[int, ...], tmp_path: Path) -> None:
    for path in (crafted_v1(tmp_path / "v1", shape), crafted_v2(tmp_path / "v2", shape=shape)):
        assert "is damaged: it" in error_of(path)


@pytest.mark.parametrize("dtype", [0, 20, 77, 1 << 20])
def test_a_dtype_that_does_not_exist_is_refused(dtype: int, tmp_path: Path) -> None:
    for path in (crafted_v1(tmp_path / "v1", (3,), dtype), crafted_v2(tmp_path / "v2", dtype=dtype)):
        assert f"x in {path} is damaged: its type is unknown" in error_of(path)


@pytest.mark.parametrize(
    "entry",
    [
        {"offset": -1},
        {"offset": 1 << 62},
        {"size": -3},
        {"size": 1 << 62},
        {"shards": 0},
        {"shards": 1 << 30},
        {"shard_id": 5},
        {"shard_id": -1},
    ],
    ids=str,
)
def test_an_entry_that_points_outside_is_refused(entry: dict[str, int], tmp_path: Path) -> None:
    path = crafted_v2(tmp_path / "model", **entry)
    says = f"x in {path} is damaged" if entry.get("shards", 0) < 2 else f"{path} is incomplete: its data file"
    assert says in error_of(path)


def test_entries_that_share_data_cannot_claim_more_than_the_file_holds(tmp_path: Path) -> None:
    (tmp_path / "model.data-00000-of-00001").write_bytes(bytes(4_000))
    entry = BundleEntryProto(dtype=1, size=4_000)
    entry.shape.dim.add(size=1_000)
    header = BundleHeaderProto(num_shards=1).SerializeToString()
    names = {b"%05d" % number: entry.SerializeToString() for number in range(1_000)}
    table(tmp_path / "model.index", {b"": header} | names)
    assert "it claims 4,000,000 bytes of tensors in files of 4,000" in error_of(tmp_path / "model")


def test_an_index_with_absurdly_many_entries_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.index"
    table(
        path,
        {b"": BundleHeaderProto(num_shards=1).SerializeToString()}
        | {b"%06d" % n: b"" for n in range(100_001)},
    )
    assert "it has more than 100,000 entries" in error_of(path)


def test_a_big_endian_checkpoint_is_refused(tmp_path: Path) -> None:
    header = BundleHeaderProto(num_shards=1, endianness=BundleHeaderProto.BIG)
    path = table(tmp_path / "model.index", {b"": header.SerializeToString()})
    assert "cannot be read: it was written by a big-endian machine" in error_of(path)


def test_names_from_the_file_cannot_command_the_terminal(tmp_path: Path) -> None:
    entry = BundleEntryProto(dtype=1, size=-1).SerializeToString()
    header = BundleHeaderProto(num_shards=1).SerializeToString()
    table(tmp_path / "model.index", {b"": header, b"\x1b[2J\nfake": entry})
    (tmp_path / "model.data-00000-of-00001").touch()
    assert error_of(tmp_path / "model").startswith("?[2J fake in ")
