"""`slimserve.testing`: answers that are given or computed, versions, faults, and the words of the real server."""

from __future__ import annotations

import io
import socket
import threading

import grpc
import numpy as np
import pytest
from PIL import Image
from slimserve import (
    Client,
    DeadlineExceeded,
    InvalidInput,
    ModelNotFound,
    Overloaded,
    ServingError,
    SignatureNotFound,
    Unavailable,
)
from slimserve.testing import Delay, Full, Link, Model, Server, Status

from tests.support.recorded import Case, recorded_cases

UNAVAILABLE = grpc.StatusCode.UNAVAILABLE
# What TensorFlow Serving refused, of requests that do not depend on the graph.
REFUSED = (
    "predict/version_unknown",
    "predict/label_unknown",
    "predict/model_unknown",
    "predict/model_empty",
    "predict/signature_unknown",
    "metadata/version_unknown",
    "metadata/model_empty",
    "status/version_unknown",
    "status/model_unknown",
)


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def test_a_given_answer_is_that_of_every_task(scene_pixels: np.ndarray) -> None:
    labels = np.array([[0, 2]], np.uint8)
    model = Model(["cat", "dog", "grass"], scores=[0.1, 0.7, 0.2], label_map=labels)
    stretched = np.repeat(np.repeat(labels, 32, axis=1), 48, axis=0)
    with Server(model) as server, Client(server.address, model="model") as client:
        client.wait_until_ready(10)
        for image in (scene_pixels, png(scene_pixels)):
            ranked, scene, both = client.classify(image), client.segment(image), client.analyze(image)
            for answer in (ranked, both.classification):
                assert [best.name for best in answer.predictions] == ["dog", "grass", "cat"]
                assert answer.top.score == pytest.approx(0.7)
            for regions in (scene, both.segmentation):
                np.testing.assert_array_equal(regions.label_map, stretched)
                assert regions.class_names == {0: "cat", 2: "grass"}


def test_a_function_computes_the_answer_from_the_pixels(scene_pixels: np.ndarray) -> None:
    def label_map(pixels: np.ndarray) -> np.ndarray:
        return (pixels[..., 0] > 127).astype(np.uint8)

    model = Model(["dark", "light"], scores=lambda pixels: [0.0, pixels.mean() / 255], label_map=label_map)
    with Server(model) as server, Client(server.address, model="model") as client:
        assert client.classify(png(scene_pixels)).top.score == pytest.approx(scene_pixels.mean() / 255)
        np.testing.assert_array_equal(client.segment(scene_pixels).label_map, label_map(scene_pixels))


def test_many_classes_have_labels_of_16_bits(scene_pixels: np.ndarray) -> None:
    model = Model([f"class {id}" for id in range(300)], label_map=[[7, 299]])
    with Server(model) as server, Client(server.address, model="model") as client:
        for image in (scene_pixels, png(scene_pixels)):
            assert client.segment(image).label_map.dtype == np.uint16
        assert client.metadata().signatures["segment"].outputs["label_map"].dtype == "uint16"


def test_a_signature_of_the_tests_own_is_called_and_may_refuse() -> None:
    def double(inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        if inputs["x"].size > 2:
            raise InvalidInput("two at most")
        return {"y": 2 * inputs["x"]}

    with (
        Server(Model(signatures={"double": double})) as server,
        Client(server.address, model="model") as client,
    ):
        assert client.predict({"x": [1, 2]}, signature="double")["y"].tolist() == [2, 4]
        with pytest.raises(InvalidInput, match="two at most"):
            client.predict({"x": [1, 2, 3]}, signature="double")
        with pytest.raises(InvalidInput, match=r"Missing but required: \{x\}"):
            client.predict({"z": [1]}, signature="double")
        with pytest.raises(SignatureNotFound):
            client.predict({"x": [1]}, signature="treble")


def test_a_file_that_is_no_image_is_refused_as_an_export_refuses() -> None:
    with (
        Server() as server,
        Client(server.address, model="model") as client,
        pytest.raises(InvalidInput, match="image 0 is of a kind that is not read: TIFF"),
    ):
        client.predict({"image_bytes": [b"II*\0"]}, signature="classify_bytes")


def test_only_the_classes_that_compete_are_in_a_label_map(scene_pixels: np.ndarray) -> None:
    with Server() as server, Client(server.address, model="model") as client:
        inputs = {"images": scene_pixels[None], "classes": np.array([1, 2], np.int32)}
        labels = client.predict(inputs, signature="segment")["label_map"]
    assert set(np.unique(labels)) == {1, 2}


def test_the_metadata_lists_the_classes_that_may_compete_as_that_of_an_export() -> None:
    with Server() as server, Client(server.address, model="model") as client:
        signatures = client.metadata().signatures
    given = {name: each.inputs["classes"] for name, each in signatures.items() if "classes" in each.inputs}
    assert given.keys() == {"serving_default", "segment", "segment_bytes"}
    assert {(each.dtype, each.shape) for each in given.values()} == {("int32", (None,))}


def test_the_newest_version_answers_and_a_pinned_one_while_it_is_served(scene_pixels: np.ndarray) -> None:
    with Server({"m": {1: Model(["old"]), 2: Model(["new"])}}) as server:
        newest, pinned = Client(server.address, model="m"), Client(server.address, model="m", version=1)
        assert (newest.classify(scene_pixels).top.name, pinned.classify(scene_pixels).top.name) == (
            "new",
            "old",
        )
        server.label("m", "stable", 1)
        with Client(server.address, model="m", version_label="stable") as labelled:
            assert labelled.classify(scene_pixels).top.name == "old"
        server.serve("m", 3, Model(["newer"]), state="LOADING")
        server.withdraw("m", 2)
        assert newest.classify(scene_pixels).top.name == "old"
        assert [str(each) for each in newest.status()] == ["3 is LOADING", "2 is END", "1 is AVAILABLE"]
        server.withdraw("m", 1)
        with pytest.raises(ModelNotFound, match=r"Specific\(m, 1\)"):
            pinned.classify(scene_pixels)


@pytest.mark.parametrize(
    "case", [case for case in recorded_cases() if case.name in REFUSED], ids=lambda c: c.name
)
def test_refusals_are_those_of_tensorflow_serving(case: Case) -> None:
    models = {name: {1: Model(), 2: Model()} for name in ("affine", "classifier")}
    with (
        Server(models) as server,
        grpc.insecure_channel(server.address) as channel,
        pytest.raises(grpc.RpcError) as caught,
    ):
        channel.unary_unary(case.rpc, None, None)(case.request, timeout=10)
    assert (caught.value.code().name, caught.value.details()) == (case.code, case.message)


def test_health_is_that_of_the_server_as_a_whole() -> None:
    with Server() as server, grpc.insecure_channel(server.address) as channel:
        check = channel.unary_unary("/grpc.health.v1.Health/Check", None, None)
        assert check(b"", timeout=10) == b"\x08\x01"  # SERVING
        with pytest.raises(grpc.RpcError, match="service name unknown"):
            check(b"\x0a\x01m", timeout=10)
        watch = channel.unary_stream("/grpc.health.v1.Health/Watch", None, None)(b"", timeout=10)
        assert next(watch) == b"\x08\x01"
        watch.cancel()


def test_a_fault_comes_as_often_as_it_is_told(scene_pixels: np.ndarray) -> None:
    with Server() as server, Client(server.address, model="model") as client:
        server.fail(Status(UNAVAILABLE, "starting"), times=2, signature="classify")
        client.segment(scene_pixels)
        client.classify(scene_pixels)
        signatures = [call.signature for call in server.calls]
        assert signatures.count("classify") == 3
        server.fail(Status(grpc.StatusCode.DATA_LOSS, "lost"), method="GetModelStatus")
        with pytest.raises(ServingError, match="DATA_LOSS: lost"):
            client.status()
        server.heal()
        assert client.status()


def test_a_server_that_is_told_to_be_full_refuses_as_the_real_one() -> None:
    with Server() as server, grpc.insecure_channel(server.address) as channel:
        server.fail(Full(), times=1)
        with pytest.raises(grpc.RpcError) as caught:
            channel.unary_unary("/tensorflow.serving.ModelService/GetModelStatus", None, None)(
                b"", timeout=10
            )
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert caught.value.details() == "Server Threadpool Exhausted"


def test_of_its_threads_all_but_one_work_and_nobody_waits(scene_pixels: np.ndarray) -> None:
    gate = threading.Event()
    with Server(threads=3) as server, Client(server.address, model="model") as client:
        server.fail(Delay(gate), method="Predict")
        waiting = [threading.Thread(target=client.classify, args=(scene_pixels,)) for _ in range(2)]
        for thread in waiting:
            thread.start()
        while len(server.calls) < 2:
            pass
        with pytest.raises(Overloaded, match="Server Threadpool Exhausted"):
            client.status()
        gate.set()
        for thread in waiting:
            thread.join()
        assert server.most_at_once == 2


def test_of_one_thread_none_works() -> None:
    with (
        Server(threads=1) as server,
        Client(server.address, model="model") as client,
        pytest.raises(Overloaded, match="Server Threadpool Exhausted"),
    ):
        client.status()


def test_an_answer_that_is_late_ends_at_the_deadline_and_leaves_nothing(scene_pixels: np.ndarray) -> None:
    before = set(threading.enumerate())  # some of other tests, which may end meanwhile
    with Server() as server, Client(server.address, model="model") as client:
        server.fail(Delay(3600))
        with pytest.raises(DeadlineExceeded):
            client.classify(scene_pixels, timeout=0.1)
    assert set(threading.enumerate()) <= before


def test_a_server_that_goes_breaks_its_calls_and_comes_back_at_its_port(scene_pixels: np.ndarray) -> None:
    with Server() as server, Client(server.address, model="model") as client:
        server.fail(Delay(3600), times=1)
        errors: list[Exception] = []

        def call() -> None:
            with grpc.insecure_channel(server.address, [("grpc.enable_retries", 0)]) as channel:
                try:
                    channel.unary_unary("/tensorflow.serving.ModelService/GetModelStatus", None, None)(b"")
                except grpc.RpcError as error:
                    errors.append(error)

        thread = threading.Thread(target=call)
        thread.start()
        while not server.calls:
            pass
        server.stop()
        thread.join()
        assert [error.code() for error in errors] == [UNAVAILABLE]  # type: ignore[attr-defined]
        with pytest.raises(Unavailable, match="nothing listens"):
            Client(server.address, model="model", connect_timeout=0.1).status()
        server.start()
        assert client.classify(scene_pixels).top.name == "cat"


def test_metadata_of_a_call_is_seen(scene_pixels: np.ndarray) -> None:
    with Server() as server, Client(server.address, model="model", token="secret") as client:
        client.classify(scene_pixels)
        assert server.calls[-1].metadata["authorization"] == "Bearer secret"
        assert server.calls[-1].signature == "classify"


class TestLink:
    """The way to a server that is there."""

    def test_passes_on_and_counts(self, scene_pixels: np.ndarray) -> None:
        with Server() as server, Link(server.port) as link, Client(link.address, model="model") as client:
            client.classify(scene_pixels)
            assert link.sent > scene_pixels.nbytes
            assert link.answered > 0

    def test_that_is_cut_fails_calls_in_flight_as_the_end_of_a_process(self) -> None:
        with Server() as server, Link(server.port) as link:
            server.fail(Delay(3600))
            with grpc.insecure_channel(link.address, [("grpc.enable_retries", 0)]) as channel:
                status = channel.unary_unary("/tensorflow.serving.ModelService/GetModelStatus", None, None)
                call = status.future(b"", timeout=20)
                while not server.calls:
                    pass
                link.cut()
                assert call.exception().code() is UNAVAILABLE

    def test_that_is_half_open_is_silent_but_for_new_connections(self, scene_pixels: np.ndarray) -> None:
        with Server() as server, Link(server.port) as link, Client(link.address, model="model") as client:
            client.classify(scene_pixels)
            link.half_open()
            with pytest.raises(DeadlineExceeded):
                client.classify(scene_pixels, timeout=0.1)
            with socket.create_connection(("127.0.0.1", link.port), timeout=10) as new:
                assert new.recv(1)  # of the server's settings, the first bytes of HTTP/2

    def test_that_is_a_black_hole_takes_connections_and_is_silent(self) -> None:
        with Server() as server, Link(server.port) as link:
            link.black_hole()
            with Client(link.address, model="model") as client, pytest.raises(DeadlineExceeded):
                client.status(timeout=0.1)
            link.open()
            with Client(link.address, model="model") as client:
                assert client.status(timeout=20)

    def test_that_is_closed_refuses_and_may_open_again(self) -> None:
        before = set(threading.enumerate())
        with Server() as server, Link(server.port) as link:
            link.close()
            with Client(link.address, model="model", connect_timeout=0.1) as client:
                with pytest.raises(Unavailable, match="nothing listens"):
                    client.status()
                link.open()
                client.wait_until_ready(20)
        assert set(threading.enumerate()) <= before
