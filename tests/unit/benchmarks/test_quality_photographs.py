"""Collages whose borders are known, and what the labels of a collage speak for."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from benchmarks.quality.collages import collage
from benchmarks.quality.photographs import as_photographs, near_borders
from tests.conftest import ROOT

SIDE = 160


@pytest.mark.parametrize("number", range(6))
def test_each_pixel_of_a_collage_is_of_the_photograph_that_it_is_said_to_be_of(number: int) -> None:
    colours = [np.full((30, 40, 3), 20 * index + 10, np.uint8) for index in range(8)]
    picture, truth = collage(colours, number, SIDE)
    np.testing.assert_array_equal(picture, np.repeat(20 * truth[..., None] + 10, 3, axis=2))
    counts = np.unique(truth, return_counts=True)[1]
    assert len(counts) == 4
    assert counts.min() > 0.08 * SIDE**2


def test_a_label_speaks_for_the_photograph_of_its_pixel_before_others() -> None:
    truth = np.array([[0, 0, 1, 1]], np.uint8)
    labels = np.array([[7, 9, 7, 5]])
    found = as_photographs(labels, truth, [np.array([7]), np.array([7, 9])])
    assert found.tolist() == [[0, 1, 1, 255]]


def test_pixels_near_a_border_are_those_at_most_24_away() -> None:
    truth = np.zeros((100, 100), np.uint8)
    truth[:, 50:] = 1
    assert np.flatnonzero(near_borders(truth)[50]).tolist() == list(range(26, 74))


def test_the_page_shows_what_was_measured() -> None:
    results = json.loads((ROOT / "benchmarks" / "quality_photographs.json").read_text())
    page = (ROOT / "docs" / "exporting" / "quality.md").read_text()
    for window, of in results.items():
        row = re.search(rf"^\| {window}\b.*$", page, re.M)
        assert row, window
        shown = [cell.strip() for cell in row[0].split("|")[2:-1]]
        assert shown == [
            f"{of['right']:.1%}".replace("%", " %"),
            f"{of['right_near_borders']:.1%}".replace("%", " %"),
            f"{of['classes']:.0f}",
            f"{of['boundary_f_score']:.1%}".replace("%", " %"),
        ]
