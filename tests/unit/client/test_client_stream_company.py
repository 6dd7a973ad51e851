"""How many images travel in one request is measured, here by a clock of the test's own."""

from __future__ import annotations

from collections.abc import Callable

from slimserve.streams.company import Company


def sizes_of(seconds: Callable[[int], float], images: int = 5000) -> list[int]:
    now = 0.0
    company = Company(4, 8, clock=lambda: now)
    sizes = []
    while images > 0:
        sizes.append(company.size)
        now += seconds(company.size)
        images -= company.size
        company.answered(company.size)
    return sizes


def test_several_travel_together_where_a_call_costs_more_than_an_image() -> None:
    sizes = sizes_of(lambda size: 0.001 + 0.0001 * size)
    assert sum(size == 4 for size in sizes) * 4 > 0.9 * 5000


def test_one_travels_alone_where_an_image_costs_more_than_a_call() -> None:
    sizes = sizes_of(lambda size: 0.0001 + 0.1 * size)
    assert sum(size == 1 for size in sizes) > 0.9 * 5000


def test_both_are_tried_again() -> None:
    busy = iter(range(100_000))
    sizes = sizes_of(lambda size: 0.001 if next(busy) < 1000 else 0.1 * size, images=20_000)
    assert sizes[500] == 4
    assert sizes[-1] == 1
