"""Compose files: the Compose Specification's schema, and the servers they describe."""

import os
import re
import shlex
from collections.abc import Container, Iterable, Iterator
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

import jsonschema
from check_jsonschema.builtin_schemas import get_builtin_schema

from ..finding import Finding, joined
from ..servers import command_line
from ..servers.command_line import Words
from ..servers.described_server import (
    ENTRY_POINT,
    LEAST_MEMORY,
    MEMORY_ADVICE,
    STOCK_IMAGE,
    DescribedServer,
    Mount,
)
from .interpolation import interpolated
from .yaml_file import Document

_BYTES = re.compile(r"(?P<number>\d+(\.\d+)?)(?P<unit>[bkmg]?)b?")
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


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
    for error in _validator().iter_errors(document.data):
        deepest = jsonschema.exceptions.best_match([error])
        where = ".".join(str(part) for part in deepest.absolute_path) or "the file"
        message = f"{where}: {deepest.message[:200]}"
        yield document.fault(message, "see the Compose Specification", *deepest.absolute_path)


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
    document: Document, extended: Container[tuple[Path, str]] = ()
) -> tuple[list[DescribedServer], list[Finding]]:
    """The TensorFlow Serving services of a compose file, and faults of each that need no other file.

    Args:
        extended: services that are not whole by themselves.
    """
    found: list[DescribedServer] = []
    faults: list[Finding] = []
    document, about_variables = interpolated(document)
    services = document.data.get("services")
    for name, service in services.items() if isinstance(services, dict) else ():
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
        except _UnreadableError as error:
            faults.append(error.finding)
            continue
        if not {"image", "build", "provider"} & set(service):
            advice = "compose refuses it, unless another file gives it one"
            note = document.fault(f"{name} has neither image nor build", advice, "services", name).as_note()
            faults.append(note)
        image = str(service.get("image", ""))
        if not STOCK_IMAGE.match(image) and not any(ENTRY_POINT in word for word, _ in entry + command):
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
        faults.extend(_service_faults(document, name, service, server))
    return found, faults + (about_variables if found else [])


class _UnreadableError(Exception):
    def __init__(self, finding: Finding):
        super().__init__(finding)
        self.finding = finding


def _words(document: Document, name: str, key: str, value: Any) -> Words:
    """The words of `entrypoint` or `command`, each with its line.

    Raises:
        _UnreadableError: a quote is not closed.
    """
    try:
        words = shlex.split(value) if isinstance(value, str) else value or []
    except ValueError as error:
        message = f"{key} cannot be split into words, {error}"
        raise _UnreadableError(
            document.fault(message, "write it as a list", "services", name, key)
        ) from error
    return [(str(word), document.line("services", name, key, index)) for index, word in enumerate(words)]


def _environment(service: dict[str, Any]) -> dict[str, str]:
    given = service.get("environment") or {}
    pairs = given.items() if isinstance(given, dict) else (str(entry).split("=", 1) for entry in given)
    return {pair[0]: str(pair[1]) for pair in map(tuple, pairs) if len(pair) == 2}


def _volumes(document: Document, name: str, service: dict[str, Any]) -> Iterator[Mount]:
    for index, volume in enumerate(service.get("volumes") or []):
        source, target, _ = _volume(volume)
        bind = source.startswith((".", "/", "~"))
        here = document.path.parent / Path(source).expanduser() if bind else None
        yield Mount(target, here, document.line("services", name, "volumes", index))


def _volume(volume: Any) -> tuple[str, str, bool]:
    """Source, target, and whether it is mounted writable."""
    if isinstance(volume, str):
        source, _, rest = volume.partition(":")
        target, _, options = rest.partition(":")
        return source, target or source, "ro" not in options.split(",")
    source, target = (str(volume.get(key, "")) for key in ("source", "target"))
    return source, target, volume.get("type") == "bind" and volume.get("read_only") is not True


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


def _service_faults(
    document: Document, name: str, service: dict[str, Any], server: DescribedServer
) -> Iterator[Finding]:
    wanted = ((service.get("deploy") or {}).get("resources") or {}).get("limits", {}).get("cpus")
    wanted, cores = wanted or service.get("cpus"), os.cpu_count() or 1
    if wanted is not None and re.fullmatch(r"\d+(\.\d*)?", str(wanted)) and float(wanted) > cores:
        message = f"{name} wants {wanted} CPUs, and this machine has {cores}"
        advice = "Docker would not start it here"
        yield server.fault(message, advice, document.line("services", name)).as_note()
    if service.get("init") is not True:
        advice = "add init: true, or `docker stop` waits and then kills it"
        yield server.fault(f"{name}: as process 1 the server ignores SIGTERM", advice)
    for index, volume in enumerate(service.get("volumes") or []):
        _, target, writable = _volume(volume)
        if writable:
            message, advice = f"{target} is mounted writable", "the server only reads: make it read-only"
            yield document.fault(message, advice, "services", name, "volumes", index)
    for index, entry in enumerate(service.get("ports") or []):
        host, target = _published(entry)
        if target not in (server.port, server.rest_port):
            message, advice = f"{name} publishes port {target}", server.listens
        elif host not in _LOOPBACK and not (server.encrypted and target == server.port):
            message = f"port {target} is open to other machines without TLS"
            advice = "publish it on 127.0.0.1 only, or configure TLS (gRPC) and keep REST inside"
        else:
            continue
        yield document.fault(message, advice, "services", name, "ports", index)
    bare = [
        kind for kind, open_ in (("gRPC", not server.encrypted), ("REST", server.rest_port != "0")) if open_
    ]
    if service.get("network_mode") == "host" and bare:
        message = f"{joined(bare)} open to other machines without TLS on the host's own network"
        advice = "remove network_mode and publish ports on 127.0.0.1"
        yield document.fault(message, advice, "services", name, "network_mode")

    yield from _limits(document, name, service, server)


def _limits(
    document: Document, name: str, service: dict[str, Any], server: DescribedServer
) -> Iterator[Finding]:
    """Memory that no server fits, and one port of the machine for several containers."""
    deploy = service.get("deploy") or {}
    limit = ((deploy.get("resources") or {}).get("limits") or {}).get("memory") or service.get("mem_limit")
    amount = _BYTES.fullmatch(str(limit).lower())
    if amount and float(amount["number"]) * 1024 ** "bkmg".index(amount["unit"] or "b") < LEAST_MEMORY:
        message = f"{name}: {limit} of memory is less than the server alone takes"
        yield server.fault(message, MEMORY_ADVICE)
    replicas = deploy.get("replicas", service.get("scale", 1))
    fixed = [entry for entry in service.get("ports") or [] if _fixed(entry)]
    if str(replicas).isdigit() and int(replicas) > 1 and fixed:
        message = f"{name}: {replicas} containers cannot share one port of the machine"
        yield server.fault(message, "publish a range, or none and put a balancer in front")


def _fixed(entry: Any) -> bool:
    """Whether an entry of `ports` names the machine's port, and only one."""
    if isinstance(entry, dict):
        return str(entry.get("published") or "").isdigit()
    return str(entry).partition("/")[0].rpartition(":")[0].rpartition(":")[2].isdigit()


def _published(entry: Any) -> tuple[str, str]:
    if isinstance(entry, dict):
        return str(entry.get("host_ip", "")), str(entry.get("target", ""))
    address, _, target = str(entry).partition("/")[0].rpartition(":")
    host = address.rpartition(":")[0]
    return host, target
