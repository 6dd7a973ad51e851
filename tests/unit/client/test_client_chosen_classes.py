"""Label maps among chosen classes, and the names that come with them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import grpc
import numpy as np
import pytest
from slimserve import Client, InvalidInput, ServerError, testing
from slimserve.wire.protocol import PredictRequest

from tests.unit.client.conftest import PREDICT, ScriptedServer, predict_answer, refusing

Start = Callable[..., ScriptedServer]
IMAGE = np.zeros((2, 3, 3), np.uint8)
NAMES = ["sky", "sea", "sand", "sky"]


class Model:
    """A model whose pixels all get the lowest class that may compete; `versions` give names, each for one answer."""

    def __init__(self, server: ScriptedServer, versions: Sequence[Sequence[str]] = (NAMES,)) -> None:
        self.asked: list[list[int] | None] = []  # the classes of each call for a label map
        self._versions = list(versions)
        server.answers[PREDICT] = self._answer

    def _answer(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        asked = PredictRequest.FromString(request)
        assert asked.model_spec.signature_name == "segment"
        names = [name.encode() for name in self._versions[0]]
        if len(self._versions) > 1:
            self._versions.pop(0)
        if list(asked.output_filter) == ["class_names"]:
            return predict_answer(class_names=names)
        classes = None
        if "classes" in asked.inputs:
            classes = np.frombuffer(asked.inputs["classes"].tensor_content, np.int32).tolist()
        self.asked.append(classes)
        size = [dim.size for dim in asked.inputs["images"].tensor_shape.dim[1:3]]
        best = min(classes or [0])
        return predict_answer(label_map=np.full((1, *size), best, np.uint8), class_names=names)


def test_the_names_of_an_answer_are_its_own_in_one_call(scripted: Start) -> None:
    server = scripted()
    Model(server, [["sky"], ["sea"]])
    with Client(server.address, model="m") as client:
        assert [client.segment(IMAGE).areas()[0].name for _ in range(2)] == ["sky", "sea"]
    assert len(server.calls) == 2


def test_ids_are_sent_as_they_are(scripted: Start) -> None:
    server = scripted()
    model = Model(server)
    with Client(server.address, model="m") as client:
        assert client.segment(IMAGE, classes=np.array([2, 1])).areas()[0].name == "sea"
    assert (model.asked, len(server.calls)) == ([[2, 1]], 1)


def test_a_name_stands_for_all_classes_that_have_it(scripted: Start) -> None:
    server = scripted()
    model = Model(server)
    with Client(server.address, model="m") as client:
        client.segment(IMAGE, classes=["sky", 2])
        client.segment([IMAGE, IMAGE], classes=["sand"])
    assert model.asked == [[0, 3, 2], [2], [2]]
    assert len(server.calls) == 4  # the names are asked for once


def test_names_mean_what_the_version_that_answers_calls_so(scripted: Start) -> None:
    server = scripted()
    model = Model(server, [["sky", "sea"], ["sea", "sky"]])
    with Client(server.address, model="m") as client:
        assert client.segment(IMAGE, classes=["sea"]).areas()[0].name == "sea"
    assert model.asked == [[1], [0]]


class NamesOfAnother(list[str]):
    """What is known of a model's names, where another thread's answer of another version comes just after ours."""

    def __setitem__(self, place: Any, names: Any) -> None:
        super().__setitem__(place, ["sea", "sky"])


def test_an_answer_is_judged_by_its_own_names_whatever_another_thread_has_learnt(scripted: Start) -> None:
    server = scripted()
    model = Model(server, [["sky", "sea"]])
    with Client(server.address, model="m") as client:
        client._model.names = NamesOfAnother(["sea", "sky"])
        assert client.segment(IMAGE, classes=["sea"]).areas()[0].name == "sea"
    assert model.asked == [[0], [1]]


def test_names_that_a_newer_version_has_are_found(scripted: Start) -> None:
    server = scripted()
    model = Model(server, [["sky"], ["sky"], ["sky", "quokka"]])
    with Client(server.address, model="m") as client:
        client.segment(IMAGE, classes=["sky"])
        assert client.segment(IMAGE, classes=["quokka"]).areas()[0].name == "quokka"
    assert model.asked == [[0], [1]]


def test_versions_that_change_with_every_answer_are_given_up(scripted: Start) -> None:
    server = scripted()
    Model(server, [["sky", "sea"], ["sea", "sky"]] * 5)
    with Client(server.address, model="m") as client, pytest.raises(ServerError, match="another version"):
        client.segment(IMAGE, classes=["sea"])


def test_names_are_found_in_the_middle_of_an_update_of_the_replicas() -> None:
    """Each replica has its own version, which has other ids, and the next call goes to the other one."""
    older = testing.Model(["sky", "sea", "sand"], label_map=[[2]])
    newer = testing.Model(["new", "sand", "sky", "sea"], label_map=[[1]])
    with (
        testing.Server({"m": {1: older}}) as one,
        testing.Server({"m": {2: newer}}) as other,
        Client([one.address, other.address], model="m") as client,
    ):
        scenes = [client.segment(IMAGE, classes=["sand", "sky"]) for _ in range(10)]
    assert [scene.areas()[0].name for scene in scenes] == ["sand"] * 10
    assert {scene.model_version for scene in scenes} == {1, 2}


def test_a_version_of_fewer_classes_is_asked_by_its_own_ids() -> None:
    many = testing.Model([*(f"class {id}" for id in range(20)), "sky"], label_map=[[20]])
    with testing.Server({"m": {1: many}}) as server, Client(server.address, model="m") as client:
        client.segment(IMAGE, classes=["sky"])
        server.serve("m", 2, testing.Model(["sea", "sky"], label_map=[[1]]))
        assert client.segment(IMAGE, classes=["sky"]).areas()[0].name == "sky"
        with pytest.raises(InvalidInput, match="classes must be class ids, from 0 to 1"):
            client.segment(IMAGE, classes=["sky", 5])


def test_names_are_asked_of_another_version_where_the_first_has_gone() -> None:
    older, newer = (testing.Model(names, label_map=[[0]]) for names in (["sky", "sea"], ["sea", "sky"]))
    with testing.Server({"m": {1: older}}) as server, Client(server.address, model="m") as client:

        def replace(call: testing.Call) -> None:
            if len(server.calls) == 2:  # behind the question for the names
                server.serve("m", 2, newer)
                server.withdraw("m", 1)

        server.fail(replace, method="Predict")
        scene = client.segment(IMAGE, classes=["sea"])
    assert (scene.model_version, scene.areas()[0].name) == (2, "sea")


def test_tiles_are_asked_for_the_same_classes(scripted: Start) -> None:
    server = scripted()
    model = Model(server)
    with Client(server.address, model="m") as client:
        scene = client.segment(np.zeros((32, 200, 3), np.uint8), tile=64, overlap=0, classes=["sand", "sea"])
    assert scene.areas()[0].name == "sea"
    assert model.asked == [[2, 1]] * 4


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ([], "classes is empty"),
        ("sky", "a list of ids or names, not the text 'sky'"),
        (b"sky", "a list of ids or names, not the text b'sky'"),
        ([1.5], "a list of ids or names"),
        ([-1], "a number from 0"),
        (["snad"], "no class named 'snad': did you mean 'sand'"),
    ],
)
def test_what_are_no_classes_is_refused(scripted: Start, classes: Any, message: str) -> None:
    server = scripted()
    Model(server)
    with Client(server.address, model="m") as client, pytest.raises(InvalidInput, match=message):
        client.segment(IMAGE, classes=classes)


@pytest.mark.parametrize(
    ("classes", "words"),
    [
        ([1], "input size does not match signature: 2!=1"),
        (["sky"], "output tensor alias not found in signature"),
    ],
)
def test_an_export_from_before_is_named(scripted: Start, classes: Any, words: str) -> None:
    server = scripted()
    server.answers[PREDICT] = refusing(grpc.StatusCode.INVALID_ARGUMENT, words)
    with Client(server.address, model="m") as client, pytest.raises(InvalidInput, match="export it anew"):
        client.segment(IMAGE, classes=classes)


def test_a_label_without_a_name_is_the_servers_fault(scripted: Start) -> None:
    server = scripted()
    Model(server, [["sky"]])
    with (
        Client(server.address, model="m") as client,
        pytest.raises(ServerError, match=r"class 2, .* names 1"),
    ):
        client.segment(IMAGE, classes=[2])


def test_groups_of_classes_are_regions_of_one(scripted: Start) -> None:
    server = scripted()
    Model(server, [["tabby", "sky", "lynx"]])
    with Client(server.address, model="m") as client:
        scene = client.segment(IMAGE, classes=["lynx"], groups={"lynx": "cat", "tabby": "cat"})
        assert scene.areas() == [("cat", 0, 1.0)]
        with pytest.raises(InvalidInput, match="no class named 'lion'"):
            client.segment(IMAGE, groups={"lion": "cat"})


def half_sky(request: bytes, context: grpc.ServicerContext) -> bytes:
    """The left half is class 0, the right half 3, and one pixel 2; whatever is not chosen becomes the first class."""
    asked = PredictRequest.FromString(request)
    labels = np.zeros((1, 20, 40), np.uint8)
    labels[:, :, 20:] = 3
    labels[:, 0, 0] = 2
    if "classes" in asked.inputs:
        chosen = np.frombuffer(asked.inputs["classes"].tensor_content, np.int32)
        labels[~np.isin(labels, chosen)] = chosen[0]
    return predict_answer(label_map=labels, class_names=[b"sea", b"sky", b"sand", b"grass"])


def test_the_top_classes_are_those_that_cover_enough_of_a_first_label_map(scripted: Start) -> None:
    server = scripted()
    server.answers[PREDICT] = half_sky
    with Client(server.address, model="m") as client:
        scene = client.segment(np.zeros((20, 40, 3), np.uint8), classes="top")
    assert {area.name: area.fraction for area in scene.areas()} == {"sea": 0.5, "grass": 0.5}
    assert len(server.calls) == 2


@pytest.mark.parametrize("cut", [{}, {"tile": 64, "overlap": 0}], ids=["whole", "tiles"])
@pytest.mark.parametrize("is_withdrawn", [False, True])
def test_the_top_classes_are_asked_of_the_version_that_found_them(
    cut: dict[str, int], is_withdrawn: bool
) -> None:
    """Another version may have other classes under these ids, and none of these names."""
    older, newer = (testing.Model(names, label_map=[[0, 1]]) for names in (["sky", "sea"], ["dog", "cat"]))
    first_pass = 2 if cut else 1
    with testing.Server({"m": {1: older}}) as server, Client(server.address, model="m") as client:

        def load(call: testing.Call) -> None:
            if len(server.calls) > first_pass:
                server.serve("m", 2, newer)
                if is_withdrawn:
                    server.withdraw("m", 1)

        server.fail(load, method="Predict")
        scene = client.segment(np.zeros((40, 80, 3), np.uint8), classes="top", tiles_at_once=1, **cut)
    assert scene.model_version == (2 if is_withdrawn else 1)
    assert {area.name for area in scene.areas()} == ({"dog", "cat"} if is_withdrawn else {"sky", "sea"})


def test_analyze_takes_the_names_of_its_label_map_from_the_same_answer(scripted: Start) -> None:
    server = scripted()
    answer = predict_answer(
        class_ids=np.array([[1]], np.int32),
        class_names=[[b"sea"]],
        scores=np.ones((1, 1), np.float32),
        label_map=np.full((1, 2, 3), 2, np.uint8),
        label_names=[b"sky", b"sea", b"sand"],
    )
    server.answers[PREDICT] = lambda request, context: answer
    with Client(server.address, model="m") as client:
        both = client.analyze(IMAGE)
    assert (both.classification.top.name, both.segmentation.areas()[0].name) == ("sea", "sand")
    assert len(server.calls) == 1
