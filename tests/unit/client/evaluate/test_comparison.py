"""Intervals and tests: against a bootstrap in loops, against counting all outcomes, and by how often they hold."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from slimserve.cli.verbs.evaluate import comparison
from slimserve.cli.verbs.evaluate.comparison import Tally, difference_intervals, intervals, mcnemar


def fraction(right: np.ndarray) -> Tally:
    totals = np.stack([right, np.ones(len(right))], axis=1).astype(float)
    return Tally(("top_1",), totals, lambda sums: sums[..., :1] / sums[..., 1:])


def brute_ends(function: object, images: int) -> np.ndarray:
    """Resample by indexing, with other random numbers."""
    random = np.random.default_rng(99)
    figures = sorted(function(random.integers(0, images, images)) for _ in range(4000))  # type: ignore[operator]
    return np.array([figures[100], figures[3899]])


@pytest.fixture
def sides() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(5)
    one = random.random(150) < 0.8
    return one, np.where(random.random(150) < 0.1, ~one, one)


def test_an_interval_is_that_of_drawing_images_again(sides: tuple[np.ndarray, np.ndarray]) -> None:
    one, _ = sides
    ends = intervals(fraction(one))[:, 0]
    assert ends == pytest.approx(brute_ends(lambda drawn: one[drawn].mean(), len(one)), abs=0.014)
    np.testing.assert_array_equal(ends, intervals(fraction(one))[:, 0])


def test_a_difference_is_taken_within_each_draw(sides: tuple[np.ndarray, np.ndarray]) -> None:
    one, other = sides
    ends = difference_intervals(fraction(one), fraction(other))[:, 0]
    brute = brute_ends(lambda drawn: other[drawn].mean() - one[drawn].mean(), len(one))
    assert ends == pytest.approx(brute, abs=0.014)
    apart = intervals(fraction(one))[:, 0]
    assert ends[1] - ends[0] < apart[1] - apart[0]  # what both sides share cancels out


def test_equal_sides_differ_by_nothing(sides: tuple[np.ndarray, np.ndarray]) -> None:
    np.testing.assert_array_equal(difference_intervals(fraction(sides[0]), fraction(sides[0])), 0)


def test_draws_in_parts_are_those_at_once(
    sides: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = intervals(fraction(sides[0]))
    monkeypatch.setattr(comparison, "_DRAWN_AT_ONCE", 1000)
    np.testing.assert_array_equal(intervals(fraction(sides[0])), whole)


def test_intervals_hold_the_true_figure_about_as_often_as_they_say() -> None:
    random = np.random.default_rng(8)
    held = 0
    for _ in range(100):
        low, high = intervals(fraction(random.random(120) < 0.7))[:, 0]
        held += bool(low <= 0.7 <= high)
    assert held >= 88  # of 95 expected, with these numbers


@pytest.mark.parametrize(("one", "other"), [(0, 0), (1, 0), (3, 3), (2, 9), (0, 10), (7, 4)])
def test_mcnemar_counts_the_outcomes_at_least_as_far_from_even(one: int, other: int) -> None:
    outcomes = [sum(sides) for sides in itertools.product((0, 1), repeat=one + other)]
    as_far = [abs(2 * each - one - other) >= abs(one - other) for each in outcomes]
    assert mcnemar(one, other) == pytest.approx(np.mean(as_far))


def test_mcnemar_of_many_images_is_a_number() -> None:
    assert mcnemar(2000, 3000) < 1e-40
    assert 0.9 < mcnemar(2500, 2501) <= 1
