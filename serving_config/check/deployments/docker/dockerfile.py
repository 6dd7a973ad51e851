"""Dockerfiles that bake models into the server's image."""

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath

from ...finding import Finding
from ...servers import command_line
from ...servers.command_line import Words
from ...servers.described_server import ENTRY_POINT, STOCK_IMAGE, DescribedServer, Mount
from ..instructions import Instruction, instructions
from ..rules import dockerfile_values

_KEYWORDS = """ADD ARG CMD COPY ENTRYPOINT ENV EXPOSE FROM HEALTHCHECK LABEL MAINTAINER ONBUILD RUN SHELL STOPSIGNAL
    USER VOLUME WORKDIR"""
_VARIABLE = re.compile(r"\$(?:\{(?P<name>\w+)(?::-(?P<default>[^}]*))?\}|(?P<bare>\w+))")
_LEVELS = 3
"""How far above its Dockerfile the folder of a build is looked for."""


def server(path: Path) -> tuple[DescribedServer | None, list[Finding]]:
    """The server that the image runs, or None where it is none, and faults that need no other file."""
    text = path.read_text(encoding="utf-8")
    every = list(instructions(text))
    steps = _last_stage(every)
    base = next((step for step in steps if step.keyword == "FROM"), None)
    image = next(iter(base.plain()), "") if base else ""
    if base is None or not image:
        line, message = (base.line, "FROM names no image") if base else (1, "no FROM instruction")
        return None, [Finding(path, line, message, "begin with FROM tensorflow/serving:2.20.0")]
    faults = [] if re.match(r"#\s*escape\s*=\s*`", text) else list(_unknown(every, path))
    faults += _unreadable(steps, path)
    faults += [] if faults else dockerfile_values.findings(every, path, _context(every, path.parent))
    if faults:
        return None, faults
    entry, command = _last(steps, "ENTRYPOINT"), _last(steps, "CMD")
    words = [_words(step) if step else None for step in (entry, command)]
    if entry and command and entry.rest and not entry.is_list and ENTRY_POINT in entry.rest:
        message = "CMD is left out, for ENTRYPOINT is a line of shell"
        return None, [Finding(path, entry.line, message, f'write ENTRYPOINT ["/usr/bin/{ENTRY_POINT}"]')]
    if not any(ENTRY_POINT in word for some in words for word, _ in some or []) and not STOCK_IMAGE.match(
        image
    ):
        first = entry or command
        if first is None or ENTRY_POINT not in text:
            return None, []
        message = f"what {(first.words() or ['it'])[0]} runs was not checked"
        note = Finding(path, first.line, message, f"only a command that names {ENTRY_POINT} is")
        return None, [note.as_note()]
    run = command_line.read(words[0], words[1] or [], image, _environment(steps), path, base.line)
    if run.flags is None:
        return None, run.faults
    found = DescribedServer(
        path, base.line, image, run.flags, list(_copies(steps, _context(steps, path.parent)))
    )
    # What RUN makes, and an archive unpacks, cannot be seen.
    found.complete = not any(step.keyword in ("RUN", "ADD") for step in steps)
    faults = run.faults
    # An empty ENTRYPOINT takes the image's own away, and CMD is the whole command.
    first = command if entry is not None and not entry.words() else entry
    if entry is None and command is not None and not STOCK_IMAGE.match(image):
        # An image that is not known to have an entry point runs CMD; not every shell makes way for its only command.
        first = command if command.is_list or command.rest.startswith("exec ") else None
    if first is None or not run.signals:
        advice = f'write ENTRYPOINT ["/usr/bin/{ENTRY_POINT}"]'
        line = entry.line if entry else base.line
        faults.append(found.fault("the server is not the entry point, and gets no signals", advice, line))
    user = _last(steps, "USER")
    if user is None or user.rest.split(":")[0] in ("root", "0"):
        line = user.line if user else base.line
        faults.append(found.fault("the server runs as root", "add USER 65532:65532", line))
    found.scripts = [(step.rest, step.line) for step in steps if step.keyword == "HEALTHCHECK"]
    return found, faults


def _words(step: Instruction) -> Words:
    """The exec form's words; the shell form's are a script of the shell."""
    if step.rest.startswith("["):
        return [(word, step.line_of(word)) for word in step.words()]
    return [(word, step.line) for word in ("/bin/sh", "-c", step.rest)]


def _environment(steps: list[Instruction]) -> dict[str, str]:
    found: dict[str, str] = {}
    for step in steps:
        if step.keyword == "ENV":
            name, equals, _ = step.rest.partition(" ")[0].partition("=")
            pairs = [word.partition("=") for word in shlex.split(step.rest)]
            found |= (
                {key: value for key, _, value in pairs} if equals else {name: step.rest.partition(" ")[2]}
            )
    return found


def _last_stage(steps: list[Instruction]) -> list[Instruction]:
    """What makes the image: its last stage, behind the stages that it is built upon, the values of ARG filled in."""
    arguments: dict[str, str] = {}
    stages: dict[str, list[Instruction]] = {}
    last: list[Instruction] = []
    for step in steps:
        if step.keyword == "ARG" and not last:
            name, equals, value = step.rest.partition("=")
            arguments |= {name: _filled(value.strip("\"'"), arguments)} if equals else {}
        elif step.keyword == "FROM":
            step = replace(step, rest=_filled(step.rest, arguments))
            words = step.plain()
            before = stages.get(words[0].lower()) if words else None
            last = [*before] if before else [step]
            if len(words) == 3:  # FROM image AS name
                stages[words[2].lower()] = last
        elif last:
            last.append(step)
    return last


def _filled(text: str, arguments: Mapping[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        return arguments.get(match["name"] or match["bare"]) or match["default"] or match[0]

    return _VARIABLE.sub(value, text)


def _last(steps: list[Instruction], keyword: str) -> Instruction | None:
    return next((step for step in reversed(steps) if step.keyword == keyword), None)


def _without_options(words: list[str]) -> list[str]:
    return [word for word in words if not word.startswith("--")]


def _unknown(steps: list[Instruction], path: Path) -> Iterator[Finding]:
    """The first line that is no instruction, on which a build ends."""
    for step in steps:
        if step.keyword not in _KEYWORDS.split():
            word = step.text[0].split()[0][:40]
            advice = "the build ends there: end the line above with \\, or remove this one"
            yield Finding(path, step.line, f"{word} is no instruction", advice)
            return


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


def _context(steps: list[Instruction], folder: Path) -> Path:
    """The folder of the build: that of the Dockerfile, or one above it where that has what is copied."""
    sources = [
        word.lstrip("/")
        for step in steps
        if step.keyword == "COPY" and not any(word.startswith("--from=") for word in step.paths())
        for word in _without_options(step.paths())[:-1]
    ]
    above = (folder, *folder.resolve().parents[:_LEVELS])
    return next((each for each in above if any((each / source).exists() for source in sources)), folder)


def _copies(steps: list[Instruction], context: Path) -> Iterator[Mount]:
    workdir = PurePosixPath("/")
    for step in steps:
        if step.keyword == "WORKDIR":
            workdir /= step.rest
        if step.keyword == "VOLUME":  # its files come when a container is started
            yield from (Mount(word, None, step.line) for word in step.paths())
        if step.keyword not in ("COPY", "ADD"):
            continue
        words = step.paths()
        options = [word for word in words if word.startswith("--")]
        *sources, target = _without_options(words)
        foreign = any(option.startswith("--from=") for option in options)
        for source in sources:
            into = workdir / target
            if foreign or not (context / source).exists():  # a file or a folder, and which cannot be seen
                yield Mount(str(into), None, step.line)
            # Of a folder the content is copied, of a file the file.
            if (target.endswith("/") or len(sources) > 1) and not (context / source).is_dir():
                into /= PurePosixPath(source).name
            yield Mount(str(into), None if foreign else context / source, step.line)
