"""Classes and their shares of a whole, as legends and tables list them: the largest, and the others in one row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

Share: TypeAlias = tuple[str, int, float]
"""A class's name, its id, and its share of 1: of a picture's pixels, or of certainty."""

_MOST_ROWS = 20


class Row(NamedTuple):
    """A row to show; `id` is None where it stands for several classes."""

    id: int | None
    name: str
    share: str


def rows_of(shares: Sequence[Share]) -> list[Row]:
    """List the first classes, and sum up the others in one row."""
    rows = [Row(id, name, format_share(share)) for name, id, share in shares[:_MOST_ROWS]]
    if rest := shares[_MOST_ROWS:]:
        rows.append(Row(None, f"and {len(rest)} more", format_share(sum(share for _, _, share in rest))))
    return rows


def format_share(share: float) -> str:
    """Write a part of 1 as people read it: `12.3 %`."""
    return f"{100 * share:.1f} %" if share >= 0.001 else "< 0.1 %"
