"""What `check` reports: faults and notes, where each stands, and what to do about it."""

import contextlib
import difflib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
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


@dataclass
class Result:
    """What was looked at together, what was found, and what could not be looked at."""

    files: list[Path]
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, findings: Iterable[Finding]) -> None:
        """Take faults as findings, notes as what they say."""
        for finding in findings:
            if finding.is_note:
                self.notes.append(str(finding))
            else:
                self.findings.append(finding)

    @contextlib.contextmanager
    def guard(self, path: Path) -> Iterator[None]:
        """What a check stumbles over is a finding of its file; the other files are checked all the same."""
        try:
            yield
        except Exception as error:
            known = isinstance(error, OSError) and error.strerror
            reason = known or f"{type(error).__name__}, {' '.join(str(error).split())}"[:200]
            advice = "make it readable" if known else "write what is unusual in it in the usual form"
            self.add([Finding(path, 0, f"cannot be checked: {reason}", advice)])


def shorten(path: Path) -> str:
    """`path` relative to the working directory, or as it is where that is shorter."""
    return min((os.path.relpath(path), str(path)), key=len)


def meant(word: object, known: Iterable[object], otherwise: str = "") -> str:
    """Advice: the one of the known words that is nearly this one, or `otherwise`, or which there are."""
    words = list(dict.fromkeys(map(str, known)))
    close = difflib.get_close_matches(str(word), words, n=1)
    return f"did you mean {close[0]}?" if close else otherwise or f"there is {joined(words)}"


def joined(words: Iterable[object], conjunction: str = "and") -> str:
    """The words as prose: `1, 2 and 3`."""
    *rest, last = [str(word) for word in words] or ["none"]
    return f"{', '.join(rest)} {conjunction} {last}" if rest else last
