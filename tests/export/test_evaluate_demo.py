"""`slimserve evaluate` on the demo: the figures of `make quality`, and what 8 bits cost."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from slimserve.cli.main import main

from benchmarks.quality.cli import scene
from tests.conftest import ROOT
from tests.support.serving import Serving

DEFAULT = "aligned, bilinear: the default, and FCN-32s"
FIGURES = ("mean_iou", "pixel_accuracy", "boundary_f_score")
Evaluate = Callable[..., dict[str, Any]]


@pytest.fixture
def evaluate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Evaluate:
    """Evaluate the first scenes of `make quality`; the object of --json."""

    def run(scenes: int, server: str, *options: str) -> dict[str, Any]:
        for folder in ("scenes", "maps"):
            (tmp_path / folder).mkdir(exist_ok=True)
        for number in range(scenes):
            image, truth = scene(number)
            Image.fromarray(image).save(tmp_path / "scenes" / f"{number}.png")
            Image.fromarray(truth).save(tmp_path / "maps" / f"{number}.png")
        words = ["evaluate", str(tmp_path / "scenes"), "--truth", str(tmp_path / "maps"), "--json"]
        words += ["--out", str(tmp_path / "out"), "--server", server, "--timeout", "600", *options]
        assert main(words) == 0
        result: dict[str, Any] = json.loads(capsys.readouterr().out)
        return result

    return run


@contextlib.contextmanager
def serving(model: Path) -> Iterator[str]:
    """Serve the model's folder in full size; give the address."""
    server = Serving("--engine", "embedded", "--port", 0, "--model", f"vgg_16={model}")
    with contextlib.closing(server):
        yield server.address


@pytest.fixture(scope="module")
def float32(models: Path) -> Iterator[str]:
    with serving(models / "vgg_16") as address:
        yield address


@pytest.fixture(scope="module")
def int8_server(int8: Path) -> Iterator[str]:
    with serving(int8.parent) as address:
        yield address


def test_figures_are_those_of_the_label_map_that_it_leaves(
    evaluate: Evaluate, float32: str, tmp_path: Path
) -> None:
    result = evaluate(1, float32)
    found = np.asarray(Image.open(tmp_path / "out" / "0.png.labels.png"))
    right = scene(0)[1] == found
    assert result["figures"]["pixel_accuracy"]["value"] == pytest.approx(right.mean())
    assert result["figures"]["mean_iou"]["value"] > 0.8
    assert {each["name"] for each in result["classes"]} >= {"sky", "brick"}


def test_figures_of_two_scenes_are_those_of_the_label_maps(
    evaluate: Evaluate, engine: str, tmp_path: Path
) -> None:
    result = evaluate(2, engine, "--concurrency", "2")
    truths = [scene(number)[1].ravel() for number in range(2)]
    found = [
        np.asarray(Image.open(tmp_path / "out" / f"{number}.png.labels.png")).ravel() for number in range(2)
    ]
    right = np.concatenate(truths) == np.concatenate(found)
    assert result["figures"]["pixel_accuracy"]["value"] == pytest.approx(right.mean())


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_a_hundred_scenes_give_the_figures_of_make_quality(
    evaluate: Evaluate, float32: str, int8_server: str
) -> None:
    result = evaluate(100, float32, "--against", int8_server)
    recorded = json.loads((ROOT / "benchmarks" / "quality.json").read_text())["procedures"]
    expected = next(row for row in recorded if row["procedure"] == DEFAULT)
    for figure in FIGURES:
        found = result["figures"][figure]
        assert found["value"] == pytest.approx(expected[figure], abs=0.001), figure
        assert found["interval"][0] < found["value"] < found["interval"][1]
    for figure in FIGURES:
        difference = result["differences"][figure]
        low, high = difference["interval"]
        # The same images on both sides: what is easy or hard in them cancels out, and the interval is narrow.
        assert -0.02 < low <= difference["value"] <= high < 0.02, figure
