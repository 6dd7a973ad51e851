"""`--verify FOLDER`: the export on the user's images, and what of it stands in the record and the report."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from slimserve.export import cli
from slimserve.export.errors import ExportError
from slimserve.export.networks import NETWORKS
from slimserve.export.verify.agreement import Agreement, wilson
from slimserve.export.verify.folder import label_maps_among
from slimserve.export.verify.labels import Labels
from slimserve.export.verify.photos import Photos

from tests.support.small_network import SMALL

PHOTOS = 3
AGREED = Agreement(images=30, top_1=1.0, label_map=1.0, logit_error=0.01)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    random = np.random.default_rng(6)
    for index, suffix in enumerate(("png", "jpg", "png")):
        pixels = random.integers(0, 256, (8, 10, 3)).repeat(33, axis=0).repeat(31 + index, axis=1)
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{index}.{suffix}")
    (folder / "notes.txt").write_text("none")
    return folder


@pytest.fixture
def export(
    small_network: Path, tmp_path: Path, call: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Any]:
    monkeypatch.setitem(NETWORKS, SMALL.name, SMALL)
    arguments = ("--ckpt", small_network, "--net", "small", "--out", tmp_path / "out")
    return lambda *options: call(cli.main, *arguments, *options)


def test_agreement_is_stated_with_its_number_of_images_and_interval(
    export: Callable[..., Any], photos: Path
) -> None:
    result = export("--verify", photos)
    assert result.returncode == 0, result.stderr
    assert "same class for 100.00% (44% to 100%) of 3 images" in result.stdout
    version = next(line for line in result.stdout.splitlines() if "written" in line).split()[1]
    record = json.loads((Path(version) / "assets.extra" / "export.json").read_text())["verified_on"]
    assert record["files_left_out"] == 1
    assert record["agreement"]["images"] == PHOTOS
    assert record["labels"]["crops"] == PHOTOS
    assert record["labels"]["pixels_same"] == record["labels"]["pixels_decided"] > 0
    assert record["difference"] <= record["tolerance"]


def test_files_that_are_no_images_are_counted_in_the_report(export: Callable[..., Any], photos: Path) -> None:
    result = export("--verify", photos)
    assert result.returncode == 0, result.stderr
    assert "; 1 files of the folder are no images, and were left out" in result.stdout


@pytest.mark.parametrize("mode", ["P", pytest.param("L", marks=pytest.mark.soak)])
def test_label_maps_among_the_photographs_are_warned_of(
    mode: str, export: Callable[..., Any], photos: Path, tmp_path: Path
) -> None:
    """As in a folder of PASCAL VOC, where SegmentationClass/ lies beside JPEGImages/."""
    shutil.copytree(photos, tmp_path / "voc")
    Image.new(mode, (400, 300)).save(tmp_path / "voc" / "labels.png")
    result = export("--verify", tmp_path / "voc")
    assert result.returncode == 0, result.stderr
    assert "1 of the 4 images of --verify are PNGs of a palette or of gray, such as " in result.stderr
    assert "labels.png: where they are label maps, keep them out of that folder" in result.stderr


def test_photographs_that_are_all_gray_are_no_label_maps(tmp_path: Path) -> None:
    files = [tmp_path / f"{name}.png" for name in "abc"]
    for file in files:
        Image.new("L", (40, 30)).save(file)
    assert label_maps_among(files, "--calibrate") == []


def test_a_folder_without_images_is_refused(export: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    result = export("--verify", tmp_path / "empty")
    assert result.returncode == 1
    assert "holds 0 images" in result.stderr
    assert "--verify takes 1 images or more" in result.stderr


def test_intervals_are_those_of_wilson() -> None:
    """Newcombe, Statistics in Medicine 17 (1998), table I, method 3: 81 of 263, 15 of 148, 0 of 20, 1 of 29."""
    known = {
        (81, 263): (0.2553, 0.3662),
        (15, 148): (0.0624, 0.1605),
        (0, 20): (0.0, 0.1611),
        (1, 29): (0.0061, 0.1718),
    }
    for (found, count), interval in known.items():
        assert wilson(found / count, count) == pytest.approx(interval, abs=5e-5)
    assert wilson(1.0, 0) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": 4}, "on 4 images held out, which says little"),
        ({"top_1": 0.75}, r"the same class for 75.00% \(57% to 87%\) of 30 images"),
    ],
)
def test_little_evidence_and_other_classes_are_warned_of(change: dict[str, Any], message: str) -> None:
    assert AGREED.warnings(95) == []
    (warning,) = replace(AGREED, **change).warnings(95)
    with pytest.raises(ExportError, match=message):
        raise ExportError(warning)


@pytest.mark.parametrize("error", [1.0, math.nan])
def test_logits_that_are_zero_or_no_numbers_fail_in_8_bits(error: float) -> None:
    with pytest.raises(ExportError, match="logits of 8 bits"):
        replace(AGREED, logit_error=error).require(0)


@pytest.mark.parametrize(
    ("precision", "labels", "difference"),
    [
        ("float32", Labels(crops=9, crops_decided=9, crops_same=8), 0.0),
        ("bfloat16", Labels(crops=9, crops_decided=9, crops_same=8), 0.0),
        ("bfloat16", Labels(pixels=900, pixels_decided=900, pixels_same=880), 0.0),
        ("float32", Labels(), 0.5),
    ],
)
def test_what_exceeds_the_bounds_of_the_precision_is_refused(
    precision: str, labels: Labels, difference: float
) -> None:
    Photos(AGREED, Labels(), 0.0, 0.1).require(precision, 95)
    with pytest.raises(ExportError, match="nothing was published"):
        Photos(AGREED, labels, difference, 0.1).require(precision, 95)


@pytest.mark.parametrize(
    ("precision", "change", "warned"),
    [
        ("bfloat16", {"top_1": 0.85}, 1),
        ("float16", {"label_map": 0.9}, 1),
        ("bfloat16", {"label_map": None}, 0),
        ("float32", {"top_1": 0.85}, 0),
        ("int8", {"top_1": 0.85}, 0),  # the images held out tell
    ],
)
def test_ties_that_rounding_decides_are_warned_of_in_16_bits(
    precision: str, change: dict[str, Any], warned: int
) -> None:
    photos = Photos(replace(AGREED, **change), Labels(), 0.0, 0.1)
    photos.require(precision, 85)
    warnings = photos.warnings(precision)
    assert len(warnings) == warned
    assert all(warning.endswith("export with --precision float32") for warning in warnings)


def test_8_bits_must_agree_as_far_as_the_user_says() -> None:
    photos = Photos(replace(AGREED, label_map=0.9), Labels(), 0.0, 0.5)
    photos.require("int8", 90)
    with pytest.raises(ExportError, match=r"agree in 90\.00%"):
        photos.require("int8", 95)


def test_where_no_label_is_compared_8_bits_need_none_to_agree() -> None:
    none = replace(AGREED, label_map=None)
    Photos(none, Labels(), 0.0, 0.5).require("int8", 95)
    assert "no label of theirs compared" in none.text
    assert none.record()["label_map"] is none.record()["label_map_interval"] is None


def test_images_too_small_for_the_reference_leave_no_label_to_compare(
    export: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(NETWORKS, SMALL.name, replace(SMALL, least_side=SMALL.crop))
    (tmp_path / "small").mkdir()
    Image.effect_noise((150, 120), 60).convert("RGB").save(tmp_path / "small" / "a.png")
    result = export("--verify", tmp_path / "small")
    assert result.returncode == 0, result.stderr
    assert "of 1 images, no label of theirs compared" in result.stdout
