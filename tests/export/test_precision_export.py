"""--target, --precision, --calibrate: what a version folder holds then, on a network that exports in seconds."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from slimserve.export import cli
from slimserve.export.errors import ExportError
from slimserve.export.graph.images import decoding
from slimserve.export.networks import NETWORKS
from slimserve.export.networks.layers import Layers
from slimserve.export.pipeline import Export, export_checkpoint
from slimserve.export.plan.options import GraphOptions, Request
from slimserve.export.savedmodel import write
from slimserve.export.types import Padding
from slimserve.export.verify.agreement import Agreement
from tensorflow.core.framework.node_def_pb2 import NodeDef
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel as SavedModelProto

from tests.support.numpy_reference import network_rounding
from tests.support.processor import has_bfloat16
from tests.support.saved_model import SavedModel
from tests.support.small_network import SMALL, small_weights

CONVOLUTIONS, INSTANCES = 7, 3


@pytest.fixture(scope="module")
def exported(small_network: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Export]:
    """Export the small network with these options."""

    def export(calibrate_on: Path | None = None, **options: Any) -> Export:
        out = tmp_path_factory.mktemp("exported") / "small"
        request = Request(
            small_network,
            out,
            network=SMALL,
            graph=GraphOptions(**options),
            calibrate=calibrate_on,
            untested=True,
        )
        return export_checkpoint(request)

    return export


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 5 images in two formats."""
    folder = tmp_path_factory.mktemp("photos")
    random = np.random.default_rng(3)
    for index, name in enumerate(("a.png", "b.jpg", "c.PNG", "d.jpeg", "e.png")):
        blocks = random.integers(0, 256, (3, 4, 3)).repeat(40, axis=0).repeat(40, axis=1)
        pixels = np.clip(blocks[: 90 + index] + random.normal(0, 20, (90 + index, 160, 3)), 0, 255)
        Image.fromarray(pixels.astype(np.uint8)).save(folder / name)
    (folder / "notes.txt").write_text("no image")
    return folder


@pytest.fixture(scope="module")
def plain(exported: Callable[..., Export]) -> Iterator[SavedModel]:
    with SavedModel(exported().path) as model:
        yield model


@pytest.fixture(scope="module")
def bfloat16(exported: Callable[..., Export]) -> Export:
    return exported(target="x86", precision="bfloat16")


@pytest.fixture(scope="module")
def counted_int8(exported: Callable[..., Export], photos: Path) -> tuple[Export, dict[str, int]]:
    """An export, and how often it built the serving graph and the decoder."""
    with (
        mock.patch.object(write, "ServingGraph", wraps=write.ServingGraph) as graph,
        mock.patch.object(decoding, "ImageDecoder", wraps=decoding.ImageDecoder) as decoder,
    ):
        decoding.image_decoder.cache_clear()
        export = exported(photos, target="x86", precision="int8")
    return export, {"serving graph": graph.call_count, "decoder": decoder.call_count}


@pytest.fixture(scope="module")
def int8(counted_int8: tuple[Export, dict[str, int]]) -> Export:
    return counted_int8[0]


def nodes(folder: Path) -> list[NodeDef]:
    """All nodes of the graph and of its functions."""
    proto = SavedModelProto.FromString((folder / "saved_model.pb").read_bytes())
    graph = proto.meta_graphs[0].graph_def
    return [*graph.node, *(node for function in graph.library.function for node in function.node_def)]


def variables(folder: Path) -> dict[str, np.ndarray]:
    reader = tf.train.load_checkpoint(str(folder / "variables" / "variables"))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


def record(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "assets.extra" / "export.json").read_text())


IMAGES = np.random.default_rng(1).integers(0, 256, (1, 250, 270, 3)).astype(np.uint8)


def test_x86_float32_answers_as_portable_does(exported: Callable[..., Export], plain: SavedModel) -> None:
    export = exported(target="x86")
    expected = plain("logits", images=IMAGES)["logits"]
    with SavedModel(export.path, rewritten=True) as model:
        found = model("logits", images=IMAGES)["logits"]
    np.testing.assert_allclose(
        found, expected, atol=2 * network_rounding(small_weights()) * np.abs(expected).max()
    )
    assert not any(node.op == "Conv2D" for node in nodes(export.path))


def test_bfloat16_variables_are_rounded_to_the_nearest_but_for_those_of_the_scores(bfloat16: Export) -> None:
    stored, weights = variables(bfloat16.path), small_weights()
    assert stored.keys() == weights.keys()
    for name in ("small/fc8/weights", "small/fc8/biases"):
        np.testing.assert_array_equal(stored[name], weights.pop(name))
    for name, value in weights.items():
        bits = value.view(np.uint32)
        expected = (bits + 0x7FFF + (bits >> 16 & 1) >> 16).astype(np.uint16)
        assert (stored[name].view(np.uint16) == expected).all(), name


def test_every_convolution_of_bfloat16_is_the_runtimes_own(bfloat16: Export) -> None:
    convolutions = [node for node in nodes(bfloat16.path) if "Conv" in node.op]
    assert [node.op for node in convolutions] == ["_MklNativeFusedConv2D"] * CONVOLUTIONS * INSTANCES
    of_scores = [node for node in convolutions if node.attr["T"].type == tf.float32.as_datatype_enum]
    assert len(of_scores) == INSTANCES
    others = [node for node in convolutions if node not in of_scores]
    assert {node.attr["T"].type for node in others} == {tf.bfloat16.as_datatype_enum}
    assert all(node.attr["is_filter_const"].b for node in convolutions)


def test_a_server_is_asked_to_run_the_graph_as_it_is_stored(bfloat16: Export) -> None:
    # SavedModelConfig's field 1, a SessionOverrides of two bytes, whose field 3, disable_meta_optimizer, is true:
    # tensorflow_serving/servables/tensorflow/saved_model_config.proto, which no package on the index holds.
    file = bfloat16.path / "assets.extra" / "saved_model_config.pb"
    assert file.read_bytes() == bytes([1 << 3 | 2, 2, 3 << 3 | 0, 1])
    assert record(bfloat16.path)["files"]["assets.extra/saved_model_config.pb"] == 4


def test_of_a_portable_export_the_server_fuses_what_it_can(exported: Callable[..., Export]) -> None:
    assert not (exported().path / "assets.extra" / "saved_model_config.pb").exists()


def test_bfloat16_says_where_it_runs_and_how_far_it_is_from_float32(bfloat16: Export) -> None:
    found = record(bfloat16.path)
    assert "AVX-512" in found["runs_on"]
    assert (found["options"]["target"], found["options"]["precision"]) == ("x86", "bfloat16")
    assert 1e-4 < found["parity"]["difference"] <= found["parity"]["tolerance"] < 0.05
    assert found["parity"]["argmax_agreement"] == 1


def test_bfloat16_that_this_processor_lacks_becomes_portable(
    small_network: Path, tmp_path: Path, call: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(NETWORKS, SMALL.name, SMALL)
    arguments = ("--ckpt", small_network, "--net", "small", "--out", tmp_path / "small", "--json")
    result = call(cli.main, *arguments, "--target", "x86", "--precision", "bfloat16")
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout)
    if has_bfloat16():
        assert (report["options"]["target"], report["warnings"], result.stderr) == ("x86", [], "")
    else:
        assert report["options"]["target"] == "portable"
        assert report["runs_on"] == "every build of TensorFlow; slow on x86 processors without AVX512_BF16"
        assert result.stderr.startswith("warning: this processor has no instructions for")
        assert "on such a processor slower than float32" in result.stderr
        with SavedModel(Path(report["path"])) as model:
            assert model("logits", images=IMAGES)["logits"].dtype == np.float32


def test_int8_agrees_with_float32(int8: Export, plain: SavedModel) -> None:
    agreement = record(int8.path)["calibration"]["agreement"]
    assert agreement["images"] == 1
    assert agreement["label_map"] >= 0.95
    assert agreement["logit_error"] < 0.1
    expected = plain("logits", images=IMAGES)["logits"]
    with SavedModel(int8.path, rewritten=True) as model:
        found = model("logits", images=IMAGES)["logits"]
    assert np.linalg.norm(found - expected) <= 0.1 * np.linalg.norm(expected)


@pytest.fixture(params=[False, pytest.param(True, marks=pytest.mark.soak)], ids=["as stored", "rewritten"])
def quantized(int8: Export, request: pytest.FixtureRequest) -> Iterator[SavedModel]:
    with SavedModel(int8.path, rewritten=request.param) as model:
        yield model


def test_every_signature_answers_in_8_bits(plain: SavedModel, quantized: SavedModel) -> None:
    png = tf.io.encode_png(IMAGES[0]).numpy()
    feature = tf.train.Feature(bytes_list=tf.train.BytesList(value=[png]))
    example = tf.train.Example(features=tf.train.Features(feature={"image/encoded": feature}))
    inputs = {
        "images": IMAGES,
        "image_bytes": [png],
        "inputs": [example.SerializeToString()],
        "class_ids": [2, 0],
        "features": IMAGES - np.float32(SMALL.preprocessing.mean_rgb),
    }
    for name, signature in quantized.signatures.items():
        given = {argument: inputs[argument] for argument in signature.inputs if argument != "classes"}
        expected, found = plain(name, **given), quantized(name, **given)
        shapes = {output: (value.shape, value.dtype) for output, value in expected.items()}
        assert {output: (value.shape, value.dtype) for output, value in found.items()} == shapes, name
        for output in {"class_ids", "class_names", "classes"} & found.keys():
            assert (found[output][..., 0] == expected[output][..., 0]).all(), name


def test_int8_is_a_quarter_of_the_size_and_float32_only_behind_it(int8: Export) -> None:
    stored = variables(int8.path)
    filters = {name: value.dtype for name, value in stored.items() if name.endswith("/weights")}
    assert filters.pop("small/fc8/weights") == np.float32
    assert set(filters.values()) == {np.dtype(np.int8)}
    operations = [node.op for node in nodes(int8.path)]
    assert operations.count("_FusedQuantizedConv2D") == (CONVOLUTIONS - 1) * INSTANCES
    assert operations.count("QuantizedMaxPool") == 5 * INSTANCES


def test_an_export_in_8_bits_builds_each_graph_once(counted_int8: tuple[Export, dict[str, int]]) -> None:
    assert counted_int8[1] == {"serving graph": 1, "decoder": 1}


def test_ranges_are_of_the_images_that_are_not_held_out(int8: Export) -> None:
    calibration = record(int8.path)["calibration"]
    assert calibration["images"] == 4
    assert set(calibration["ranges"]) == {f"small/conv{block}" for block in range(1, 6)} | {"small/fc6"}
    assert all(value > 0 for value in calibration["ranges"].values())


@pytest.fixture
def refused(
    small_network: Path, tmp_path: Path, call: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., str]:
    """Export the small network with these arguments; return the one line of the refusal, exit code 1."""
    monkeypatch.setitem(NETWORKS, SMALL.name, SMALL)

    def refused(*arguments: str | Path) -> str:
        out = tmp_path / "refused"
        result = call(cli.main, "--ckpt", small_network, "--net", "small", "--out", out, *arguments)
        assert (result.returncode, result.stdout) == (1, "")
        assert not out.exists()
        (line,) = result.stderr.splitlines()
        return line

    return refused


def test_agreement_below_what_is_required_is_refused() -> None:
    agreement = Agreement(images=20, top_1=0.9, label_map=0.93456, logit_error=0.2)
    with pytest.raises(ExportError, match=r"agree in 93.46% of .* 20 images .*--accept-agreement 93.4"):
        agreement.require(95)
    agreement.require(93.4)


@pytest.mark.soak
def test_label_maps_among_images_of_calibration_are_warned_of(
    exported: Callable[..., Export], photos: Path, tmp_path: Path
) -> None:
    shutil.copytree(photos, tmp_path / "voc")
    Image.new("P", (160, 90)).save(tmp_path / "voc" / "labels.png")
    warnings = exported(tmp_path / "voc", precision="int8", target="x86").record["warnings"]
    assert any("1 of the 6 images of --calibrate are PNGs of a palette" in warning for warning in warnings)


def test_folder_with_too_few_images_is_refused(refused: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "one.png").touch()
    line = refused("--precision", "int8", "--calibrate", tmp_path)
    assert "holds 0 images" in line
    assert "takes 5 images or more" in line


def test_damaged_image_is_named(refused: Callable[..., str], tmp_path: Path) -> None:
    for name in "abcde":
        (tmp_path / f"{name}.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    line = refused("--precision", "int8", "--calibrate", tmp_path)
    assert "a.png: the image is a PNG without a header: remove it" in line


def test_network_that_8_bits_are_not_for_is_refused_before_the_images_are_read(
    refused: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pooled(images: Any, layers: Layers, head_padding: Padding, output_stride: int) -> Any:
        return SMALL.logits(layers.avg_pool(images, 3), layers, head_padding, output_stride)

    monkeypatch.setitem(NETWORKS, SMALL.name, replace(SMALL, logits=pooled))
    for name in "abcde":
        (tmp_path / f"{name}.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    assert "this one has average pools" in refused("--precision", "int8", "--calibrate", tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--precision", "int8"], "needs --calibrate FOLDER"),
        (["--precision", "int8", "--calibrate", ".", "--target", "portable"], "for --target x86 only"),
        (["--calibrate", "."], "for --precision int8 only"),
        (["--accept-agreement", "90"], "for --precision int8 only"),
        (["--precision", "int8", "--calibrate", ".", "--accept-agreement", "101"], "0 to 100"),
        (["--untested"], "for --target x86"),
    ],
)
def test_options_that_do_not_go_together_are_usage_errors(
    capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    with pytest.raises(SystemExit) as exit_:
        cli.main(["--ckpt", "vgg_16.ckpt", *arguments])
    assert exit_.value.code == 2
    assert message in capsys.readouterr().err
