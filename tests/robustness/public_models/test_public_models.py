"""SavedModels and checkpoints of public repositories: as TensorFlow has them, or refused in words."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from slimserve.export.checkpoint.contents import open_checkpoint
from slimserve.export.checkpoint.formats.tensor_spec import STRINGS
from slimserve.export.errors import ExportError
from slimserve.serving_config.engine.model.predict import predict
from slimserve.serving_config.engine.model.servable import Servable
from slimserve.serving_config.engine.rpc_error import RpcError
from slimserve.serving_config.server.protocol import PredictRequest, PredictResponse
from tensorflow.core.framework.tensor_pb2 import TensorProto
from tensorflow.core.protobuf.meta_graph_pb2 import SignatureDef

from tests.robustness.public_models.fetching import repositories, unpack
from tests.support.tensors import values

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module", params=repositories())
def files(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All files of a repository."""
    try:
        return unpack(request.param, "", tmp_path_factory.mktemp("repository"))
    except OSError as error:
        pytest.skip(str(error))


# What TensorFlow Serving refuses in these words, and TensorFlow's loader for Python reads.
NOT_SERVED = ("MetaGraphDef associated with tags 'serve' could not be found", "Cannot assign a device")
# What half_plus_two takes; models that want other features refuse it, in TensorFlow's words.
EXAMPLE = tf.train.Example()
EXAMPLE.features.feature["x"].float_list.value.append(1.0)


def plausible(info: Any) -> np.ndarray:
    """Something of the shape and type of an input; a string is a tf.Example."""
    shape = [1] if info.tensor_shape.unknown_rank else [max(dim.size, 1) for dim in info.tensor_shape.dim]
    dtype = tf.as_dtype(info.dtype)
    if dtype == tf.string:
        return np.full(shape, EXAMPLE.SerializeToString(), object)
    return np.asarray((np.arange(np.prod(shape)) % 7).reshape(shape)).astype(dtype.as_numpy_dtype)


def by_tensorflow(function: Any, given: dict[str, np.ndarray]) -> dict[str, np.ndarray] | str:
    try:
        outputs = function(
            **{
                name: tf.constant(value, function.structured_input_signature[1][name].dtype)
                for name, value in given.items()
            }
        )
    except tf.errors.OpError as error:
        return f"code {error.error_code}"
    return {name: np.asarray(tensor) for name, tensor in outputs.items()}


def by_the_engine(servable: Servable, name: str, given: dict[str, np.ndarray]) -> dict[str, np.ndarray] | str:
    request = PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = servable.name, name
    for alias, value in given.items():
        request.inputs[alias].MergeFromString(tf.make_tensor_proto(value).SerializeToString())
    try:
        answer = PredictResponse.FromString(predict(servable, request, tensor_content=False))
    except RpcError as error:
        return f"code {error.code.value[0]}"
    read = {
        alias: TensorProto.FromString(proto.SerializeToString()) for alias, proto in answer.outputs.items()
    }
    return {alias: np.asarray(values(proto)) for alias, proto in read.items()}


def same(one: dict[str, np.ndarray] | str, other: dict[str, np.ndarray] | str) -> bool:
    if isinstance(one, str) or isinstance(other, str):
        return one == other
    return one.keys() == other.keys() and all(close(one[name], other[name]) for name in one)


def close(one: np.ndarray, other: np.ndarray) -> bool:
    """Equal, or in float32 within what sums in another order differ by."""
    if one.shape != other.shape or one.dtype.kind not in "fc":
        return one.shape == other.shape and one.tolist() == other.tolist()
    return np.allclose(one, other, rtol=1e-5, atol=1e-6, equal_nan=True)


def test_every_saved_model_answers_as_tensorflow_has_it(files: Path) -> None:
    outcomes, wrong = Counter[str](), []
    for stored in sorted(files.rglob("saved_model.pb")):
        name = str(stored.parent.relative_to(files))
        try:
            functions, refusal = tf.saved_model.load(str(stored.parent)).signatures, ""
        except Exception as error:  # TensorFlow raises errors of any kind
            functions, refusal = {}, str(error)
        try:
            servable = Servable("m", 1, stored.parent)
        except RpcError as error:
            outcomes["models refused in words"] += 1
            print(f"{name}: {error.message.splitlines()[0][:200]}")
            if not refusal and not any(words in error.message for words in NOT_SERVED):
                wrong.append(f"{name}: refused, and read by TensorFlow: {error.message}")
            continue
        outcomes["models loaded"] += 1
        for key, signature in sorted(servable.signatures.items()):
            if key not in functions:
                outcomes["signatures that TensorFlow's own loader leaves out"] += 1
                continue
            wrong += judged(servable, key, signature, functions[key], name, outcomes)
        servable.close()
    print(f"{files.parent.name}/{files.name}: {dict(outcomes)}")
    assert wrong == []


def judged(
    servable: Servable, key: str, signature: SignatureDef, function: Any, name: str, outcomes: Counter[str]
) -> list[str]:
    given = {alias: plausible(info) for alias, info in signature.inputs.items()}
    answer, expected = by_the_engine(servable, key, given), by_tensorflow(function, given)
    if not same(answer, expected):
        return [f"{name} {key}: {answer}, not {expected}"]
    outcomes["signatures refused alike" if isinstance(answer, str) else "signatures answered alike"] += 1
    return []


def test_every_checkpoint_is_read_as_tensorflow_reads_it(files: Path) -> None:
    outcomes, wrong = Counter[str](), []
    v1 = [path.with_suffix("") for path in files.rglob("export.meta")]
    for path in sorted([*files.rglob("*.index"), *v1]):
        try:
            wrong += compared(path, outcomes)
        except ExportError as error:
            outcomes["refused in words"] += 1
            print(f"{path.relative_to(files)}: {str(error).replace(str(files), '')[:200]}")
            wrong += [str(error)] * ("\n" in str(error))
    print(f"{files.parent.name}/{files.name}: {dict(outcomes)}")
    assert wrong == []


def compared(path: Path, outcomes: Counter[str]) -> list[str]:
    shards = next(path.parent.glob(f"{path.name}-00000-of-*"), None)
    pattern = str(shards).replace("-00000-", "-?????-") if shards else str(path).removesuffix(".index")
    expected = tf.train.load_checkpoint(pattern)
    with open_checkpoint(path) as checkpoint:
        numbers = [name for name, spec in checkpoint.tensors.items() if spec.dtype != STRINGS]
        read = dict(checkpoint.read_all(numbers))
    outcomes["checkpoints read"] += 1
    outcomes["tensors equal"] += len(read)
    return [
        f"{path} {name}"
        for name, value in read.items()
        if value.tobytes() != expected.get_tensor(name).tobytes()
    ]
