"""Dockerfiles that bake models into the server's image."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from ...finding import Finding
from ...servers import command_line
from ...servers.described_server import ENTRY_POINT, STOCK_IMAGE, DescribedServer
from ...servers.environment import Environment
from ..instructions import Instruction, instructions
from . import image
from .image import Image
from .rules import dockerfile_values

_KEYWORDS = """ADD ARG CMD COPY ENTRYPOINT ENV EXPOSE FROM HEALTHCHECK LABEL MAINTAINER ONBUILD RUN SHELL STOPSIGNAL
    USER VOLUME WORKDIR"""


def read(
    path: Path,
    context: Path | None = None,
    target: str = "",
    arguments: Mapping[str, str] | None = None,
    text: str = "",
) -> tuple[Image | None, list[Finding]]:
    """The image that a Dockerfile makes, None where a build would end, and faults of its instructions.

    Args:
        text: what it says, where it stands in another file, on the lines that it has there.
    """
    every = list(instructions(text or path.read_text(encoding="utf-8")))
    made = image.read(every, path, context, target, arguments)
    if made is None:
        base = next((step for step in reversed(every) if step.keyword == "FROM"), None)
        line, message = (base.line, "FROM names no image") if base else (1, "no FROM instruction")
        return None, [Finding(path, line, message, "begin with FROM tensorflow/serving:2.20.0")]
    faults = [*_unknown(every, path), *_unreadable(made.steps, path)]
    faults += (
        [] if faults else dockerfile_values.findings(every, path, image.guessed_context(every, path.parent))
    )
    return (None, faults) if faults else (made, [])


def server(made: Image) -> tuple[DescribedServer | None, list[Finding]]:
    """The server that the image runs, or None where it is none, and faults that need no other file."""
    path, entry, command = made.path, made.last("ENTRYPOINT"), made.last("CMD")
    if entry and command and not made.takes_command and ENTRY_POINT in entry.rest:
        message = "CMD is left out, for ENTRYPOINT is a line of shell"
        return None, [Finding(path, entry.line, message, f'write ENTRYPOINT ["/usr/bin/{ENTRY_POINT}"]')]
    words = [word for word, _ in [*(made.entry or []), *made.command]]
    if not any(ENTRY_POINT in word for word in words) and not STOCK_IMAGE.match(made.base):
        first = entry or command
        if first is None or not any(ENTRY_POINT in step.rest for step in made.steps):
            return None, []
        message = f"what {(first.words() or ['it'])[0]} runs was not checked"
        note = Finding(path, first.line, message, f"only a command that names {ENTRY_POINT} is")
        return None, [note.as_note()]
    takes_more = made.takes_command and not made.command
    # Whoever starts the image may name the model by -e MODEL_NAME=... as well.
    given = {"MODEL_BASE_PATH": "/models", **made.environment} if takes_more else made.environment
    environment = Environment(given, complete=not takes_more)
    run = command_line.read(made.entry, made.command, made.base, environment, path, made.line)
    if run.flags is None:
        return None, run.faults
    found = DescribedServer(path, made.line, made.base, run.flags, list(made.mounts()))
    found.complete = made.complete and not run.prepares
    found.reader, found.workdir, found.prepares = made.reader, made.workdir, run.prepares
    found.takes_more = takes_more
    faults = run.faults
    # An empty ENTRYPOINT takes the image's own away, and CMD is the whole command.
    first = command if entry is not None and not entry.words() else entry
    if entry is None and command is not None and not STOCK_IMAGE.match(made.base):
        # An image that is not known to have an entry point runs CMD; not every shell makes way for its only command.
        first = command if command.is_list or command.rest.startswith("exec ") else None
    if first is None or run.process not in (command_line.SERVER, command_line.INIT):
        advice = f'write ENTRYPOINT ["/usr/bin/{ENTRY_POINT}"]'
        line = entry.line if entry else made.line
        faults.append(found.fault("the server is not the entry point, and gets no signals", advice, line))
    faults.extend(rights(made))
    checks = [step for step in made.steps if step.keyword == "HEALTHCHECK"]
    found.scripts = [
        (step.rest if "CMD [" in step.rest else f"{made.shell} {step.rest}", step.line) for step in checks
    ]
    return found, faults


def rights(made: Image) -> Iterator[Finding]:
    """The user that the image's process runs as, where that is root, as in the images without a publisher's name."""
    user = made.last("USER")
    is_of_base = bool(STOCK_IMAGE.match(made.base)) or "/" not in made.base
    if is_of_base if user is None else user.rest.split(":")[0] in ("root", "0"):
        line = user.line if user else made.line
        yield Finding(made.path, line, "the server runs as root", "add USER 65532:65532")


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
        elif step.keyword in ("COPY", "ADD") and len(step.plain()) < 2:
            yield Finding(path, step.line, f"{step.keyword} lacks a source or a target", "name both")
