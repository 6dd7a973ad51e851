"""Dockerfiles that bake models into the server's image."""

import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from . import server_flags
from .described_server import ENTRY_POINT, DescribedServer, Mount
from .finding import Finding


@dataclass(frozen=True)
class Instruction:
    """One instruction: its keyword in capitals, the rest of it on one line, and the lines it stands on."""

    keyword: str
    rest: str
    line: int
    text: tuple[str, ...]

    def words(self) -> list[str]:
        """The exec form's words, or the shell form's.

        Raises:
            ValueError: a quote of the shell form is not closed.
        """
        words = self._exec_form()
        return shlex.split(self.rest) if words is None else words

    def paths(self) -> list[str]:
        """The words of COPY and ADD, whose quotes are no shell's."""
        words = self._exec_form()
        return self.rest.split() if words is None else words

    def _exec_form(self) -> list[str] | None:
        try:
            words = json.loads(self.rest)
        except ValueError:
            return None
        return [str(word) for word in words] if isinstance(words, list) else None

    def line_of(self, word: str) -> int:
        """The line on which a word stands."""
        for offset, text in enumerate(self.text):
            if word in text:
                return self.line + offset
        return self.line


def instructions(text: str) -> Iterator[Instruction]:
    """The instructions of a Dockerfile, continued lines joined and comments dropped."""
    pending: list[str] = []
    start = 0
    for number, line in enumerate(text.splitlines(), 1):
        bare = line.strip()
        if not bare or bare.startswith("#"):
            continue
        start = start if pending else number
        pending.append(line)
        if not bare.endswith("\\"):
            joined = " ".join(part.strip().removesuffix("\\").strip() for part in pending)
            keyword, _, rest = joined.partition(" ")
            yield Instruction(keyword.upper(), rest.strip(), start, tuple(pending))
            pending = []


def server(path: Path) -> tuple[DescribedServer | None, list[Finding]]:
    """The server that the image runs, or None where it is none, and faults that need no other file."""
    steps = _last_stage(list(instructions(path.read_text(encoding="utf-8"))))
    base = next((step for step in steps if step.keyword == "FROM"), None)
    if base is None or not _image(base):
        line, message = (base.line, "FROM names no image") if base else (1, "no FROM instruction")
        return None, [Finding(path, line, message, "begin with FROM tensorflow/serving:2.20.0")]
    faults = list(_unreadable(steps, path))
    if faults:
        return None, faults
    entry, command = _last(steps, "ENTRYPOINT"), _last(steps, "CMD")
    words = [(word, step.line_of(word)) for step in (entry, command) if step for word in step.words()]
    if not any(ENTRY_POINT in word for word, _ in words) and "tensorflow/serving" not in _image(base):
        return None, []
    flags, faults = server_flags.parse(
        [(word, line) for word, line in words if not word.endswith(ENTRY_POINT)], path, base.line
    )
    # An empty ENTRYPOINT takes the image's own away, and CMD is the whole command.
    first = command if entry is not None and not entry.words() else entry
    if (
        first is None
        or not first.rest.startswith("[")
        or not "".join(first.words()[:1]).endswith(ENTRY_POINT)
    ):
        advice = f'write ENTRYPOINT ["/usr/bin/{ENTRY_POINT}"]'
        line = entry.line if entry else base.line
        faults.append(Finding(path, line, "the server is not the entry point, and gets no signals", advice))
    user = _last(steps, "USER")
    if user is None or user.rest.split(":")[0] in ("root", "0"):
        line = user.line if user else base.line
        faults.append(Finding(path, line, "the server runs as root", "add USER 65532:65532"))
    found = DescribedServer(path, base.line, _image(base), flags, list(_copies(steps, path.parent)))
    checks = [step for step in steps if step.keyword == "HEALTHCHECK"]
    found.scripts = [(step.rest, step.line) for step in checks]
    return found, faults


def _last_stage(steps: list[Instruction]) -> list[Instruction]:
    starts = [index for index, step in enumerate(steps) if step.keyword == "FROM"]
    return steps[starts[-1] :] if starts else []


def _last(steps: list[Instruction], keyword: str) -> Instruction | None:
    return next((step for step in reversed(steps) if step.keyword == keyword), None)


def _image(base: Instruction) -> str:
    return next(iter(_without_options(base.rest.split())), "")


def _without_options(words: list[str]) -> list[str]:
    return [word for word in words if not word.startswith("--")]


def _unreadable(steps: list[Instruction], path: Path) -> Iterator[Finding]:
    for step in steps:
        if step.keyword in ("ENTRYPOINT", "CMD"):
            try:
                step.words()
            except ValueError as error:
                advice = 'write it as a list, ["word", "word"]'
                yield Finding(path, step.line, f"{step.keyword} cannot be split into words, {error}", advice)
        elif step.keyword in ("COPY", "ADD") and len(_without_options(step.paths())) < 2:
            yield Finding(path, step.line, f"{step.keyword} lacks a source or a target", "name both")


def _copies(steps: list[Instruction], context: Path) -> Iterator[Mount]:
    for step in steps:
        if step.keyword not in ("COPY", "ADD"):
            continue
        words = step.paths()
        options = [word for word in words if word.startswith("--")]
        *sources, target = _without_options(words)
        foreign = any(option.startswith("--from=") for option in options)
        for source in sources:
            into = str(PurePosixPath(target) / PurePosixPath(source).name) if target.endswith("/") else target
            # A version's folder stands for the base path above it as well.
            yield Mount(into, None if foreign else context / source, step.line)
            if foreign and PurePosixPath(into).name.isdecimal():
                yield Mount(str(PurePosixPath(into).parent), None, step.line)
