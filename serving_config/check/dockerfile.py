"""Dockerfiles that bake models into the server's image."""

import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from serving_config.check import server_flags
from serving_config.check.finding import Finding
from serving_config.check.server import ENTRY_POINT, Mount, Server


@dataclass(frozen=True)
class Instruction:
    """One instruction: its keyword in capitals, the rest of it on one line, and the lines it stands on."""

    keyword: str
    rest: str
    line: int
    text: tuple[str, ...]

    def words(self) -> list[str]:
        """The exec form's words, or the shell form's."""
        try:
            return [str(word) for word in json.loads(self.rest)]
        except ValueError:
            return shlex.split(self.rest)

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


def server(path: Path) -> tuple[Server | None, list[Finding]]:
    """The server that the image runs, or None where it is none, and faults that need no other file."""
    steps = list(instructions(path.read_text(encoding="utf-8")))
    entry = next((step for step in reversed(steps) if step.keyword == "ENTRYPOINT"), None)
    command = next((step for step in reversed(steps) if step.keyword == "CMD"), None)
    base = next((step for step in reversed(steps) if step.keyword == "FROM"), None)
    if base is None:
        return None, [Finding(path, 1, "no FROM instruction", "begin with FROM tensorflow/serving:2.20.0")]
    words = [(word, step.line_of(word)) for step in (entry, command) if step for word in step.words()]
    if not any(ENTRY_POINT in word for word, _ in words) and "tensorflow/serving" not in base.rest:
        return None, []
    flags, faults = server_flags.parse(
        [(word, line) for word, line in words if not word.endswith(ENTRY_POINT)], path, base.line
    )
    if entry is None or not entry.words()[0].endswith(ENTRY_POINT) or not entry.rest.startswith("["):
        advice = f'write ENTRYPOINT ["/usr/bin/{ENTRY_POINT}"]'
        line = entry.line if entry else base.line
        faults.append(Finding(path, line, "the server is not the entry point, and gets no signals", advice))
    if not any(step.keyword == "USER" and step.rest.split(":")[0] not in ("root", "0") for step in steps):
        faults.append(Finding(path, base.line, "the server runs as root", "add USER 65532:65532"))
    found = Server(path, base.line, base.rest.split()[0], flags, list(_copies(steps, path.parent)))
    checks = [step for step in steps if step.keyword == "HEALTHCHECK"]
    found.scripts = [(step.rest, step.line) for step in checks]
    return found, faults


def _copies(steps: list[Instruction], context: Path) -> Iterator[Mount]:
    for step in steps:
        if step.keyword not in ("COPY", "ADD"):
            continue
        words = step.words()
        options = [word for word in words if word.startswith("--")]
        *sources, target = [word for word in words if not word.startswith("--")]
        foreign = any(option.startswith("--from=") for option in options)
        for source in sources:
            into = str(PurePosixPath(target) / PurePosixPath(source).name) if target.endswith("/") else target
            # A version's folder stands for the base path above it as well.
            yield Mount(into, None if foreign else context / source, step.line)
            if foreign and PurePosixPath(into).name.isdecimal():
                yield Mount(str(PurePosixPath(into).parent), None, step.line)
