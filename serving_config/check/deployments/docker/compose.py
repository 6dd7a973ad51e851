"""Compose files: the Compose Specification's schema, and the servers they describe."""

import re
import shlex
from collections.abc import Container, Iterable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

import jsonschema
from check_jsonschema.builtin_schemas import get_builtin_schema

from ...configs import text_proto
from ...configs.text_proto import Node
from ...finding import Finding
from ...servers import command_line
from ...servers.command_line import Words
from ...servers.described_server import (
    CREDENTIALS,
    MESSAGE_OF_FLAG,
    STOCK_IMAGE,
    DescribedServer,
    Mount,
    user_number,
)
from .. import misfits
from ..yaml_file import Document
from . import compose_build, compose_environment, dockerfile
from .image import SHELL
from .interpolation import interpolated
from .rules import compose_entries, compose_references, compose_service, compose_values

NAME = re.compile(r"(docker-)?compose([._-].*)?\.ya?ml")
"""What compose files are called."""


def is_compose(document: Document) -> bool:
    """Whether a YAML document is a compose file; GitLab's pipelines have a list of services, and charts have values."""
    if not isinstance(document.data, dict) or "apiVersion" in document.data:
        return False
    if not NAME.fullmatch(document.path.name) and (document.path.parent / "Chart.yaml").is_file():
        return False
    is_list = isinstance(document.data.get("services"), list)
    return "services" in document.data and (not is_list or bool(NAME.fullmatch(document.path.name)))


@cache
def _validator() -> Any:
    return jsonschema.Draft202012Validator(get_builtin_schema("vendor.compose-spec"))


def schema_findings(document: Document) -> Iterator[Finding]:
    """Where the file departs from the Compose Specification."""
    errors = list(_validator().iter_errors(document.data))
    schema = get_builtin_schema("vendor.compose-spec")
    fields = (schema.get("$defs") or schema["definitions"])["service"]["properties"]
    # Where a field is wrong, the schema calls all fields beside it unexpected as well.
    plain = [error for error in errors if error.validator != "unevaluatedProperties"]
    for error in plain or errors:
        deepest = jsonschema.exceptions.best_match([error])
        yield from misfits.findings(document, deepest, "see the Compose Specification", known=fields)


def _services(document: Document) -> dict[str, dict[str, Any]]:
    """Its services by name, those left out that say nothing."""
    given = document.data.get("services")
    services = given if isinstance(given, dict) else {}
    return {name: each for name, each in services.items() if isinstance(each, dict) and each}


def extended(documents: Iterable[Document]) -> set[tuple[Path, str]]:
    """The services that others extend: the file and the name of each."""
    found = set()
    for document in documents:
        for service in _services(document).values():
            base = service.get("extends")
            base = {"service": base} if isinstance(base, str) else base
            if isinstance(base, dict) and "service" in base:
                file = document.path.parent / str(base.get("file") or document.path.name)
                found.add((file.resolve(), str(base["service"])))
    return found


def built(documents: Iterable[Document]) -> set[Path]:
    """The Dockerfiles that services build."""
    builds = [
        compose_build.build(document, name, service)
        for document in documents
        for name, service in _services(interpolated(document)[0]).items()
    ]
    return {build.dockerfile.resolve() for build in builds if build}


def servers(
    document: Document, extended: Container[tuple[Path, str]] = (), is_whole: bool = True
) -> tuple[list[DescribedServer], list[Finding]]:
    """The TensorFlow Serving services of a compose file, and faults of each that need no other file.

    Args:
        extended: services that are not whole by themselves.
        is_whole: whether no other file is known to add to this one.
    """
    found: list[DescribedServer] = []
    faults: list[Finding] = []
    document, about_variables = interpolated(document)
    malformed = [finding for finding in about_variables if not finding.is_note]
    if malformed:
        return [], malformed
    services = _services(document)
    faults.extend(compose_references.findings(document, services, is_whole))
    for name, service in services.items():
        faults.extend(compose_values.findings(document, name, service))
        if "extends" in service or (document.path.resolve(), name) in extended:
            advice = "check what `docker compose config` prints"
            note = document.fault(f"{name} is made of several services", advice, "services", name).as_note()
            faults.append(note)
            continue
        if not {"image", "build", "provider"} & set(service):
            advice = "compose refuses it, unless another file gives it one"
            note = document.fault(f"{name} has neither image nor build", advice, "services", name).as_note()
            faults.append(note)
        try:
            server, problems = _server(document, name, service)
        except ValueError as error:
            key, reason = error.args
            message = f"{key} cannot be split into words, {reason}"
            faults.append(document.fault(message, "write it as a list", "services", name, key))
            continue
        faults.extend(problems)
        if server is not None:
            found.append(server)
            faults.extend(compose_service.findings(document, name, service, server))
    return found, (about_variables if found else []) + faults


def _server(
    document: Document, name: str, service: dict[str, Any]
) -> tuple[DescribedServer | None, list[Finding]]:
    """The server that a service runs, None where it runs none.

    Raises:
        ValueError: a quote of the command is not closed; with the key, and the reason.
    """
    entry, command = (_words(document, name, key, service.get(key)) for key in ("entrypoint", "command"))
    own_entry = None if service.get("entrypoint") is None else entry
    image = str(service.get("image", ""))
    environment = compose_environment.environment(document, service)
    build = compose_build.build(document, name, service)
    made, wrong = build.image() if build else (None, [])
    if wrong:
        return None, wrong
    line = document.line("services", name)
    at = document.line("services", name, "build")
    if made is not None:
        image = made.base
        environment = replace(environment, given={**made.environment, **environment.given})
        if own_entry is None:
            own_entry = made.entry and [(word, at) for word, _ in made.entry]
            if service.get("command") is None or not made.takes_command:
                command = [(word, at) for word, _ in made.command]
    elif "build" in service:
        image = ""  # what it is called says nothing of what is in it
    if not command_line.is_server(image, [word for word, _ in [*(own_entry or []), *command]]):
        return None, []
    run = command_line.read(own_entry, command, image, environment, document.path, line)
    if run.flags is None:
        return None, run.faults
    server = DescribedServer(
        document.path, line, image, run.flags, process=run.process, prepares=run.prepares
    )
    # An image of one's own may hold anything.
    server.complete = (made.complete if made else bool(STOCK_IMAGE.match(image))) and not run.prepares
    server.credentials = environment.given.get(CREDENTIALS, "")
    server.names = (name, str(service.get("container_name")), str(service.get("hostname")))
    server.workdir = str(service.get("working_dir") or (made.workdir if made else "/"))
    if service.get("user") or STOCK_IMAGE.match(image):
        server.reader = user_number(str(service.get("user") or ""))
    if made is not None and not service.get("user"):
        server.reader = made.reader
    server.mounts = [replace(mount, line=at) for mount in made.mounts()] if made else []
    server.mounts += _volumes(document, name, service)
    faults = run.faults
    if made is not None and not service.get("user"):
        faults.extend(dockerfile.rights(made))
    for mount, wrong in _settings(document, name, service, server):
        server.mounts.append(mount)
        faults.extend(wrong)
    test = (service.get("healthcheck") or {}).get("test")
    if test:
        words = [test] if isinstance(test, str) else list(map(str, test))
        shell = [made.shell if made else SHELL] if words[0] != "CMD" else []
        script = " ".join([*shell, *words])
        server.scripts = [(script, document.line("services", name, "healthcheck", "test"))]
    return server, faults


def _words(document: Document, name: str, key: str, value: Any) -> Words:
    """The words of `entrypoint` or `command`, each with its line.

    Raises:
        ValueError: a quote is not closed; with the key, and the reason.
    """
    try:
        words = shlex.split(value) if isinstance(value, str) else value or []
    except ValueError as error:
        raise ValueError(key, error) from error
    return [(str(word), document.line("services", name, key, index)) for index, word in enumerate(words)]


def _volumes(document: Document, name: str, service: dict[str, Any]) -> Iterator[Mount]:
    for index, volume in enumerate(service.get("volumes") or []):
        source, target, _ = compose_entries.mounted(volume)
        bind = source.startswith((".", "/", "~"))
        here = document.path.parent / Path(source).expanduser() if bind else None
        yield Mount(target, here, document.line("services", name, "volumes", index))


def _settings(
    document: Document, name: str, service: dict[str, Any], server: DescribedServer
) -> Iterator[tuple[Mount, list[Finding]]]:
    """The files that a service has as `configs` and `secrets`, and what is wrong with those that stand here."""
    named = [server.target(flag) for flag in MESSAGE_OF_FLAG]
    for key, folder in (("configs", "/"), ("secrets", "/run/secrets/")):
        known = document.data.get(key) or {}
        for index, entry in enumerate(service.get(key) or []):
            given = entry if isinstance(entry, dict) else {"source": entry}
            source = str(given.get("source") or "")
            target = str(PurePosixPath(folder) / str(given.get("target") or source))
            setting = known.get(source) or {}
            here = document.path.parent / setting["file"] if setting.get("file") else None
            held: Node | None = None
            faults: list[Finding] = []
            if isinstance(setting.get("content"), str) and target in named:
                # A text of several lines begins on the line below its key.
                first = document.line(key, source, "content") + ("\n" in setting["content"])
                held, faults = text_proto.read_text(setting["content"], document.path, first)
            line = document.line("services", name, key, index)
            yield Mount(target, here, line, config=held), faults
