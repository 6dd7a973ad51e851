"""Collages whose borders are known, and what the labels of a collage speak for."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest

from benchmarks.quality.collages import Photo, collage, quarters
from benchmarks.quality.photographs import as_photographs, near_borders
from benchmarks.quality.scores import regions
from tests.conftest import ROOT

SIDE = 160


@pytest.mark.parametrize("number", range(6))
@pytest.mark.parametrize("made", [collage, quarters])
def test_each_pixel_of_a_collage_is_of_the_photograph_that_it_is_said_to_be_of(
    made: Callable[..., tuple[Photo, np.ndarray]], number: int
) -> None:
    colours = [np.full((30, 40, 3), 20 * index + 10, np.uint8) for index in range(8)]
    picture, truth = made(colours, number, SIDE)
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


@pytest.mark.parametrize(
    ("rows", "count"),
    [
        (["aab", "aab"], 2),
        (["aba", "bab"], 6),
        (["aaaa", "abba", "aaaa"], 2),
        (["aaa", "bba", "aaa", "abb"], 3),
    ],
)
def test_regions_are_of_one_label_and_touch_at_a_side(rows: list[str], count: int) -> None:
    assert regions(np.array([list(map(ord, row)) for row in rows])) == count


def test_the_page_shows_what_was_measured() -> None:
    results = json.loads((ROOT / "benchmarks" / "quality_photographs.json").read_text())
    page = (ROOT / "docs" / "exporting" / "quality.md").read_text()
    shown = [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines()]
    for by_procedure in results.values():
        for name, of in by_procedure.items():
            shares = (of["right"], of["right_near_borders"], of["boundary_f_score"])
            right, near, boundary = (f"{share:.1%}".replace("%", " %") for share in shares)
            assert [name, right, near, f"{of['classes']:.0f}", f"{of['regions']:.0f}", boundary] in shown
