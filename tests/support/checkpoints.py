"""Small checkpoints written by TensorFlow, and checkpoints made by hand with sound checksums around wrong contents."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from slimserve.export.checkpoint.contents import open_checkpoint
from slimserve.export.checkpoint.formats.slices import tensor_key
from slimserve.export.checkpoint.formats.sstable_writer import TableWriter
from slimserve.export.errors import ExportError
from tensorflow.core.protobuf.tensor_bundle_pb2 import BundleEntryProto, BundleHeaderProto
from tensorflow.core.util.saved_tensor_slice_pb2 import SavedTensorSlices

NET = "vgg_16"


def small_tensors() -> dict[str, np.ndarray]:
    """The shapes of a checkpoint in small, some 400 kB: a table's first block ends within, at 256 kB."""
    random = np.random.default_rng(7)
    tensors: dict[str, np.ndarray] = {
        f"{NET}/mean_rgb": np.array([123.68, 116.78, 103.94], np.float32),
        "global_step": np.array(70_000, np.int64),
    }
    for scope, shape in (
        ("conv1/conv1_1", (3, 3, 3, 16)),
        ("conv1/conv1_2", (3, 3, 64, 128)),
        ("fc6", (7, 7, 16, 24)),
        ("fc8", (1, 1, 24, 5)),
    ):
        tensors[f"{NET}/{scope}/weights"] = random.standard_normal(shape, np.float32)
        tensors[f"{NET}/{scope}/biases"] = random.standard_normal(shape[-1], np.float32)
    return tensors


def tensorflow_v1(path: Path, tensors: Mapping[str, np.ndarray]) -> Path:
    """Write a V1 file with TensorFlow's own op, as Saver(write_version=V1) does."""
    tf.raw_ops.Save(filename=str(path), tensor_names=list(tensors), data=list(tensors.values()))
    return path


def tensorflow_v2(path: Path, tensors: Mapping[str, np.ndarray]) -> Path:
    """Write a V2 checkpoint with TensorFlow's own op, as Saver() does; return its prefix."""
    tf.raw_ops.SaveV2(
        prefix=str(path),
        tensor_names=list(tensors),
        shape_and_slices=[""] * len(tensors),
        tensors=list(tensors.values()),
    )
    return path


def sliced_v1(path: Path, tensors: Mapping[str, np.ndarray]) -> Path:
    """Write a V1 file whose variables are partitioned, as a Saver of such variables does."""
    names, slices, data = _sliced(tensors)
    tf.raw_ops.SaveSlices(filename=str(path), tensor_names=names, shapes_and_slices=slices, data=data)
    return path


def sliced_v2(path: Path, tensors: Mapping[str, np.ndarray]) -> Path:
    """Write a V2 checkpoint whose variables are partitioned, as a Saver of such variables does."""
    names, slices, data = _sliced(tensors)
    tf.raw_ops.SaveV2(prefix=str(path), tensor_names=names, shape_and_slices=slices, tensors=data)
    return path


def _sliced(tensors: Mapping[str, np.ndarray]) -> tuple[list[str], list[str], list[np.ndarray]]:
    """Names, bounds and values of the variables' slices: filters by their channels, vectors by their elements."""
    names, slices, data = [], [], []
    for name, array in tensors.items():
        if not array.ndim:
            names, slices, data = [*names, name], [*slices, ""], [*data, array]
            continue
        sizes = " ".join(map(str, array.shape))
        half = array.shape[-1] // 2
        for start, length in ((0, half), (half, array.shape[-1] - half)):
            names.append(name)
            slices.append(f"{sizes} {'-:' * (array.ndim - 1)}{start},{length}")
            data.append(np.ascontiguousarray(array[..., start : start + length]))
    return names, slices, data


WRITERS = {"V1": tensorflow_v1, "V2": tensorflow_v2}
SLICED = {"V1": sliced_v1, "V2": sliced_v2}


def crafted_v1(path: Path, shape: tuple[int, ...], dtype: int = 1, values: int = 3) -> Path:
    """Write a V1 file whose tensor `x` claims a shape and a DataType, and holds `values` floats."""
    contents, saved = SavedTensorSlices(), SavedTensorSlices()
    tensor = contents.meta.tensor.add(name="x", type=dtype)
    whole = tensor.slice.add()
    for size in shape:
        tensor.shape.dim.add(size=size)
        whole.extent.add()
    saved.data.name = "x"
    saved.data.slice.CopyFrom(whole)
    saved.data.data.float_val.extend([1.0] * values)
    return table(
        path, {b"": contents.SerializeToString(), tensor_key("x", len(shape)): saved.SerializeToString()}
    )


def crafted_v2(path: Path, shards: int = 1, **entry: object) -> Path:
    """Write a V2 checkpoint with 12 bytes of data, whose tensor `x` claims what `entry` says; return its prefix."""
    shape = entry.pop("shape", (3,))
    proto = BundleEntryProto(**({"dtype": 1, "size": 12} | entry))
    for size in shape:
        proto.shape.dim.add(size=size)
    path.with_name(f"{path.name}.data-00000-of-00001").write_bytes(b"\0" * 12)
    header = BundleHeaderProto(num_shards=shards).SerializeToString()
    table(path.with_name(f"{path.name}.index"), {b"": header, b"x": proto.SerializeToString()})
    return path


def table(path: Path, entries: Mapping[bytes, bytes]) -> Path:
    """Write a table file."""
    with path.open("wb") as stream:
        writer = TableWriter(stream)
        for key, value in entries.items():
            writer.add(key, [value])
        writer.finish()
    return path


def flip(path: Path, position: int, bits: int = 0x10) -> None:
    """Flip bits of one byte of a file; a negative position counts from its end."""
    with path.open("r+b") as stream:
        stream.seek(position, 2 if position < 0 else 0)
        byte = stream.read(1)[0]
        stream.seek(-1, 1)
        stream.write(bytes([byte ^ bits]))


def refusal(path: str | Path) -> str:
    """Open what is no sound checkpoint; return the one line that refuses it."""
    with pytest.raises(ExportError) as caught:
        open_checkpoint(path)
    assert "\n" not in str(caught.value)
    assert ".meta?" not in str(caught.value)
    return str(caught.value)
