"""The image that a Dockerfile makes: its base, its files, its variables, and what it starts."""

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from ...servers.command_line import SCRIPT, Words
from ...servers.described_server import STOCK_IMAGE, Mount, user_number
from ..instructions import Instruction

_VARIABLE = re.compile(r"\$(?:\{(?P<name>\w+)(?::-(?P<default>[^}]*))?\}|(?P<bare>\w+))")
_OF_STOCK_IMAGE = {"MODEL_BASE_PATH": "/models", "MODEL_NAME": "model"}
_FILLED = ("ADD", "COPY", "ENV", "EXPOSE", "USER", "VOLUME", "WORKDIR")
"""Instructions in which a build fills in variables."""
SHELL = "/bin/sh -c"
_LEVELS = 3
"""How far above its Dockerfile the folder of a build is looked for."""


@dataclass(frozen=True)
class Image:
    """An image by the instructions of its last stage; `context` is the folder of the build."""

    path: Path
    line: int
    base: str
    steps: list[Instruction]
    context: Path

    def last(self, keyword: str) -> Instruction | None:
        """The instruction of that keyword that holds."""
        return next((step for step in reversed(self.steps) if step.keyword == keyword), None)

    @property
    def entry(self) -> Words | None:
        """The words of its entry point, None where its base's own runs."""
        step = self.last("ENTRYPOINT")
        words = None if step is None else _words(step)
        if words is None or [word for word, _ in words] == [f"/usr/bin/{SCRIPT}"]:
            makes = [
                step for step in self.steps if step.keyword in ("RUN", "COPY", "ADD") and SCRIPT in step.rest
            ]
            return [(f"the image's own {SCRIPT}", makes[0].line)] if makes else words
        return words

    @property
    def takes_command(self) -> bool:
        """Whether a command goes to its entry point, as it does not to a line of shell."""
        entry = self.last("ENTRYPOINT")
        return entry is None or not entry.rest or entry.is_list

    @property
    def command(self) -> Words:
        """The words of its command, none where the entry point leaves it out."""
        step = self.last("CMD")
        return _words(step) if step and self.takes_command else []

    @property
    def environment(self) -> dict[str, str]:
        """The variables that it sets."""
        found: dict[str, str] = {}
        for step in self.steps:
            if step.keyword == "ENV":
                found |= _variables(step)
        return found

    @property
    def complete(self) -> bool:
        """Whether its files are all known: what RUN makes, an archive unpacks, and another base has, cannot be seen."""
        copies = [step for step in self.steps if step.keyword in ("COPY", "WORKDIR")]
        hidden = any(step.keyword in ("RUN", "ADD", "ONBUILD") for step in self.steps)
        return (
            bool(STOCK_IMAGE.match(self.base)) and not hidden and not any("$" in step.rest for step in copies)
        )

    @property
    def reader(self) -> int | None:
        """The user who reads its files, by number, None where only a name is known; 0 where COPY sets rights."""
        options = [option for step in self.steps if step.keyword == "COPY" for option in step.options]
        if any(option.startswith(("--chown=", "--chmod=")) for option in options):
            return 0
        step = self.last("USER")
        return user_number("" if step is None else step.rest)

    @property
    def shell(self) -> str:
        """What runs its lines of shell."""
        step = self.last("SHELL")
        return step.rest if step else SHELL

    @property
    def workdir(self) -> str:
        """Its working directory."""
        found = PurePosixPath("/")
        for step in self.steps:
            found = found / step.rest if step.keyword == "WORKDIR" else found
        return str(found)

    def mounts(self) -> Iterator[Mount]:
        """What is copied into it, and its volumes, whose files come when a container is started."""
        workdir = PurePosixPath("/")
        for step in self.steps:
            if step.keyword == "WORKDIR":
                workdir /= step.rest
            if step.keyword == "VOLUME":
                yield from (Mount(word, None, step.line) for word in step.plain())
            if step.keyword in ("COPY", "ADD"):
                yield from self._copies(step, workdir)

    def _copies(self, step: Instruction, workdir: PurePosixPath) -> Iterator[Mount]:
        *sources, target = step.plain()
        foreign = any(option.startswith("--from=") for option in step.options)
        for source in sources:
            into, here = workdir / target, self.context / source.lstrip("/")
            if foreign or not here.exists():  # a file or a folder, and which cannot be seen
                yield Mount(str(into), None, step.line, is_copy=True)
            # Of a folder the content is copied, of a file the file.
            if (target.endswith("/") or len(sources) > 1) and not here.is_dir():
                into /= PurePosixPath(source).name
            yield Mount(str(into), None if foreign else here, step.line, is_copy=True)


def read(
    steps: list[Instruction],
    path: Path,
    context: Path | None = None,
    target: str = "",
    arguments: Mapping[str, str] | None = None,
) -> Image | None:
    """The image that the instructions make, None where no stage names a base.

    Args:
        context: the folder of the build; None where it has to be guessed.
        target: the stage that is built; by default the last one.
        arguments: values of ARG that the build is given.
    """
    found = _stage(steps, target.lower(), arguments or {})
    base = next((step for step in found if step.keyword == "FROM"), None)
    name = next(iter(base.plain()), "") if base else ""
    if base is None or not name:
        return None
    return Image(path, base.line, name, found, context or guessed_context(found, path.parent))


def guessed_context(steps: list[Instruction], folder: Path) -> Path:
    """The folder of a build: that of the Dockerfile, or one above it where that has what is copied."""
    sources = [
        word.lstrip("/")
        for step in steps
        if step.keyword == "COPY" and not any(option.startswith("--from=") for option in step.options)
        for word in step.plain()[:-1]
    ]
    above = (folder, *folder.resolve().parents[:_LEVELS])
    return next((each for each in above if any((each / source).exists() for source in sources)), folder)


def _stage(steps: list[Instruction], target: str, given: Mapping[str, str]) -> list[Instruction]:
    """What makes the image: a stage, behind the stages that it is built upon, its variables filled in."""
    arguments: dict[str, str] = {}
    stages: dict[str, list[Instruction]] = {}
    known: dict[str, str] = {}
    last: list[Instruction] = []
    for step in steps:
        if step.keyword == "ARG":
            name, equals, value = step.rest.partition("=")
            value = given.get(name, _filled(value.strip("\"'"), known if last else arguments))
            if not last:
                arguments |= {name: value} if equals or name in given else {}
            elif name not in known:
                known |= {name: value} if equals or name in given else {}
                known |= {name: arguments[name]} if not equals and name in arguments else {}
        elif step.keyword == "FROM":
            if target and target in stages:
                break
            step = replace(step, rest=_filled(step.rest, arguments))
            words = step.plain()
            before = stages.get(words[0].lower()) if words else None
            last = [*before] if before else [step]
            known = dict(_OF_STOCK_IMAGE) if words and STOCK_IMAGE.match(words[0]) else {}
            for each in before or []:
                known |= _variables(each) if each.keyword == "ENV" else {}
            if len(words) == 3:  # FROM image AS name
                stages[words[2].lower()] = last
        elif last:
            if step.keyword in _FILLED:
                step = replace(step, rest=_filled(step.rest, known))
            if step.keyword == "ENV":
                known |= _variables(step)
            last.append(step)
    return stages.get(target, last)


def _variables(step: Instruction) -> dict[str, str]:
    name, equals, _ = step.rest.partition(" ")[0].partition("=")
    if not equals:
        return {name: step.rest.partition(" ")[2]}
    try:
        words = shlex.split(step.rest)
    except ValueError:  # a quote that is not closed
        return {}
    return {key: value for key, _, value in (word.partition("=") for word in words)}


def _words(step: Instruction) -> Words:
    """The exec form's words; the shell form's are a script of the shell."""
    if step.rest.startswith("["):
        return [(word, step.line_of(word)) for word in step.words()]
    return [(word, step.line) for word in ("/bin/sh", "-c", step.rest)]


def _filled(text: str, arguments: Mapping[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        return arguments.get(match["name"] or match["bare"]) or match["default"] or match[0]

    return _VARIABLE.sub(value, text)
