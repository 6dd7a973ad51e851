"""Runs of `evaluate`: continued, interrupted, and of two sides at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import grpc
import numpy as np
import pytest

from tests.unit.client.conftest import PREDICT
from tests.unit.client.evaluate.conftest import CLASSES, Model, Run, Start


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
    assert errors.splitlines()[-1] == "stopped: 2 images done; the same command goes on from there"
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


@pytest.mark.parametrize("option", ["--tile", "--ignore"])
def test_what_is_of_label_maps_is_refused_for_a_table_of_classes(
    colours: Path, run: Run, model: Model, option: str
) -> None:
    said = run("truth.csv", option, "512", status=1)["said"]
    assert said.splitlines()[-1] == (
        "error: --tile and --ignore are of label maps: leave them out, truth.csv is a table of classes"
    )
    assert model.images == 0
