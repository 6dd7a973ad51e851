"""What the exporter says to people of a finished export."""

from __future__ import annotations

import pytest
from slimserve.export.cli.report import labels_compared
from slimserve.export.verify.labels import Labels


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (Labels(), "no label map could be compared"),
        (Labels(pixels=12), "no label could be compared, rounding may decide each of 12 pixels"),
        (
            Labels(pixels=12, pixels_decided=10, pixels_same=9),
            "same label in 9 of 10 pixels, 2 ties left out",
        ),
    ],
)
def test_pixels_that_could_not_be_compared_are_told(labels: Labels, words: str) -> None:
    assert labels_compared(labels) == words
