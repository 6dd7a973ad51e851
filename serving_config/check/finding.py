"""What `check` reports: one fault, where it stands, and what to do about it."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path


@dataclass(frozen=True, order=True)
class Finding:
    """One fault, or a note. `line` counts from 1; 0 stands for the file as a whole."""

    path: Path
    line: int
    message: str
    advice: str
    is_note: bool = False

    def __str__(self) -> str:
        """`file:line: message, advice`, the file relative to the working directory where that is shorter."""
        return f"{shorten(self.path)}:{self.line}: {self.message}, {self.advice}"

    def as_note(self, is_note: bool = True) -> "Finding":
        """The same as something to know, not a fault."""
        return replace(self, is_note=is_note)


def shorten(path: Path) -> str:
    """`path` relative to the working directory, or as it is where that is shorter."""
    return min((os.path.relpath(path), str(path)), key=len)


def joined(words: Iterable[object], conjunction: str = "and") -> str:
    """The words as prose: `1, 2 and 3`."""
    *rest, last = [str(word) for word in words] or ["none"]
    return f"{', '.join(rest)} {conjunction} {last}" if rest else last
