"""Instructions of a Dockerfile that a build refuses, or that a container's start does."""

import difflib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from ....finding import Finding, joined
from ....servers import images
from ....servers.amounts import DURATION_ADVICE, is_duration
from ...instructions import Instruction
from . import dockerignore

# https://docs.docker.com/reference/dockerfile/
_OPTIONS = {
    "FROM": "platform",
    "COPY": "from chown chmod link parents exclude",
    "ADD": "keep-git-dir checksum chown chmod link exclude unpack",
    "RUN": "mount network security device",
    "HEALTHCHECK": "interval timeout start-period start-interval retries",
}
_NO_LIST = re.compile(r"\[(?!\[?\s)")
"""How a list begins, and a test of the shell does not."""
_DURATIONS = ("interval", "timeout", "start-period", "start-interval")


def findings(steps: Iterable[Instruction], path: Path, context: Path) -> Iterator[Finding]:
    """What a build in the folder `context` would refuse in instructions that it knows."""
    steps = list(steps)
    stages = [words[2] for step in steps if step.keyword == "FROM" and len(words := step.plain()) == 3]
    for step in steps:
        yield from _options(step, path)
        yield from _stage(step, path, stages)
        if step.keyword == "FROM":
            yield from _base(step, path)
        elif step.keyword in ("COPY", "ADD"):
            yield from _copy(step, path, context)
        elif step.keyword in ("ENTRYPOINT", "CMD") and _NO_LIST.match(step.rest) and not step.is_list:
            advice = "write double quotes around each word, and a comma between two"
            yield Finding(path, step.line, f"{step.keyword} is no list, and is run by a shell", advice)


def _options(step: Instruction, path: Path) -> Iterator[Finding]:
    known = _OPTIONS.get(step.keyword, "").split()
    for word in step.options if known else []:
        name, _, value = word.removeprefix("--").partition("=")
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            advice = f"the build ends there: {f'did you mean --{close[0]}?' if close else 'remove it'}"
            yield Finding(path, step.line_of(word), f"{step.keyword} has no option --{name}", advice)
        elif name in _DURATIONS and "$" not in value and not is_duration(value):
            yield Finding(path, step.line_of(word), f"--{name} is {value!r}", DURATION_ADVICE)


def _stage(step: Instruction, path: Path, stages: list[str]) -> Iterator[Finding]:
    """A stage by a name that it nearly has; another name is that of an image or of a context of the build."""
    for word in step.rest.split() if step.keyword in ("COPY", "ADD") else []:
        name = word.removeprefix("--from=")
        close = difflib.get_close_matches(name, stages, 1, 0.75)
        if name != word and close and name.lower() not in [stage.lower() for stage in stages]:
            yield Finding(path, step.line_of(word), f"there is no stage {name}", f"did you mean {close[0]}?")


def _base(step: Instruction, path: Path) -> Iterator[Finding]:
    words = step.plain()
    if len(words) not in (0, 1, 3) or (len(words) == 3 and words[1].lower() != "as"):
        advice = "write FROM IMAGE:TAG, or FROM IMAGE:TAG AS NAME"
        yield Finding(path, step.line, f"FROM {' '.join(words)} has a word too many or too few", advice)
        return
    wrong = images.fault(words[0]) if words else None
    if wrong:
        yield Finding(path, step.line, *wrong)


def _copy(step: Instruction, path: Path, context: Path) -> Iterator[Finding]:
    *sources, target = step.plain() or [""]
    is_local = not any(option.startswith(("--from=", "--parents")) for option in step.options)
    named = [source for source in sources if not source.startswith("<<")]
    if len(named) > 1 and not target.endswith("/") and target not in (".", ".."):
        message = f"{step.keyword} has {len(named)} sources and the target {target}"
        remedy = "write options before the sources" if target.startswith("--") else f"write {target}/"
        yield Finding(path, step.line, message, f"the build ends there: {remedy}")
    if not is_local or step.keyword != "COPY":
        return
    plain = [source for source in named if not re.search(r"[*?\[$]", source) and "://" not in source]
    here = [source for source in plain if (context / source.lstrip("/")).exists()]
    for source in plain:
        line, takes = step.line_of(source), f"COPY takes {source}"
        pattern = dockerignore.leaves_out(source, path, context)
        if pattern is not None:
            advice = f"the build ends there: take {pattern} out of .dockerignore, or copy something else"
            yield Finding(path, line, f"{takes}, which .dockerignore leaves out", advice)
        if PurePosixPath(source).parts[:1] == ("..",):
            advice = (
                "a build sees the files below its folder only: copy it there, or build in the folder above"
            )
            yield Finding(path, line, takes, advice)
            continue
        folder = (context / source.lstrip("/")).parent
        if source in here or not folder.is_dir():
            continue
        beside = [entry.name for entry in folder.iterdir()]
        close = difflib.get_close_matches(PurePosixPath(source).name, beside, 1, 0.85)
        if here or close:  # elsewhere the build may have another folder
            advice = f"the build ends there; {joined(here)} is there"
            yield Finding(
                path, line, f"{takes}, which is not there", f"did you mean {close[0]}?" if close else advice
            )
