"""What is no checkpoint at all is named by its bytes, its suffix or its address, with what to do."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import pickle
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from slimserve.export.checkpoint.contents import open_checkpoint

from tests.support.checkpoints import refusal, tensorflow_v1, tensorflow_v2

OLD = {"vgg_16/x": np.zeros(3, np.float32)}


@pytest.fixture
def train(tmp_path: Path) -> Path:
    """An empty training folder."""
    (tmp_path / "train").mkdir()
    return tmp_path / "train"


def npy() -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.ones(3))
    return stream.getvalue()


def npz() -> bytes:
    stream = io.BytesIO()
    np.savez(stream, fc8=np.ones(3))
    return stream.getvalue()


def zipped(*names: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        for name in names:
            file.writestr(name, bytes(100))
    return stream.getvalue()


def graph_def() -> bytes:
    with tf.Graph().as_default() as graph:
        tf.compat.v1.placeholder(tf.float32, [1], "input") + tf.constant(np.ones(1000, np.float32))
        return graph.as_graph_def().SerializeToString()


def saved_model() -> bytes:
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    proto = SavedModel(saved_model_schema_version=1)
    proto.meta_graphs.add().meta_info_def.tags.append("serve")
    return proto.SerializeToString()


ONNX = b"\x08\x07\x12\x07pytorch\x1a\x051.9.0:\xa4\x01\n\x10conv"  # ModelProto: ir_version, producer, graph
CAFFE = b"\n\x15VGG_ILSVRC_16_layers_1\xa2\x06\x10\n\x04data"  # NetParameter: name, then layers
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 553436134\n"
PYTORCH_LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03."


@pytest.mark.parametrize("part", ["index", "data-00000-of-00001"])
def test_parts_of_a_checkpoint_that_git_lfs_left_out_say_so(part: str, train: Path) -> None:
    tensorflow_v2(train / "model.ckpt-5", OLD)
    (train / f"model.ckpt-5.{part}").write_bytes(LFS)
    for path in (train / "model.ckpt-5", train / "model.ckpt-5.data-00000-of-00001"):
        assert f"model.ckpt-5.{part} is " in refusal(path)
        assert "run `git lfs pull` in the repository" in refusal(path)


@pytest.mark.parametrize("name", ["model.ckpt", ""])
@pytest.mark.parametrize(
    ("own_name", "make", "says"),
    [
        ("vgg16.npy", npy, "a NumPy array: its weights are not converted; give the checkpoint"),
        ("vgg16.npz", npz, "an archive of NumPy arrays"),
        ("vgg.caffemodel", lambda: CAFFE, "a Caffe model"),
        ("model.tflite", lambda: b"\x1c\0\0\0TFL3\x14\0", "a TensorFlow Lite model: .* that it was made from"),
        ("frozen.pb", graph_def, "a frozen graph, its weights are constants in it: give the checkpoint"),
        ("saved_model.pb", saved_model, "a SavedModel already: serve its folder as it is"),
        ("vgg16.h5", lambda: b"\x89HDF\r\n\x1a\n" + bytes(99), r"an HDF5 file \(Keras weights\)"),
        ("vgg.keras", lambda: zipped("metadata.json", "config.json", "model.weights.h5"), "a Keras model"),
        ("vgg.pt", lambda: zipped("archive/data.pkl", "archive/data/0"), "a file of PyTorch"),
        ("epoch=3.ckpt", lambda: zipped("epoch=3.ckpt/data.pkl", "epoch=3.ckpt/data/0"), "a file of PyTorch"),
        ("old.pth", lambda: PYTORCH_LEGACY, "a pickle of Python, as PyTorch's older files are"),
        ("weights.pkl", lambda: pickle.dumps({"fc8": 1}), "a pickle of Python"),
        ("m.safetensors", lambda: b"\x40\0\0\0\0\0\0\0{\"fc8\":{}}", "a file of safetensors"),
        ("vgg_16.ckpt", lambda: LFS, "a pointer of Git LFS .* run `git lfs pull`"),
        ("m.zip", lambda: zipped("t/checkpoint", "t/model.ckpt-5.index"), "a zip archive with a checkpoint in it"),
        ("saved.zip", lambda: zipped("1/saved_model.pb", "1/variables.index"), "a zip archive with a SavedModel"),
        ("photos.zip", lambda: zipped("a.jpg"), "a zip archive: unpack it first"),
        ("vgg_16.tar.bz2", lambda: bz2.compress(b"tar"), "a bzip2 archive: unpack it first"),
        ("vgg_16.tar.xz", lambda: lzma.compress(b"tar"), "an xz archive: unpack it first"),
        ("vgg_16.tar.zst", lambda: b"\x28\xb5\x2f\xfd\0\0", "a zstd archive"),
        ("page.html", lambda: b"\n<!DOCTYPE html><title>404</title>", "an HTML or XML page: the download went wrong"),
        ("denied.xml", lambda: b'\xef\xbb\xbf<?xml version="1.0"?><Error/>', "an HTML or XML page"),
        ("error.json", lambda: b'{"error": {"code": 404}}', "JSON text, as servers answer errors"),
        ("net.onnx", lambda: ONNX, "an ONNX model"),
        ("cat.jpg", lambda: b"\xff\xd8\xff\xe0\0\x10JFIF", "a JPEG image"),
        ("notes.txt", lambda: b"trained on Tuesday\n", "text: give the checkpoint"),
        ("cut.ckpt", lambda: bytes(9999), "zeros: the download or the copy was not finished"),
    ],
    ids=lambda value: value if isinstance(value, str) and "." in value and " " not in value else "",
)  # fmt: skip
def test_what_is_no_checkpoint_is_named_by_its_first_bytes_whatever_its_name(
    own_name: str, name: str, make: Callable[[], bytes], says: str, tmp_path: Path
) -> None:
    path = tmp_path / (name or own_name)
    path.write_bytes(make())
    assert re.match(f"{re.escape(str(path))} is not a TensorFlow checkpoint but {says}", refusal(path))


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("a.caffemodel", "a Caffe model"),
        ("b.pb", "a frozen graph"),
        ("c.onnx", "an ONNX model"),
        ("d.weights", "Darknet"),
    ],
)
def test_a_suffix_tells_where_the_bytes_do_not(name: str, says: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(bytes(range(200, 256)) * 9)
    assert says in refusal(tmp_path / name)


def test_a_prefix_whose_index_was_not_copied_says_so(train: Path) -> None:
    tensorflow_v2(train / "model.ckpt-5", OLD)
    (train / "model.ckpt-5.index").unlink()
    assert "model.ckpt-5.data-00000-of-00001 is there, but not model.ckpt-5.index" in refusal(
        train / "model.ckpt-5"
    )


def test_a_folder_of_jax_is_named(train: Path) -> None:
    (train / "_CHECKPOINT_METADATA").write_text("{}")
    assert "one of Orbax, as JAX has them: its weights are not converted" in refusal(train)


def test_a_checkpoint_packed_by_gzip_alone_is_to_be_unpacked(tmp_path: Path) -> None:
    packed = gzip.compress(tensorflow_v1(tmp_path / "vgg_16.ckpt", OLD).read_bytes())
    (tmp_path / "vgg_16.ckpt.gz").write_bytes(packed)
    assert "is compressed by gzip but no tar archive, and holds a checkpoint; unpack it (gunzip)" in refusal(
        tmp_path / "vgg_16.ckpt.gz"
    )


def test_a_gzip_of_something_else_says_of_what(tmp_path: Path) -> None:
    (tmp_path / "vgg_16.npy.gz").write_bytes(gzip.compress(npy()))
    assert "no tar archive, and is not a TensorFlow checkpoint but a NumPy array" in refusal(
        tmp_path / "vgg_16.npy.gz"
    )


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("http://a.org/vgg_16.ckpt", "curl -LO http://a.org/vgg_16.ckpt"),
        ("https://me:secret@a.org/v.tar.gz?token=secret", "(curl -LO https://a.org/v.tar.gz)"),
        ("gs://bucket/train/model.ckpt-9", "gcloud storage cp 'gs://bucket/train/model.ckpt-9*' ."),
        (
            "s3://bucket/train/model.ckpt-9",
            "aws s3 cp --recursive s3://bucket/train/ . --exclude '*' --include 'model.ckpt-9*'",
        ),
        ("hdfs://nn/train/model.ckpt", "hdfs dfs -get"),
        ("file:///data/model.ckpt", "is an address: give the path, /data/model.ckpt"),
        ("abfs://container/model.ckpt", "copy the checkpoint here first, then give its path"),
    ],
)
def test_an_address_says_how_to_fetch_what_lies_there(address: str, says: str) -> None:
    said = refusal(address)
    assert says in said
    assert "secret" not in said
    assert says.split()[0] in refusal(Path(address))


@pytest.mark.parametrize("given", ["variables", "variables/variables", "variables/variables.index"])
def test_variables_of_an_export_ask_for_the_checkpoint_that_it_was_made_of(
    given: str, tmp_path: Path
) -> None:
    version = tmp_path / "models" / "vgg_16" / "3"
    for folder in ("variables", "assets.extra"):
        (version / folder).mkdir(parents=True)
    tensorflow_v2(version / "variables" / "variables", OLD)
    with open_checkpoint(version / given) as checkpoint:  # of another SavedModel, as those of Estimators
        assert set(checkpoint.tensors) == set(OLD)
    record = version / "assets.extra" / "export.json"
    record.write_text("{}")
    assert refusal(version / given).endswith(
        f"variables/variables holds the variables of an export, which is served as it is, {version}: to export anew, "
        f"give the checkpoint that it was made of, which {record} names"
    )
