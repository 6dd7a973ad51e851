"""The MobileNet that slim published through everything, against its authors' frozen graph: `make published`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from slimserve import Client
from slimserve.export.checkpoint.contents import open_checkpoint
from slimserve.export.demo.constants import Constants
from slimserve.export.graph.kernels.portable import VariableLayers
from slimserve.export.graph.serving_graph import CROP_LOGITS
from slimserve.export.networks import NETWORKS
from slimserve.export.networks.rounding import tolerance
from slimserve.export.plan.options import GraphOptions
from slimserve.export.plan.plan import Plan
from slimserve.export.verify.exported import Exported

from examples import published_materials as materials
from tests.conftest import run_module
from tests.published.frozen_graph import FrozenGraph
from tests.support.slim_exports import Served, by_command
from tests.support.slim_preprocessing import inception_crop, softmax, vgg_crop

pytestmark = pytest.mark.soak

NETWORK = NETWORKS["mobilenet_v1"]
Crop = Callable[[np.ndarray, int], np.ndarray]
INT8 = ("--precision", "int8", "--accept-agreement", "60", "--calibrate")
WAYS: dict[str, tuple[str, ...]] = {
    "float32": (),
    "x86": ("--target", "x86"),
    "bfloat16": ("--precision", "bfloat16"),
    "x86_bfloat16": ("--target", "x86", "--precision", "bfloat16"),
    "int8": INT8,
    "inception_160": ("--crop", "160"),
    "vgg_192": ("--preprocessing", "vgg", "--crop", "192"),
}
# What the frozen graph says of photographs whose subject is known, cropped as slim does; class 0 is the background.
SUBJECTS = {
    "chelsea.png": (286, "Egyptian cat", 0.834),
    "coffee.png": (968, "espresso", 0.997),
    "motorcycle_left.png": (671, "motor scooter", 0.662),
}
TABBY = 282  # what chelsea is; the frozen graph has it second


@pytest.fixture(scope="module")
def photos() -> Path:
    return materials.photographs()


@pytest.fixture(scope="module")
def frozen() -> FrozenGraph:
    return FrozenGraph()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, photos: Path) -> Callable[[str], dict[str, Any]]:
    """The report of the checkpoint exported in one of the WAYS, once each."""
    folder = tmp_path_factory.mktemp("published")
    checkpoint = materials.checkpoint(folder)

    @cache
    def exported(way: str) -> dict[str, Any]:
        options = WAYS[way] if way != "int8" else (*INT8, str(photos))
        return by_command(checkpoint, folder / way, *options)

    return exported


@pytest.fixture(scope="module")
def served(model: Callable[[str], dict[str, Any]]) -> Iterator[Served]:
    ways = ("float32", "x86_bfloat16", "int8")
    folders = {way: SimpleNamespace(folder=Path(model(way)["path"]).parent) for way in ways}
    served = Served(cast(Any, folders))
    yield served
    served.close()


def pixels(photo: Path) -> np.ndarray:
    with Image.open(photo) as picture:
        return np.asarray(picture.convert("RGB"))


@pytest.mark.parametrize("name", SUBJECTS)
def test_the_reference_says_what_it_is_known_to_say(name: str, frozen: FrozenGraph, photos: Path) -> None:
    class_id, _, probability = SUBJECTS[name]
    probabilities = softmax(frozen.logits(inception_crop(pixels(photos / name), 224)))
    assert probabilities.argmax() == class_id
    assert probabilities[class_id] == pytest.approx(probability, abs=0.001)


@pytest.mark.parametrize("kind", ["v1", "v2", "archive"])
def test_it_is_recognised_as_published(kind: str, tmp_path: Path) -> None:
    make = {"v1": lambda folder: materials.checkpoint(folder, 1), "v2": materials.checkpoint}
    path = make.get(kind, materials.archive)(tmp_path)
    expected = materials.values(materials.frozen_graph())
    with open_checkpoint(path) as checkpoint:
        plan = Plan.of(checkpoint, GraphOptions())
        assert (plan.network.name, plan.network.variant, plan.options.crop) == (
            "mobilenet_v1",
            "of width 1",
            224,
        )
        assert plan.labels.names[282] == "tabby, tabby cat"
        assert plan.warnings == ()
        found = dict(plan.checkpoint.read_all(expected))
    assert all((found[name] == value).all() for name, value in expected.items())


def compared(
    folder: str, photos: Path, frozen: FrozenGraph, crop: Crop, side: int
) -> tuple[np.ndarray, np.ndarray]:
    """Logits [photos, 1001] of an export and of the frozen graph."""
    images = [pixels(photo) for photo in sorted(photos.iterdir())]
    with Exported(Path(folder)) as exported:
        found = [
            exported("classify", tensor=CROP_LOGITS, images=image[None])[""][CROP_LOGITS][0]
            for image in images
        ]
    return np.stack(found), np.stack([frozen.logits(crop(image, side)) for image in images])


@pytest.mark.parametrize(
    ("way", "crop", "side"),
    [
        ("float32", inception_crop, 224),
        ("x86", inception_crop, 224),
        ("inception_160", inception_crop, 160),
        ("vgg_192", vgg_crop, 192),
    ],
)
def test_logits_of_photographs_are_those_of_the_frozen_graph(
    way: str, crop: Crop, side: int, model: Any, photos: Path, frozen: FrozenGraph
) -> None:
    found, expected = compared(model(way)["path"], photos, frozen, crop, side)
    bound = float(tolerance(NETWORK, "float32") * np.abs(expected).max())
    print(f"\n{way}: {np.abs(found - expected).max() / np.abs(expected).max():.1e} of the largest logit")
    assert len(found) == 20
    assert np.abs(found - expected).max() <= bound
    for ours, theirs in zip(found, expected, strict=True):
        first = np.argsort(-theirs)[:6]
        if -np.diff(theirs[first]).min() > 2 * bound:
            assert np.array_equal(np.argsort(-ours)[:5], first[:5])
        assert np.sort(ours)[::-1][:5] == pytest.approx(theirs[first[:5]], abs=bound)


@pytest.mark.parametrize(
    ("way", "precision", "same"),
    [("bfloat16", "bfloat16", 16), ("x86_bfloat16", "bfloat16", 16), ("int8", "int8", 15)],
)
def test_lower_precisions_stay_within_their_bounds(
    way: str, precision: str, same: int, model: Any, photos: Path, frozen: FrozenGraph
) -> None:
    found, expected = compared(model(way)["path"], photos, frozen, inception_crop, 224)
    difference = np.abs(found - expected).max() / np.abs(expected).max()
    top_1 = int((found.argmax(-1) == expected.argmax(-1)).sum())
    in_top_5 = sum(a in np.argsort(-b)[:5] for a, b in zip(expected.argmax(-1), found, strict=True))
    print(f"\n{way}: {difference:.3f} of the largest logit, top-1 {top_1}, in the top-5 {in_top_5} of 20")
    assert difference <= tolerance(NETWORK, precision)
    assert top_1 >= same
    assert in_top_5 >= 19


@pytest.mark.parametrize("way", ["float32", "x86_bfloat16", "int8"])
def test_files_arrays_and_bytes_have_one_answer(way: str, served: Served, photos: Path) -> None:
    with Client(served.address, model=way, timeout=300) as client:
        assert client.receptive_field() == 315 + 12 * 32  # windows of 7x7 cells, and of the guided filter
        for name, (class_id, _, _) in SUBJECTS.items():
            photo = photos / name
            given = (
                [photo, photo.read_bytes(), pixels(photo)]
                if name.endswith("png")
                else [photo, photo.read_bytes()]
            )
            answers = [client.analyze(one) for one in given]
            ranked = [each.id for each in client.classify(photo).predictions]
            assert class_id in (ranked[:1] if way == "float32" else ranked[:2])
            label_map = answers[0].segmentation.label_map
            for answer in answers[1:]:
                # Sums in another order decide a tie otherwise.
                assert (answer.segmentation.label_map == label_map).mean() > 0.9999
                first, other = answers[0].classification.predictions, answer.classification.predictions
                assert [each.id for each in first] == [each.id for each in other]
                assert [each.score for each in first] == pytest.approx(
                    [each.score for each in other], abs=1e-5
                )
            assert label_map.shape == pixels(photo).shape[:2]


def test_the_classify_api_answers(served: Served, photos: Path) -> None:
    for name, (_, said, probability) in SUBJECTS.items():
        first, *_ = served.classify_examples("float32", (photos / name).read_bytes())
        assert said in first.label
        assert first.score == pytest.approx(probability, abs=0.001)


def test_tiles_have_the_labels_of_the_whole(served: Served, photos: Path) -> None:
    image = np.tile(pixels(photos / "chelsea.png"), (1, 3, 1))
    with Client(served.address, model="float32", timeout=300) as client:
        whole, tiled = client.segment(image), client.segment(image, tile=1024)
    assert (whole.label_map == tiled.label_map).mean() > 0.999


def test_evaluate_finds_the_subjects(served: Served, photos: Path, tmp_path: Path) -> None:
    known = tmp_path / "known"
    known.mkdir()
    for name in SUBJECTS:
        (known / name).symlink_to(photos / name)
    truth = tmp_path / "truth.csv"
    shown = {name: class_id for name, (class_id, _, _) in SUBJECTS.items()} | {"chelsea.png": TABBY}
    truth.write_text("".join(f"{name},{class_id}\n" for name, class_id in shown.items()))
    at = ("--server", served.address, "--model", "float32")
    report = tmp_path / "evaluation.html"
    result = run_module(
        "client",
        "evaluate",
        known,
        "--truth",
        truth,
        *at,
        "--json",
        "--report",
        report,
        "-o",
        tmp_path / "answers",
    )
    assert result.returncode == 0, result.stderr
    figures = json.loads(result.stdout.splitlines()[-1])["figures"]
    assert figures["top_1"]["value"] == pytest.approx(2 / 3)
    assert figures["top_5"]["value"] == 1
    assert "chelsea.png" in report.read_text("utf-8")


def test_a_folder_of_photographs_becomes_a_report(served: Served, photos: Path, tmp_path: Path) -> None:
    at = ("--server", served.address, "--model", "float32")
    report = tmp_path / "report.html"
    result = run_module("client", "segment", photos, *at, "-o", tmp_path / "out", "--report", report)
    assert result.returncode == 0, result.stderr
    assert report.read_text("utf-8").count("<img") >= 20


def test_a_wrong_weight_is_found(photos: Path, frozen: FrozenGraph, tmp_path: Path) -> None:
    """The comparison is not idle: the depthwise filters of one layer, upside down, show in the logits."""
    found = dict(materials.values(materials.frozen_graph()))
    name = "MobilenetV1/Conv2d_1_depthwise/depthwise_weights"
    found[name] = found[name][::-1]
    crop = inception_crop(pixels(photos / "chelsea.png"), 224)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        layers = VariableLayers(Constants(found), NETWORK.scope)
        logits = session.run(NETWORK.logits(tf.constant(crop[None]), layers, "VALID", 32))[0].mean(
            axis=(0, 1)
        )
    expected = frozen.logits(crop)
    assert np.abs(logits - expected).max() > 10 * tolerance(NETWORK, "float32") * np.abs(expected).max()
