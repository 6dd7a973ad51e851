"""Reloads, loads, health and metadata as TensorFlow Serving 2.20.0 answered: recorded/lifecycle.jsonl."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tensorflow_serving.apis import get_model_status_pb2, predict_pb2
from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig

from tests.support.recorded import RECORDED
from tests.unit.serving_config.engine_calls import (
    AFFINE,
    WAIT,
    Caller,
    listing,
    predict_request,
    publish,
)

Start = Callable[..., Caller]
ANSWERS = {
    answer["name"]: (grpc.StatusCode[answer["code"]], answer["message"])
    for answer in map(json.loads, (RECORDED / "lifecycle.jsonl").read_text().splitlines())
}


def refusal(call: Callable[[], object]) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return caught.value.code(), caught.value.details()


def reloads() -> dict[str, ModelServerConfig]:
    """What each recorded reload asks for, of a server of affine."""
    found = {name: listing(AFFINE, 1) for name in ANSWERS if name.startswith("reload/")}
    models = {name: config.model_config_list.config for name, config in found.items()}
    models["reload/platform changed"][0].model_platform = "torch"
    models["reload/unknown platform"].add(name="n", base_path=str(AFFINE), model_platform="torch")
    models["reload/no platform"][0].ClearField("model_platform")
    models["reload/relative"][0].base_path = "affine"
    models["reload/twice"].append(models["reload/twice"][0])
    models["reload/both type and platform"][0].model_type = 1
    found["reload/custom"].custom_model_config.SetInParent()
    found["reload/none"].Clear()
    return found


@pytest.mark.parametrize(("name", "config"), reloads().items(), ids=list(reloads()))
def test_a_reload_is_refused_before_anything_changes(
    name: str, config: ModelServerConfig, start_engine: Start
) -> None:
    caller = start_engine(listing(AFFINE, 1))
    assert refusal(lambda: caller.reload(config)) == ANSWERS[name]
    assert caller.states("affine") == {1: "AVAILABLE"}


def shorten(name: str) -> Callable[[Path], object]:
    return lambda version: (version / name).write_bytes((version / name).read_bytes()[:-2])


def flip(version: Path) -> None:
    path = version / "variables" / "variables.data-00000-of-00001"
    data = bytearray(path.read_bytes())
    data[1] ^= 255
    path.write_bytes(data)


DATA = "variables/variables.data-00000-of-00001"
OF_VARIABLES: dict[str, Callable[[Path], object]] = {
    "load/no variables data": lambda version: (version / DATA).unlink(),
    "load/truncated variables": shorten(DATA),
    "load/flipped variables": flip,
}
# TensorFlow's Python has words of its own for these, which name the file, and one code for all that cannot be read.
OF_GRAPH: dict[str, Callable[[Path], object]] = {
    "load/garbage graph": lambda version: (version / "saved_model.pb").write_bytes(b"garbage!" * 40),
    "load/empty graph": lambda version: (version / "saved_model.pb").write_bytes(b""),
    "load/no graph": lambda version: (version / "saved_model.pb").unlink(),
}


def load_error(caller: Caller, base_path: Path, damage: Callable[[Path], object]) -> tuple[int, str]:
    """The code and the words of a version that was damaged before it appeared."""
    shutil.copytree(AFFINE / "2", base_path.parent / "damaged" / "2")
    damage(base_path.parent / "damaged" / "2")
    publish(base_path, 2, base_path.parent / "damaged" / "2")
    caller.wait_for("affine", {2: "END", 1: "AVAILABLE"})
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = "affine"
    status = caller.models.GetModelStatus(request, timeout=WAIT).model_version_status[0].status
    return status.error_code, status.error_message


@pytest.mark.parametrize("name", [*OF_VARIABLES, *OF_GRAPH])
def test_a_damaged_version_does_not_load(name: str, start_engine: Start, base_path: Path) -> None:
    code, message = load_error(
        start_engine(listing(base_path)), base_path, {**OF_VARIABLES, **OF_GRAPH}[name]
    )
    assert code == ANSWERS[name][0].value[0]
    if name in OF_VARIABLES:
        assert message == ANSWERS[name][1].replace("VERSION", str(base_path / "2"))


def test_versions_deleted_from_disk_are_unloaded_but_not_a_whole_model(
    start_engine: Start, base_path: Path
) -> None:
    caller = start_engine(listing(base_path))
    shutil.rmtree(base_path / "1")
    caller.wait_for("affine", {1: "END"})
    assert refusal(lambda: caller.predict("affine", [1.0])) == ANSWERS["deleted/answer"]
    publish(base_path, 1, AFFINE / "1")
    caller.wait_for("affine", {1: "AVAILABLE"})
    shutil.rmtree(base_path)
    assert caller.predict("affine", [1.0]).tolist() == [3.0]


def test_the_health_of_an_unknown_service(start_engine: Start) -> None:
    caller = start_engine(listing(AFFINE, 1))
    check = health_pb2.HealthCheckRequest(service="nope")
    answer = refusal(lambda: health_pb2_grpc.HealthStub(caller.channel).Check(check, timeout=WAIT))
    assert answer == ANSWERS["health/unknown"]


@pytest.mark.parametrize(("length", "is_taken"), [(7000, True), (8500, False)])
def test_metadata_of_more_than_8_kilobytes_is_refused(
    length: int, is_taken: bool, start_engine: Start
) -> None:
    caller = start_engine(listing(AFFINE, 1))

    def call() -> predict_pb2.PredictResponse:
        request = predict_request("affine", [1.0])
        return caller.prediction.Predict(request, timeout=WAIT, metadata=[("token", "x" * length)])

    if is_taken:
        assert call().model_spec.version.value == 1
    else:
        code, _ = ANSWERS["metadata/too long"]  # its words belong to the version of gRPC
        assert refusal(call)[0] == code
