"""Variables stored in slices, and checkpoints stored in shards, are read whole, as TensorFlow reads them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from slimserve.export.checkpoint.contents import open_checkpoint
from slimserve.export.checkpoint.formats.checked_file import FormatError
from slimserve.export.checkpoint.formats.slices import Piece, require_whole
from slimserve.export.errors import ExportError
from tensorflow.core.protobuf.tensor_bundle_pb2 import BundleEntryProto, BundleHeaderProto

from tests.support.checkpoints import flip, table

v1 = tf.compat.v1
VERSIONS = pytest.mark.parametrize("version", [1, 2])
Partition = Callable[..., object]


def saved(
    path: Path,
    shapes: Mapping[str, tuple[int, ...]],
    version: int,
    partitioner: Partition | None = None,
    devices: int = 1,
    dtype: tf.DType = tf.float32,
) -> dict[str, np.ndarray]:
    """Write a checkpoint of a graph with these variables; return their values."""
    config = v1.ConfigProto(device_count={"CPU": devices})
    with tf.Graph().as_default(), v1.Session(config=config) as session:
        variables = {}
        for number, (name, shape) in enumerate(shapes.items()):
            with tf.device(f"/device:CPU:{number % devices}"):
                value = tf.cast(tf.random.uniform(shape, maxval=99, seed=number), dtype)
                variables[name] = v1.get_variable(
                    name,
                    shape,
                    dtype,
                    lambda shape, dtype, partition_info=None, value=value: tf.slice(
                        value, partition_info.var_offset if partition_info else [0] * len(shape), shape
                    ),
                    partitioner=partitioner,
                )
        session.run(v1.global_variables_initializer())
        saver = v1.train.Saver(write_version=version, sharded=devices > 1)
        saver.save(session, str(path), write_meta_graph=False)
        return session.run({name: tf.convert_to_tensor(variable) for name, variable in variables.items()})


def assert_read(path: Path, expected: Mapping[str, np.ndarray]) -> None:
    with open_checkpoint(path) as checkpoint:
        assert set(checkpoint.tensors) == set(expected)
        tensors = dict(checkpoint.read_all(expected))
        # Through a sink as well: a tensor that is copied is never whole in memory.
        pieces: dict[str, list[bytes]] = {name: [] for name in expected}
        sinks = {name: lambda part, name=name: pieces[name].append(part.tobytes()) for name in expected}
        assert not dict(checkpoint.read_all(expected, sinks=sinks))
    for name, value in expected.items():
        assert tensors[name].dtype == value.dtype
        assert np.array_equal(tensors[name], value)
        assert b"".join(pieces[name]) == value.tobytes()


@VERSIONS
@pytest.mark.parametrize("axis", [0, 1])
def test_slices_of_a_partitioned_variable_are_joined(version: int, axis: int, tmp_path: Path) -> None:
    partitioner = v1.fixed_size_partitioner(3, axis)
    shapes = {"net/split": (10, 7), "net/long": (300, 200), "net/a": (8, 9)}
    assert_read(tmp_path / "model", saved(tmp_path / "model", shapes, version, partitioner))


@VERSIONS
def test_slices_along_the_last_axis_of_a_filter_are_joined(version: int, tmp_path: Path) -> None:
    partitioner = v1.fixed_size_partitioner(2, 3)
    expected = saved(tmp_path / "model", {"conv/weights": (3, 3, 8, 129)}, version, partitioner)
    assert_read(tmp_path / "model", expected)


@VERSIONS
def test_slices_that_start_far_in_are_found(version: int, tmp_path: Path) -> None:
    """Their keys hold numbers of one, two and three bytes."""
    partitioner = v1.variable_axis_size_partitioner(1 << 15)
    assert_read(tmp_path / "model", saved(tmp_path / "model", {"x": (40_000, 3)}, version, partitioner))


@VERSIONS
def test_shards_of_a_checkpoint_are_one(version: int, tmp_path: Path) -> None:
    shapes = {f"v{number}": (number + 1, 5) for number in range(7)}
    assert_read(tmp_path / "model.ckpt-7", saved(tmp_path / "model.ckpt-7", shapes, version, devices=3))


@VERSIONS
def test_slices_spread_over_shards_are_joined(version: int, tmp_path: Path) -> None:
    with tf.Graph().as_default(), v1.Session(config=v1.ConfigProto(device_count={"CPU": 2})) as session:
        with tf.Graph.device(session.graph, lambda op: f"/device:CPU:{'part_1' in op.name:d}"):
            v1.get_variable("split", (6, 4), partitioner=v1.fixed_size_partitioner(2))
        session.run(v1.global_variables_initializer())
        saver = v1.train.Saver(write_version=version, sharded=True)
        saver.save(session, str(tmp_path / "model"), write_meta_graph=False)
        value = np.concatenate(session.run(v1.global_variables()))
    assert_read(tmp_path / "model", {"split": value})


@pytest.mark.parametrize(
    ("version", "dtype"),
    [(1, tf.float64), (1, tf.int32), (2, tf.float16), (2, tf.bfloat16), (2, tf.float64), (2, tf.int32)],
)
def test_slices_of_other_types_are_joined(version: int, dtype: tf.DType, tmp_path: Path) -> None:
    partitioner = v1.fixed_size_partitioner(2, 1)
    assert_read(
        tmp_path / "model", saved(tmp_path / "model", {"x": (4, 5)}, version, partitioner, dtype=dtype)
    )


@pytest.mark.parametrize(
    "given", ["model-7", "model-7-00001-of-00002", "model-7-?????-of-00002", ".", "checkpoint"]
)
def test_v1_shards_are_found_by_any_of_their_names(given: str, tmp_path: Path) -> None:
    expected = saved(tmp_path / "model-7", {"a": (2, 3), "b": (4,)}, 1, devices=2)
    assert_read(tmp_path / given, expected)


def test_a_folder_of_v1_shards_without_a_state_file_holds_one_checkpoint(tmp_path: Path) -> None:
    expected = saved(tmp_path / "model-7", {"a": (2, 3), "b": (4,)}, 1, devices=2)
    (tmp_path / "checkpoint").unlink()
    assert_read(tmp_path, expected)


def test_a_missing_v1_shard_is_named(tmp_path: Path) -> None:
    saved(tmp_path / "model", {"a": (2, 3), "b": (4,)}, 1, devices=2)
    (tmp_path / "model-00001-of-00002").unlink()
    with pytest.raises(
        ExportError, match="is incomplete: model-00001-of-00002 is missing, one of its 2 files"
    ):
        open_checkpoint(tmp_path / "model")


def test_a_missing_v2_shard_is_named(tmp_path: Path) -> None:
    saved(tmp_path / "model", {"a": (2, 3), "b": (4,)}, 2, devices=2)
    (tmp_path / "model.data-00001-of-00002").unlink()
    with pytest.raises(
        ExportError, match=r"is incomplete: its data file model\.data-00001-of-00002 is missing"
    ):
        open_checkpoint(tmp_path / "model")


@VERSIONS
def test_a_flipped_byte_in_a_slice_names_the_variable(version: int, tmp_path: Path) -> None:
    value = saved(tmp_path / "m", {"x": (1000, 999)}, version, v1.fixed_size_partitioner(2))["x"]
    file = tmp_path / ("m" if version == 1 else "m.data-00000-of-00001")
    flip(file, file.read_bytes().index(value[700].tobytes()) + 5)
    with (
        open_checkpoint(tmp_path / "m") as checkpoint,
        pytest.raises(ExportError, match=r"^x in .* is damaged: its checksum does not match"),
    ):
        checkpoint.read("x")


def piece(start: tuple[int, ...], shape: tuple[int, ...]) -> Piece:
    return Piece(b"", start, shape)


@pytest.mark.parametrize(
    ("pieces", "says"),
    [
        ([], "missing"),
        ([piece((0, 0), (2, 4))], "missing"),
        ([piece((0, 0), (2, 4)), piece((1, 0), (2, 4))], "overlap"),
        ([piece((0, 0), (4, 4)), piece((0, 0), (4, 4))], "overlap"),
        ([piece((0, 0), (2, 2)), piece((2, 2), (2, 2)), piece((0, 0), (2, 4))], "overlap"),
        ([piece((0, 0), (1, 1))] * 2000, "more than 1,024 slices"),
    ],
)
def test_slices_must_cover_the_variable_once(pieces: list[Piece], says: str) -> None:
    with pytest.raises(FormatError, match=says):
        require_whole((4, 4), pieces)


def test_a_grid_of_slices_covers_the_variable() -> None:
    require_whole((4, 4), [piece((row, column), (2, 2)) for row in (0, 2) for column in (0, 2)])
    require_whole((), [piece((), ())])
    require_whole((0, 3), [piece((0, 0), (0, 3))])


def sliced_v2(path: Path, *bounds: tuple[int, int], entries: int = 1) -> Path:
    """Write a bundle of a variable of 4 floats that claims these slices (start, length); return its prefix."""
    from slimserve.export.checkpoint.formats.slices import pieces_of

    whole = BundleEntryProto(dtype=1)
    whole.shape.dim.add(size=4)
    for start, length in bounds:
        whole.slices.add().extent.add(start=start, length=length)
    contents = {b"": BundleHeaderProto(num_shards=1).SerializeToString()}
    parts = {}
    for number, (start, length) in enumerate(bounds[:entries]):
        part = BundleEntryProto(dtype=1, offset=4 * start, size=4 * length)
        part.shape.dim.add(size=length)
        parts[pieces_of("x", (1 << 62,), whole.slices)[number].key] = part.SerializeToString()
    table(
        path.with_name(f"{path.name}.index"),
        contents | dict(sorted(parts.items())) | {b"x": whole.SerializeToString()},
    )
    path.with_name(f"{path.name}.data-00000-of-00001").write_bytes(bytes(16))
    return path


@pytest.mark.parametrize(
    ("bounds", "entries"),
    [
        ([(0, 2), (1, 3)], 2),
        ([(0, 2), (2, 2)], 1),
        ([(0, 2), (2, 3)], 2),
        ([(0, 2), (2, 1 << 40)], 2),
        ([(0, 2)], 1),
    ],
)
def test_slices_that_lie_about_themselves_are_refused(
    bounds: list[tuple[int, int]], entries: int, tmp_path: Path
) -> None:
    with pytest.raises(ExportError, match=r"x in .* is damaged: (its|some of its) slices"):
        open_checkpoint(sliced_v2(tmp_path / "m", *bounds, entries=entries))
