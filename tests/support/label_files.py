"""Class names read from a file of a test's own."""

from __future__ import annotations

from pathlib import Path

from slimserve.export.weights.labels import Labels, find_labels


def read(folder: Path, content: str | bytes, classes: int = 3) -> Labels:
    """The labels of `classes` classes from a file in `folder` with this content."""
    file = folder / "labels.txt"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return find_labels(file, [], classes)
