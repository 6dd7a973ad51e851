"""--precision float16: for GPUs; on a processor it loads and answers right."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from slimserve.export import cli
from slimserve.export.demo.checkpoint_writer import write_checkpoint
from slimserve.export.errors import ExportError
from slimserve.export.pipeline import export_checkpoint
from slimserve.export.plan.options import GraphOptions, Request
from tensorflow.core.protobuf import saved_model_pb2

from tests.support.saved_model import SavedModel
from tests.support.small_network import SMALL, small_weights

IMAGES = np.random.default_rng(4).integers(0, 256, (2, 200, 300, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def exported(small_network: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("float16") / "small"
    graph = GraphOptions(precision="float16")
    return export_checkpoint(Request(small_network, out, network=SMALL, graph=graph)).path


@pytest.fixture(scope="module")
def model(exported: Path) -> Iterator[SavedModel]:
    with SavedModel(exported) as model:
        yield model


@pytest.fixture(scope="module")
def float32(small_models: Path) -> Iterator[SavedModel]:
    with SavedModel(small_models / "small" / "1") as model:
        yield model


def test_filters_are_rounded_to_the_nearest_float16_but_for_those_of_the_scores(exported: Path) -> None:
    reader = tf.train.load_checkpoint(str(exported / "variables" / "variables"))
    for name, value in small_weights().items():
        dtype = np.float32 if "fc8" in name else np.float16
        np.testing.assert_array_equal(reader.get_tensor(name), value.astype(dtype))
        assert reader.get_tensor(name).dtype == dtype


def test_it_answers_as_float32_does(model: SavedModel, float32: SavedModel) -> None:
    for signature in ("logits", "segment", "classify"):
        found, expected = (each(signature, images=IMAGES) for each in (model, float32))
        assert {name: value.dtype for name, value in found.items()} == {
            name: value.dtype for name, value in expected.items()
        }
        if signature == "logits":
            error = np.linalg.norm(found["logits"] - expected["logits"])
            # Three roundings a layer, of at most 2^-11 each, and their squares add up; of six layers, twice that.
            assert error <= 2 * np.sqrt(3 * 6) * 2**-11 * np.linalg.norm(expected["logits"])
        elif signature == "segment":
            assert np.mean(found["label_map"] == expected["label_map"]) >= 0.99
        else:
            np.testing.assert_array_equal(found["class_ids"][:, 0], expected["class_ids"][:, 0])


def test_the_record_says_where_it_runs_and_how_far_it_is_from_float32(exported: Path) -> None:
    found = json.loads((exported / "assets.extra" / "export.json").read_text())
    assert "for GPUs" in found["runs_on"]
    assert (found["options"]["target"], found["options"]["precision"]) == ("portable", "float16")
    assert 1e-5 < found["parity"]["difference"] <= found["parity"]["tolerance"] < 0.02
    assert found["parity"]["argmax_agreement"] >= 0.99


def test_only_what_takes_in_a_request_is_bound_to_a_device_which_every_server_has(exported: Path) -> None:
    saved = saved_model_pb2.SavedModel.FromString((exported / "saved_model.pb").read_bytes())
    graph = saved.meta_graphs[0].graph_def
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    assert {node.device for node in nodes} == {"", "/device:CPU:0"}
    bound = {node.op for node in nodes if node.device}
    assert {"DecodeJpeg", "Cumprod"} & bound
    assert not {op for op in bound if "Conv2D" in op or "MatMul" in op or "MaxPool" in op or "BiasAdd" in op}


def test_a_network_beyond_its_range_is_refused_with_what_to_do(tmp_path: Path) -> None:
    weights = {name: value * (3e3 if "conv" in name else 1) for name, value in small_weights().items()}
    write_checkpoint(tmp_path / "large.ckpt", weights)
    graph = GraphOptions(precision="float16")
    with pytest.raises(ExportError, match="float16 ends at 65504, export it with --precision bfloat16"):
        export_checkpoint(Request(tmp_path / "large.ckpt", tmp_path / "large", network=SMALL, graph=graph))


def test_it_is_not_for_x86(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["--ckpt", "vgg_16.ckpt", "--precision", "float16", "--target", "x86"])
    assert "--precision float16 is for GPUs" in capsys.readouterr().err
