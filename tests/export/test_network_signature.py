"""The signature `network`: what it is made of, what it answers, and what converters make of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from slimserve.export.graph.kernels import products
from slimserve.export.networks.preprocessing import VGG_PREPROCESSING
from slimserve.export.pipeline import Export, export_checkpoint
from slimserve.export.plan.options import GraphOptions, Request

from tests.support.numpy_reference import network_rounding
from tests.support.saved_model import SavedModel
from tests.support.small_network import SMALL, small_weights

PIXELS = np.random.default_rng(9).integers(0, 256, (3, 96, 128, 3)).astype(np.uint8)
FEATURES = PIXELS - np.float32(VGG_PREPROCESSING.mean_rgb)


def exported(small_network: Path, out: Path, **options: str) -> Export:
    """The small network, its fc6 a product as that of VGG is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(products, "LARGE", 0)
        return export_checkpoint(
            Request(small_network, out / "small", network=SMALL, graph=GraphOptions(**options))
        )


@pytest.fixture(scope="module")
def portable(small_network: Path, tmp_path_factory: pytest.TempPathFactory) -> Export:
    return exported(small_network, tmp_path_factory.mktemp("portable"))


@pytest.fixture(scope="module")
def model(portable: Export) -> Iterator[SavedModel]:
    with SavedModel(portable.path) as model:
        yield model


def close(found: np.ndarray, expected: np.ndarray) -> None:
    tolerance = 2 * network_rounding(small_weights()) * np.abs(expected).max()
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)


def test_it_answers_a_batch_as_logits_does(model: SavedModel) -> None:
    close(model("network", features=FEATURES)["logits"], model("logits", images=PIXELS)["logits"])


def test_it_holds_no_loop_string_or_assertion_and_every_rank_is_known(portable: Export) -> None:
    with tf.Graph().as_default() as graph, tf.compat.v1.Session() as session:
        loaded = tf.compat.v1.saved_model.load(session, ["serve"], str(portable.path))
        waiting = [graph.get_tensor_by_name(loaded.signature_def["network"].outputs["logits"].name).op]
        found: dict[str, tf.Operation] = {}
        while waiting:
            operation = waiting.pop()
            if operation.name not in found:
                found[operation.name] = operation
                waiting += [*operation.control_inputs, *(tensor.op for tensor in operation.inputs)]
        kinds = {operation.type for operation in found.values()}
        assert {"Placeholder", "MatMul", "Conv2D", "VarHandleOp"} <= kinds
        assert not {
            kind for kind in kinds if any(word in kind for word in ("While", "If", "Assert", "Enter"))
        }
        tensors = [tensor for operation in found.values() for tensor in operation.outputs]
        assert not [tensor.name for tensor in tensors if tensor.dtype == tf.string]
        assert not [tensor.name for tensor in tensors if tensor.shape.rank is None]


def test_it_has_no_weights_of_its_own(portable: Export) -> None:
    names = {name for name, _ in tf.train.list_variables(str(portable.path / "variables" / "variables"))}
    assert names == small_weights().keys()


@pytest.mark.soak
@pytest.mark.filterwarnings("ignore:.*tf.lite.Interpreter is deprecated")
def test_tensorflow_lite_converts_it_with_built_in_ops(portable: Export, model: SavedModel) -> None:
    converter = tf.lite.TFLiteConverter.from_saved_model(
        str(portable.path), signature_keys=["network"], tags={"serve"}
    )
    assert converter.target_spec.supported_ops == {tf.lite.OpsSet.TFLITE_BUILTINS}
    interpreter = tf.lite.Interpreter(model_content=converter.convert())
    (features,) = interpreter.get_input_details()
    (logits,) = interpreter.get_output_details()
    for images in (FEATURES[:1], FEATURES[:, :64, :96]):
        interpreter.resize_tensor_input(features["index"], images.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(features["index"], images)
        interpreter.invoke()
        close(interpreter.get_tensor(logits["index"]), model("network", features=images)["logits"])


def test_tf2onnx_converts_it_and_onnx_runtime_agrees(portable: Export, model: SavedModel) -> None:
    """As `python -m tf2onnx.convert --saved-model FOLDER --tag serve --signature_def network` does."""
    tf2onnx = pytest.importorskip("tf2onnx", reason="for Python 3.11 and later")
    onnxruntime = pytest.importorskip("onnxruntime")
    graph, inputs, outputs, *_ = tf2onnx.tf_loader.from_saved_model(
        str(portable.path), None, None, tag=["serve"], signatures=["network"]
    )
    converted, _ = tf2onnx.convert.from_graph_def(graph, input_names=inputs, output_names=outputs)
    assert {opset.domain for opset in converted.opset_import} <= {"", "ai.onnx.ml"}
    session = onnxruntime.InferenceSession(converted.SerializeToString())
    for images in (FEATURES[:1], FEATURES[:, :64, :96]):
        (logits,) = session.run(None, {inputs[0]: images})
        close(logits, model("network", features=images)["logits"])
