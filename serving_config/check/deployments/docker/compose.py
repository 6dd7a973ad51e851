"""Compose files: the Compose Specification's schema, and the servers they describe."""

import re
import shlex
from collections.abc import Container, Iterable, Iterator
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

import jsonschema
from check_jsonschema.builtin_schemas import get_builtin_schema

from ...finding import Finding
from ...servers import command_line
from ...servers.command_line import Words
from ...servers.described_server import (
    ENTRY_POINT,
    DescribedServer,
    Mount,
)
from .. import misfits
from ..rules import compose_entries, compose_references, compose_service, compose_values
from ..yaml_file import Document
from .interpolation import interpolated

NAME = re.compile(r"(docker-)?compose([._-].*)?\.ya?ml")
"""What compose files are called."""


def is_compose(document: Document) -> bool:
    """Whether a YAML document is a compose file."""
    return (
        isinstance(document.data, dict) and "services" in document.data and "apiVersion" not in document.data
    )


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


def extended(documents: Iterable[Document]) -> set[tuple[Path, str]]:
    """The services that others extend: the file and the name of each."""
    found = set()
    for document in documents:
        for service in (document.data.get("services") or {}).values():
            base = service.get("extends") if isinstance(service, dict) else None
            base = {"service": base} if isinstance(base, str) else base or {}
            if "service" in base:
                file = document.path.parent / base.get("file", document.path.name)
                found.add((file.resolve(), str(base["service"])))
    return found


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
    services = document.data.get("services")
    faults.extend(compose_references.findings(document, is_whole))
    for name, service in services.items() if isinstance(services, dict) else ():
        if not service:
            continue
        faults.extend(compose_values.findings(document, name, service))
        if "extends" in service or (document.path.resolve(), name) in extended:
            message, advice = (
                f"{name} is made of several services",
                "check what `docker compose config` prints",
            )
            faults.append(document.fault(message, advice, "services", name).as_note())
            continue
        try:
            entry, command = (
                _words(document, name, key, service.get(key)) for key in ("entrypoint", "command")
            )
        except ValueError as error:
            key, reason = error.args
            message = f"{key} cannot be split into words, {reason}"
            faults.append(document.fault(message, "write it as a list", "services", name, key))
            continue
        if not {"image", "build", "provider"} & set(service):
            advice = "compose refuses it, unless another file gives it one"
            note = document.fault(f"{name} has neither image nor build", advice, "services", name).as_note()
            faults.append(note)
        image = str(service.get("image", ""))
        if not command_line.is_server(image, [word for word, _ in entry + command]):
            continue
        own_entry = None if service.get("entrypoint") is None else entry
        line = document.line("services", name)
        run = command_line.read(own_entry, command, image, _environment(service), document.path, line)
        faults.extend(run.faults)
        if run.flags is None:
            continue
        server = DescribedServer(document.path, line, image, run.flags)
        if not run.signals:
            advice = f'add entrypoint: ["/usr/bin/{ENTRY_POINT}"] and init: true'
            what = "the image's entry point script" if own_entry is None else "the shell"
            faults.append(server.fault(f"{what} keeps SIGTERM from the server", advice))
        server.mounts = [*_volumes(document, name, service), *_settings(document, name, service)]
        test = (service.get("healthcheck") or {}).get("test")
        if test:
            script = test if isinstance(test, str) else " ".join(test)
            server.scripts = [(script, document.line("services", name, "healthcheck", "test"))]
        found.append(server)
        faults.extend(compose_service.findings(document, name, service, server))
    return found, (about_variables if found else []) + faults


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


def _environment(service: dict[str, Any]) -> dict[str, str]:
    given = service.get("environment") or {}
    pairs = given.items() if isinstance(given, dict) else (str(entry).split("=", 1) for entry in given)
    return {pair[0]: str(pair[1]) for pair in map(tuple, pairs) if len(pair) == 2}


def _volumes(document: Document, name: str, service: dict[str, Any]) -> Iterator[Mount]:
    for index, volume in enumerate(service.get("volumes") or []):
        source, target, _ = compose_entries.mounted(volume)
        bind = source.startswith((".", "/", "~"))
        here = document.path.parent / Path(source).expanduser() if bind else None
        yield Mount(target, here, document.line("services", name, "volumes", index))


def _settings(document: Document, name: str, service: dict[str, Any]) -> Iterator[Mount]:
    """The files that a service has as `configs` and `secrets`."""
    for key, folder in (("configs", "/"), ("secrets", "/run/secrets/")):
        known = document.data.get(key) or {}
        for index, entry in enumerate(service.get(key) or []):
            given = entry if isinstance(entry, dict) else {"source": entry}
            source = str(given["source"])
            file = (known.get(source) or {}).get("file")
            here = document.path.parent / file if file else None
            target = str(PurePosixPath(folder) / given.get("target", source))
            yield Mount(target, here, document.line("services", name, key, index))
