"""`evaluate` against a scripted model: figures counted by hand, resumed runs, a second side, what is told."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from PIL import Image
from slimserve.cli.main import main
from slimserve.wire.protocol import (
    GetModelMetadataRequest,
    GetModelMetadataResponse,
    PredictRequest,
    SignatureDefMap,
)

from tests.unit.client.conftest import GET_MODEL_METADATA, PREDICT, ScriptedServer, predict_answer

CLASSES = ("red", "green", "blue", "white", "black", "gray")
COLOURS = ((200, 0, 0), (0, 200, 0), (0, 0, 200), (250, 250, 250), (0, 0, 0), (128, 128, 128))
Start = Callable[..., ScriptedServer]
Run = Callable[..., dict[str, Any]]


class Model:
    """Sees colours. `confuses` gives what a class is taken for, by version; `images` are those it was asked."""

    def __init__(self, server: ScriptedServer) -> None:
        self.server, self.address = server, server.address
        self.newest = 1
        self.names = CLASSES
        self.confuses: dict[int, dict[int, int]] = {1: {}, 2: {}}
        self.images = 0
        self.fails_at = -1
        server.answers = {PREDICT: self.predict, GET_MODEL_METADATA: self.describe}

    def _version(self, request: Any) -> int:
        asked: int = request.model_spec.version.value
        return asked or self.newest

    def describe(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        version = self._version(GetModelMetadataRequest.FromString(request))
        signatures = SignatureDefMap()
        shape = signatures.signature_def["classify"].outputs["probabilities"].tensor_shape
        for size in (-1, len(CLASSES)):
            shape.dim.add(size=size)
        response = GetModelMetadataResponse(model_spec={"version": {"value": version}})
        response.metadata["signature_def"].value = signatures.SerializeToString()
        return bytes(response.SerializeToString())

    def predict(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        asked = PredictRequest.FromString(request)
        version = self._version(asked)
        signature = asked.model_spec.signature_name
        if signature == "labels":
            ids = np.frombuffer(asked.inputs["class_ids"].tensor_content, np.int32)
            return predict_answer(version, class_names=[self.names[id] for id in ids])
        self.images += 1
        if self.images == self.fails_at:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "this one is refused")
        (encoded,) = asked.inputs["image_bytes"].string_val
        pixels = np.asarray(Image.open(io.BytesIO(encoded)).convert("RGB")).astype(int)
        away = np.abs(pixels[:, :, None] - np.array(COLOURS)).sum(-1)
        labels = away.argmin(-1).astype(np.uint8)
        confuses = self.confuses[version]
        labels = np.array([confuses.get(id, id) for id in range(len(CLASSES))], np.uint8)[labels]
        if signature == "segment_bytes":
            file = io.BytesIO()
            Image.fromarray(labels).save(file, "PNG")
            return predict_answer(version, label_png=[file.getvalue()])
        counts = np.bincount(labels.ravel(), minlength=len(CLASSES))
        ids = np.argsort(-counts, kind="stable")
        probabilities = (counts / counts.sum()).astype(np.float32)
        return predict_answer(
            version,
            class_ids=ids[None, :5].astype(np.int32),
            class_names=[[CLASSES[id] for id in ids[:5]]],
            scores=probabilities[None, ids[:5]],
            probabilities=probabilities[None],
        )


@pytest.fixture
def model(scripted: Start) -> Model:
    return Model(scripted())


@pytest.fixture
def run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, model: Model
) -> Run:
    """Evaluate; the object of --json, with what was said as `said`."""
    monkeypatch.chdir(tmp_path)

    def run(truth: str, *options: str, status: int = 0) -> dict[str, Any]:
        capsys.readouterr()
        model.images = 0
        words = ["evaluate", "photos", "--truth", truth, "--server", model.address, "--json", *options]
        assert main(words) == status
        output = capsys.readouterr()
        return {**json.loads(output.out or "{}"), "said": output.err}

    return run


@pytest.fixture
def colours(tmp_path: Path) -> Path:
    """Six images of one colour each, called after their classes, and their truth: a table, and folders."""
    (tmp_path / "photos").mkdir()
    for name, colour in zip(CLASSES, COLOURS, strict=True):
        Image.new("RGB", (8, 6), colour).save(tmp_path / "photos" / f"{name}.png")
    (tmp_path / "truth.csv").write_text("".join(f"{name}.png,{name}\n" for name in CLASSES))
    return tmp_path


@pytest.fixture
def flags(tmp_path: Path) -> dict[str, np.ndarray]:
    """Four images of stripes of classes 0, 1 and 2, and their label maps, in which a corner is ignored."""
    random = np.random.default_rng(3)
    truths = {}
    for folder in ("photos", "maps"):
        (tmp_path / folder).mkdir()
    for name in "abcd":
        labels = np.repeat(random.integers(0, 3, (1, 8)), 5, axis=1).repeat(30, axis=0).astype(np.uint8)
        Image.fromarray(np.array(COLOURS, np.uint8)[labels]).save(tmp_path / "photos" / f"{name}.png")
        truth = labels.copy()
        truth[:10, :10] = 255
        Image.fromarray(truth).save(tmp_path / "maps" / f"{name}.png")
        truths[name] = truth
    return truths


def test_top_1_and_top_5_are_counted(colours: Path, run: Run, model: Model) -> None:
    model.confuses[1] = {0: 1, 5: 4, 3: 5}
    result = run("truth.csv")
    assert result["task"] == "classify"
    assert result["figures"]["top_1"]["value"] == 3 / 6
    # Of equal scores the lower id is first: red is second, white the last of the first five, gray is none of them.
    assert result["figures"]["top_5"]["value"] == 5 / 6
    assert {each["name"]: each["top_1"] for each in result["classes"]} == {
        name: float(name not in ("red", "gray", "white")) for name in CLASSES
    }
    assert {(each["truth"], each["found"]) for each in result["confused"]} == {
        ("red", "green"),
        ("gray", "black"),
        ("white", "gray"),
    }


def test_the_surest_mistake_is_the_worst_and_the_surest_answer_the_best(colours: Path, run: Run) -> None:
    pixels = np.zeros((10, 10, 3), np.uint8)
    for name, rows in (("unsure", 6), ("sure", 9)):
        pixels[:rows], pixels[rows:] = COLOURS[2], COLOURS[0]
        Image.fromarray(pixels).save(colours / "photos" / f"{name}.png")
        Image.fromarray(pixels).save(colours / "photos" / f"right-{name}.png")
    (colours / "truth.csv").write_text("unsure,red\nsure,red\nright-sure,blue\nright-unsure,blue\n")
    order = [Path(each["image"]).stem for each in run("truth.csv")["worst_first"]]
    assert order == ["sure", "unsure", "right-unsure", "right-sure"]


def test_a_table_of_numbers_gives_the_same_figures(colours: Path, run: Run, model: Model) -> None:
    model.confuses[1] = {0: 1}
    named = run("truth.csv")["figures"]
    (colours / "numbers.csv").write_text("".join(f"{name}.png,{id}\n" for id, name in enumerate(CLASSES)))
    assert run("numbers.csv")["figures"] == named


def test_identifiers_are_found_in_the_labels_of_the_export(colours: Path, run: Run) -> None:
    (colours / "labels.tsv").write_text("".join(f"n{id}\t{name}\n" for id, name in enumerate(CLASSES)))
    (colours / "ids.csv").write_text("".join(f"{name}.png,n{id}\n" for id, name in enumerate(CLASSES)))
    assert run("ids.csv", "--labels", "labels.tsv")["figures"]["top_1"]["value"] == 1
    assert "--labels" in run("ids.csv", status=1)["said"]
    (colours / "labels.tsv").write_text("".join(f"n{id}\tother\n" for id in range(6)))
    assert "names other classes" in run("ids.csv", "--labels", "labels.tsv", status=1)["said"]


def test_a_class_that_the_model_lacks_is_told_and_wrong(colours: Path, run: Run) -> None:
    (colours / "truth.csv").write_text("red.png,scarlet\ngreen.png,green\nsky.png,blue\n")
    result = run("truth.csv")
    assert result["figures"]["top_1"]["value"] == 1 / 2
    assert result["unknown_classes"] == {"scarlet": 1}
    said = result["said"]
    assert "lacks the class 'scarlet'" in said
    assert "4 of 6 images have no truth and are left out: photos/black.png" in said
    assert "1 in the truth have no image: sky.png" in said


def test_label_maps_are_judged_as_their_pixels_are_counted(
    flags: dict[str, np.ndarray], run: Run, model: Model
) -> None:
    model.confuses[1] = {2: 1}
    result = run("maps")
    truth = np.concatenate([each.ravel() for each in flags.values()])
    found = np.where(truth == 2, 1, truth)
    judged = truth != 255
    ious = {
        id: np.sum((truth == id) & (found == id)) / np.sum(((truth == id) | (found == id)) & judged)
        for id in set(truth[judged].tolist())
    }
    assert result["task"] == "segment"
    assert "8.33% of the pixels are ignored by the truth and not judged" in result["notes"]
    assert result["figures"]["pixel_accuracy"]["value"] == pytest.approx(np.mean((truth == found)[judged]))
    assert result["figures"]["mean_iou"]["value"] == pytest.approx(np.mean(list(ious.values())))
    assert {each["id"]: each["iou"] for each in result["classes"]} == pytest.approx(ious)
    assert result["confused"] == [{"truth": "blue", "found": "green", "pixels": int(np.sum(truth == 2))}]
    worst = [each["mean_iou"] for each in result["worst_first"]]
    assert worst == sorted(worst)


def test_a_number_of_the_truth_that_the_model_lacks_is_told_and_wrong(
    flags: dict[str, np.ndarray], run: Run, tmp_path: Path
) -> None:
    changed = flags["a"].copy()
    changed[20:] = 9
    Image.fromarray(changed).save(tmp_path / "maps" / "a.png")
    result = run("maps")
    assert result["unknown_classes"] == {"9": 1}
    assert "lacks the class '9' of the truth: wrong in 1 images" in result["said"]
    assert next(each for each in result["classes"] if each["id"] == 9)["iou"] == 0


def test_a_truth_of_another_size_is_an_error_of_that_image(
    flags: dict[str, np.ndarray], run: Run, tmp_path: Path
) -> None:
    Image.fromarray(flags["a"][1:]).save(tmp_path / "maps" / "a.png")
    Image.new("L", (40, 30), 255).save(tmp_path / "maps" / "b.png")
    result = run("maps", status=1)
    assert result["images"] == 2
    errors = [each["error"] for each in result["without_answer"]]
    assert "a.png is 40x29 pixels and its image 40x30" in errors[0]
    assert "which is ignored: nothing to judge" in errors[1]


@pytest.mark.parametrize("truth", ["truth.csv", "maps"])
def test_a_run_goes_on_where_it_was_and_finds_the_same(
    truth: str, request: pytest.FixtureRequest, run: Run, model: Model
) -> None:
    request.getfixturevalue("colours" if truth == "truth.csv" else "flags")
    model.confuses[1] = {1: 2}
    model.fails_at = 3
    first = run(truth, "--concurrency", "1", status=1)
    assert len(first["without_answer"]) == 1
    model.fails_at = -1
    second = run(truth)
    assert model.images == 1
    third = run(truth)
    assert model.images == 0
    assert third == second
    fourth = run(truth, "--overwrite")
    assert model.images == fourth["images"]
    assert fourth == second


def test_another_truth_is_judged_without_asking_again(colours: Path, run: Run, model: Model) -> None:
    assert run("truth.csv")["figures"]["top_1"]["value"] == 1
    (colours / "truth.csv").write_text("red.png,green\nblue.png,blue\n")
    assert run("truth.csv")["figures"]["top_1"]["value"] == 1 / 2
    assert model.images == 0


def test_ctrl_c_loses_nothing(colours: Path, run: Run, model: Model) -> None:
    two_done = threading.Event()

    def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
        if model.images < 2:
            return model.predict(request, context)
        two_done.set()
        while context.is_active():
            time.sleep(0.01)
        return b""

    model.server.answers[PREDICT] = answer
    command = [
        sys.executable,
        "-m",
        "slimserve",
        "evaluate",
        "photos",
        "--truth",
        "truth.csv",
        "--concurrency",
        "1",
    ]
    process = subprocess.Popen(
        [*command, "--server", model.address], cwd=colours, stderr=subprocess.PIPE, text=True
    )
    assert two_done.wait(30)
    os.kill(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 130
    assert errors.splitlines()[-1] == "stopped: 2 images were done; the same command goes on from there"
    model.server.answers[PREDICT] = model.predict
    assert run("truth.csv")["figures"]["top_1"]["value"] == 1
    assert model.images == 4


def test_a_version_on_trial_is_compared_image_by_image(colours: Path, run: Run, model: Model) -> None:
    model.confuses = {1: {0: 1}, 2: {0: 1, 1: 2, 5: 4}}
    result = run("truth.csv", "--against-version", "2")
    difference = result["differences"]["top_1"]
    assert difference["value"] == pytest.approx(-2 / 6)
    assert (difference["first_alone_right"], difference["second_alone_right"]) == (2, 0)
    assert difference["p"] == pytest.approx(0.5)
    low, high = difference["interval"]
    assert low < -2 / 6 < high <= 0
    assert (result["model_version"], result["against"]["model_version"]) == (1, 2)
    assert run("truth.csv", "--against-version", "2") == result
    assert model.images == 0


def test_another_server_is_compared(
    flags: dict[str, np.ndarray], run: Run, model: Model, scripted: Start
) -> None:
    other = Model(scripted())
    model.confuses[1] = {2: 1}
    result = run("maps", "--against", other.address)
    assert result["against"]["figures"]["mean_iou"]["value"] == 1
    mean_iou = result["differences"]["mean_iou"]
    assert mean_iou["value"] == pytest.approx(1 - result["figures"]["mean_iou"]["value"])
    assert mean_iou["interval"][0] > 0
    assert (model.images, other.images) == (4, 4)


def test_sides_that_name_their_classes_differently_are_told_apart(
    colours: Path, run: Run, scripted: Start
) -> None:
    other = Model(scripted())
    other.names = ("green", "red", *CLASSES[2:])
    result = run("truth.csv", "--against", other.address)
    assert "the sides name 2 classes differently, such as 'red' and 'green'" in result["notes"]
    assert result["differences"]["top_1"]["value"] == pytest.approx(-2 / 6)


def test_a_side_is_not_compared_with_itself(colours: Path, run: Run, model: Model) -> None:
    said = run("truth.csv", "--against", model.address, status=1)["said"]
    assert "both sides are" in said
    assert model.images == 0


def test_a_new_version_does_not_mix_into_a_run(colours: Path, run: Run, model: Model) -> None:
    model.confuses[2] = dict.fromkeys(range(6), 0)

    def rolled_out(request: bytes, context: grpc.ServicerContext) -> bytes:
        answer = model.predict(request, context)
        model.newest = 2
        return answer

    model.server.answers[PREDICT] = rolled_out
    assert run("truth.csv")["figures"]["top_1"]["value"] == 1
    assert run("truth.csv")["figures"]["top_1"]["value"] == 1 / 6


def test_the_tables_name_what_they_show(
    colours: Path, model: Model, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(colours)
    monkeypatch.setenv("COLUMNS", "120")
    model.confuses[2] = {0: 1}
    words = [
        "evaluate",
        "photos",
        "--truth",
        "truth.csv",
        "--server",
        model.address,
        "--against-version",
        "2",
    ]
    assert main(words) == 0
    output = capsys.readouterr()
    top_1 = next(line.split() for line in output.out.splitlines() if line.strip().startswith("top-1"))
    assert " ".join(top_1[:7]) == "top-1 100.00 % 83.33 % -16.67 %"
    assert "percentile bootstrap" in output.out
    assert "McNemar's exact test" in output.out
    assert "fewer than 30 images" in output.out
    assert output.err.startswith("classify: truth.csv is a table of classes")


@pytest.mark.parametrize("truth", ["truth.csv", "maps"])
def test_the_page_has_the_worst_images_first(
    truth: str, request: pytest.FixtureRequest, run: Run, model: Model, tmp_path: Path
) -> None:
    request.getfixturevalue("colours" if truth == "truth.csv" else "flags")
    model.confuses[1] = {2: 1}
    result = run(truth, "--report", "pages/report.html")
    page = (tmp_path / "pages" / "report.html").read_text()
    headings = re.findall(r"<h2><bdi>(.*?)</bdi></h2>", page)
    assert headings == [Path(each["image"]).name for each in result["worst_first"]]
    assert page.count('<div class="compare">') == (len(headings) if truth == "maps" else 0)
    assert 'class="missing"' not in page


@pytest.mark.parametrize("report", ["photos/red.png", "evaluation/evaluation.jsonl", "photos"])
def test_a_page_never_replaces_another_file_of_the_run(
    colours: Path, run: Run, model: Model, report: str
) -> None:
    assert f"the report {report} " in run("truth.csv", "--report", report, status=1)["said"]
    assert model.images == 0
