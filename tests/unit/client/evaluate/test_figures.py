"""`evaluate` with a truth: what is counted as right, and what is told of a truth that does not fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.unit.client.evaluate.conftest import CLASSES, COLOURS, Model, Run


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


def test_a_class_that_is_named_in_several_ways_is_one(colours: Path, run: Run, model: Model) -> None:
    model.confuses[1] = {2: 3}
    for name in ("sky", "sea"):
        Image.new("RGB", (8, 6), COLOURS[2]).save(colours / "photos" / f"{name}.png")
    (colours / "truth.csv").write_text("blue.png,blue\nsky.png,2\nsea.png,02\n")
    result = run("truth.csv")
    assert [(each["name"], each["id"], each["images"]) for each in result["classes"]] == [("blue", 2, 3)]
    assert result["confused"] == [{"truth": "blue", "found": "white", "images": 3}]


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
    assert "lacks the class '9' of the truth: wrong in 1 image\n" in result["said"]
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
