"""All rows of results.json as a page of the documentation: python -m benchmarks.table."""

from __future__ import annotations

import json
from typing import Any

from benchmarks.rows import Figure, fraction
from benchmarks.side import ROOT

RESULTS = ROOT / "benchmarks" / "results.json"
PAGE = ROOT / "docs" / "measured.md"


def page(results: dict[str, Any]) -> str:
    """The page: what it was measured on, and a line for each row."""
    machine = results["machine"]
    known = ", ".join(f"{name} {value}" for name, value in machine.items() if name != "quick")
    lines = [
        "# All that was measured",
        "",
        "[Measured results](results.md) says what matters of it. Medians, first to third quartile in brackets; `make",
        "bench` writes this page.",
        "",
        f"Measured on: {known}.",
        "",
        "| what | ours | beside | theirs | ratio | target |",
        "|---|---|---|---|---|---|",
    ]
    for row in results["rows"]:
        ours, theirs = (str(Figure(**row[side])) if row[side] else "" for side in ("ours", "theirs"))
        ratio, most = (fraction(row[key]) if row[key] else "" for key in ("ratio", "at_most"))
        cells = (row["what"], ours or row["note"] or "not available", row["against"], theirs, ratio, most)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(json.loads(RESULTS.read_text("utf-8"))), "utf-8")
