"""What a run finds: figures, rows that compare two of them, and series that show growth."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

Unit = Literal["seconds", "bytes"]


@dataclass(frozen=True)
class Figure:
    """A median and its spread.

    Attributes:
        low, high: first and third quartile.
        unit: of all three.
        count: repetitions.
    """

    median: float
    low: float
    high: float
    unit: Unit
    count: int

    @classmethod
    def of(cls, values: Sequence[float], unit: Unit) -> Figure:
        """Summarise repetitions; one alone is its own spread."""
        low, median, high = (
            statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3
        )
        return cls(median, low, high, unit, len(values))

    def __str__(self) -> str:
        if self.unit == "seconds":
            scale, name = (1e3, "ms") if self.median < 1 else (1.0, "s")
        else:
            scale, name = (1e-6, "MB") if self.median < 1e9 else (1e-9, "GB")
        spread = f" ({self.low * scale:.3g} to {self.high * scale:.3g})" if self.count > 1 else ""
        return f"{self.median * scale:.3g} {name}{spread}"


@dataclass(frozen=True)
class Row:
    """One comparison.

    Attributes:
        what: is measured.
        ours: our figure; None where this machine can't run it.
        against: what it is compared with.
        theirs: that one's figure; None where it is not available.
        at_most: the target, as a fraction of theirs; None where there is none.
        note: what else the reader should know.
    """

    what: str
    ours: Figure | None
    against: str
    theirs: Figure | None
    at_most: float | None = None
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """Our median as a fraction of theirs."""
        return self.ours.median / self.theirs.median if self.ours and self.theirs else None

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None where there is no target or no peer."""
        if self.at_most is None or self.ratio is None:
            return None
        return self.ratio <= self.at_most


@dataclass(frozen=True)
class Series:
    """How a cost grows.

    Attributes:
        what: is measured.
        against: the quantity that grows.
        points: the quantity's values and the figures there.
    """

    what: str
    against: str
    points: tuple[tuple[int, Figure], ...]


def fraction(ratio: float) -> str:
    """Write a ratio as it is talked about: 1/7.2, 1/1170 or 1.04."""
    if not 0 < ratio < 0.75:
        return f"{ratio:.3g}"
    times = 1 / ratio
    return f"1/{times:.0f}" if times >= 1000 else f"1/{times:.3g}"


def as_json(entry: Row | Series) -> dict[str, Any]:
    """The entry for scripts; figures in seconds and bytes."""
    if isinstance(entry, Series):
        points = [{"at": at, **vars(figure)} for at, figure in entry.points]
        return {"what": entry.what, "against": entry.against, "points": points}
    return {
        "what": entry.what,
        "ratio": entry.ratio,
        "at_most": entry.at_most,
        "met": entry.met,
        "ours": vars(entry.ours) if entry.ours else None,
        "against": entry.against,
        "theirs": vars(entry.theirs) if entry.theirs else None,
        "note": entry.note,
    }


def entry_of(written: dict[str, Any]) -> Row | Series:
    """The entry that `as_json` wrote."""
    if "points" in written:
        points = tuple((point.pop("at"), Figure(**point)) for point in written["points"])
        return Series(written["what"], written["against"], points)
    ours, theirs = (Figure(**written[side]) if written[side] else None for side in ("ours", "theirs"))
    return Row(written["what"], ours, written["against"], theirs, written["at_most"], written["note"])
