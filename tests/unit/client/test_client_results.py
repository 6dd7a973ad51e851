"""What results and answers look like where they are printed: one line in a list, a table where there is much."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from slimserve import (
    Analysis,
    Classification,
    InvalidInput,
    ModelMetadata,
    Prediction,
    Segmentation,
    Signature,
    StreamItem,
    TensorSpec,
    VersionStatus,
)
from slimserve.images.given import PreparedImage

RANKING = Classification(
    [Prediction("cat", 0.75, 3), Prediction("dog", 0.25, 5)], np.zeros(1000, np.float32), 7
)
IMAGE = PreparedImage("x", pixels=np.zeros((2, 4, 3), np.uint8))
SCENE = Segmentation(
    np.array([[3, 3, 3, 3], [3, 3, 5, 5]], np.uint8), {3: "cat", 5: "dog"}, 7, IMAGE.to_pillow
)


def test_a_ranking_is_shown_by_its_best_classes() -> None:
    assert repr([RANKING]) == "[<Classification: cat 75.0%, dog 25.0%; version 7>]"


def test_a_label_map_is_shown_by_its_size_and_its_largest_areas() -> None:
    assert repr([SCENE]) == "[<Segmentation: 4x2 pixels, cat 75.0%, dog 25.0%; version 7>]"


def test_both_answers_are_shown_on_one_line() -> None:
    assert "\n" not in repr(Analysis(RANKING, SCENE))


@pytest.mark.parametrize(
    ("image", "shown"),
    [(Path("photos/cat.jpg"), "photos/cat.jpg"), (b"\xff\xd8" * 10_000, "bytes"), (IMAGE.pixels, "ndarray")],
)
def test_an_item_of_a_stream_is_shown_without_the_bytes_of_its_image(image: object, shown: str) -> None:
    assert repr([StreamItem(3, image, None, RANKING)]) == f"[<StreamItem 3: {shown}, {RANKING!r}>]"
    failed = StreamItem(4, image, InvalidInput("no image"), None)
    assert repr(failed) == f"<StreamItem 4: {shown}, InvalidInput('no image')>"


def test_a_version_says_its_state_and_its_error() -> None:
    assert str(VersionStatus(3, "AVAILABLE")) == "3 is AVAILABLE"
    assert str(VersionStatus(4, "END", 5, "no file")) == "4 is END (no file)"


def test_metadata_is_a_line_for_each_signature() -> None:
    image, labels = TensorSpec("uint8", (None, None, None, 3)), TensorSpec("uint8", (None, None, None))
    segment = Signature("tensorflow/serving/predict", {"images": image}, {"label_map": labels})
    metadata = ModelMetadata("vgg_16", 7, {"segment": segment})
    assert str(metadata).splitlines() == [
        "vgg_16, version 7",
        "  segment: images uint8 [?, ?, ?, 3] -> label_map uint8 [?, ?, ?]",
    ]
    assert repr(metadata) == "<ModelMetadata: vgg_16, version 7, signatures segment>"
    prepared = dataclasses.replace(metadata, preprocessing="vgg", crop=224)
    assert (
        str(prepared).splitlines()[0] == "vgg_16, version 7, vgg preprocessing, crops of 224x224 classified"
    )
