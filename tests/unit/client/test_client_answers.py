"""Answers that no well-made model gives, and models that lack what ours have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
import numpy as np
import pytest
from slimserve import Client, InvalidInput, ServerError
from slimserve.wire.protocol import PredictRequest

from tests.unit.client.conftest import PREDICT, ScriptedServer, predict_answer

Start = Callable[..., ScriptedServer]
IMAGE = np.zeros((2, 3, 3), np.uint8)


def by_signature(server: ScriptedServer, **answers: Any) -> None:
    """Answer each signature with that response, or refuse as TensorFlow Serving does one it has not."""

    def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
        signature = PredictRequest.FromString(request).model_spec.signature_name
        if signature not in answers:
            context.abort(
                grpc.StatusCode.FAILED_PRECONDITION, f'Serving signature key "{signature}" not found.'
            )
        return answers[signature](request) if callable(answers[signature]) else answers[signature]

    server.answers[PREDICT] = answer


def test_a_model_without_class_names_gets_numbers(scripted: Start) -> None:
    server = scripted()
    by_signature(server, segment=predict_answer(label_map=np.array([[[7, 7, 7], [7, 9, 9]]], np.uint8)))
    with Client(server.address, model="m") as client:
        assert client.segment(IMAGE).areas() == [("class 7", 7, 4 / 6), ("class 9", 9, 2 / 6)]


def test_class_names_are_asked_for_once(scripted: Start) -> None:
    server = scripted()
    by_signature(
        server,
        segment=predict_answer(label_map=np.full((1, 2, 3), 7, np.uint8)),
        labels=predict_answer(class_names=[b"tench"]),
    )
    with Client(server.address, model="m") as client:
        assert [client.segment(IMAGE).areas()[0].name for _ in range(3)] == ["tench"] * 3
    assert len(server.calls) == 4


@pytest.mark.parametrize(
    "response",
    [
        predict_answer(labels=np.zeros((1, 2, 3), np.uint8)),
        predict_answer(label_map=np.zeros((1, 3, 2), np.uint8)),
        predict_answer(label_map=np.zeros((2, 3), np.uint8)),
        predict_answer(label_map=np.zeros((1, 2, 3), np.float32)),
    ],
    ids=["missing", "turned", "rank", "type"],
)
def test_a_label_map_that_is_not_the_images_is_the_servers_fault(scripted: Start, response: bytes) -> None:
    server = scripted()
    by_signature(server, segment=response)
    with Client(server.address, model="m") as client, pytest.raises(ServerError, match="label_map"):
        client.segment(IMAGE)


def test_labels_of_another_type_are_told_which_is_expected(scripted: Start) -> None:
    """As of a model of another maker: argmax gives int64 by default."""
    server = scripted()
    by_signature(server, segment=predict_answer(label_map=np.zeros((1, 2, 3), np.int64)))
    words = r"'label_map' as int64 \[1, 2, 3\] where uint8 or uint16 \[1, 2, 3\] is expected"
    with Client(server.address, model="m") as client, pytest.raises(ServerError, match=words):
        client.segment(IMAGE)


def test_a_label_png_that_is_none_is_the_servers_fault(scripted: Start) -> None:
    server = scripted()
    by_signature(server, segment_bytes=predict_answer(label_png=[b"not a PNG"]))
    with Client(server.address, model="m") as client, pytest.raises(ServerError, match="cannot be read"):
        client.segment(b"BM image")


@pytest.mark.parametrize(
    "outputs",
    [
        {"class_names": [[b"a"]], "scores": np.ones((1, 1), np.float32)},
        {
            "class_ids": np.ones((2, 1), np.int32),
            "class_names": [[b"a"]],
            "scores": np.ones((1, 1), np.float32),
        },
        {
            "class_ids": np.ones((1, 1), np.int32),
            "class_names": [[b"a", b"b"]],
            "scores": np.ones((1, 1), np.float32),
        },
        {
            "class_ids": np.ones((1, 0), np.int32),
            "class_names": np.empty((1, 0), object),
            "scores": np.ones((1, 0), np.float32),
        },
    ],
    ids=["missing", "rows", "columns", "none"],
)
def test_a_ranking_that_does_not_fit_together_is_the_servers_fault(
    scripted: Start, outputs: dict[str, Any]
) -> None:
    server = scripted()
    by_signature(server, classify=predict_answer(**outputs))
    with Client(server.address, model="m") as client, pytest.raises(ServerError):
        client.classify(IMAGE)


def ranking(request: bytes) -> bytes:
    """Rank each image's first pixel as its class."""
    images = PredictRequest.FromString(request).inputs["images"]
    size = [dim.size for dim in images.tensor_shape.dim]
    ids = np.frombuffer(images.tensor_content, np.uint8).reshape(size)[:, 0, 0, :1].astype(np.int32)
    return predict_answer(
        class_ids=ids, class_names=[[b"x"]] * len(ids), scores=np.ones((len(ids), 1), np.float32)
    )


def test_a_server_that_takes_few_images_at_a_time_gets_them_one_by_one(scripted: Start) -> None:
    server = scripted()

    def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
        rows = PredictRequest.FromString(request).inputs["images"].tensor_shape.dim[0].size
        if rows > 4:
            context.abort(
                grpc.StatusCode.INVALID_ARGUMENT,
                f"Task size {rows} is larger than maximum input batch size 4",
            )
        return ranking(request)

    server.answers[PREDICT] = answer
    images = [np.full((2, 2, 3), value, np.uint8) for value in range(12)]
    with Client(server.address, model="m") as client:
        assert [answer.top.id for answer in client.classify(images)] == list(range(12))
    assert len(server.calls) == 2 + 12  # of six images each, at first


def test_many_images_go_in_several_requests_in_order(scripted: Start) -> None:
    server = scripted()
    by_signature(server, classify=ranking)
    images = [np.full((2, 2 + value // 10, 3), value, np.uint8) for value in range(25)]
    with Client(server.address, model="m") as client:
        assert [answer.top.id for answer in client.classify(images)] == list(range(25))
    assert len(server.calls) == 1 + 2 + 2 + 1  # eight images or fewer, all of one size


def test_an_image_that_cannot_be_sent_is_named_by_its_place(scripted: Start) -> None:
    server = scripted()
    by_signature(server, classify=ranking)
    with (
        Client(server.address, model="m") as client,
        pytest.raises(InvalidInput, match=r"images\[1\] is empty"),
    ):
        client.classify([IMAGE, b"", IMAGE])
