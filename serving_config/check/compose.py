"""Compose files: the Compose Specification's schema, and the servers they describe."""

import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
from check_jsonschema.builtin_schemas import get_builtin_schema

from . import server_flags
from .described_server import ENTRY_POINT, STOCK_IMAGE, DescribedServer, Mount
from .finding import Finding, joined
from .yaml_file import Document, interpolate

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
        line = document.line(*deepest.absolute_path)
        message = f"{where}: {deepest.message[:200]}"
        yield Finding(document.path, line, message, "see the Compose Specification")


def servers(document: Document) -> tuple[list[DescribedServer], list[Finding]]:
    """The TensorFlow Serving services of a compose file, and faults of each that need no other file."""
    found: list[DescribedServer] = []
    faults: list[Finding] = []
    services = document.data.get("services")
    for name, service in services.items() if isinstance(services, dict) else ():
        unreadable = list(_unreadable(document, name, service))
        faults.extend(unreadable)
        if not unreadable and _serves(service):
            server, problems = _server(document, name, service)
            found.append(server)
            faults.extend(problems)
            faults.extend(_service_faults(document, name, service, server))
    return found, faults


def _unreadable(document: Document, name: str, service: dict[str, Any]) -> Iterator[Finding]:
    for key in ("entrypoint", "command"):
        try:
            _words(service.get(key))
        except ValueError as error:
            line = document.line("services", name, key)
            yield Finding(
                document.path, line, f"{key} cannot be split into words, {error}", "write it as a list"
            )


def _words(value: Any) -> list[str]:
    return (
        shlex.split(interpolate(value))
        if isinstance(value, str)
        else [interpolate(str(v)) for v in value or []]
    )


def _serves(service: dict[str, Any]) -> bool:
    image = interpolate(str(service.get("image", "")))
    words = _words(service.get("entrypoint")) + _words(service.get("command"))
    return bool(STOCK_IMAGE.match(image)) or any(ENTRY_POINT in word for word in words)


def _server(document: Document, name: str, service: dict[str, Any]) -> tuple[DescribedServer, list[Finding]]:
    path, line = document.path, document.line("services", name)
    words: list[tuple[str, int]] = []
    for key in ("entrypoint", "command"):
        for index, word in enumerate(_words(service.get(key))):
            words.append((word, document.line("services", name, key, index)))
    words = [(word, at) for word, at in words if not word.endswith(ENTRY_POINT)]
    flags, faults = server_flags.parse(words, path, line)
    if not any(word.endswith(ENTRY_POINT) for word in _words(service.get("entrypoint"))):
        advice = f'add entrypoint: ["/usr/bin/{ENTRY_POINT}"] and init: true'
        faults.append(
            Finding(path, line, "the image's entry point script keeps SIGTERM from the server", advice)
        )
    server = DescribedServer(path, line, interpolate(str(service.get("image", ""))), flags)
    server.mounts = list(_mounts(document, name, service))
    test = (service.get("healthcheck") or {}).get("test")
    if test:
        script = interpolate(test if isinstance(test, str) else " ".join(test))
        server.scripts = [(script, document.line("services", name, "healthcheck", "test"))]
    return server, faults


def _mounts(document: Document, name: str, service: dict[str, Any]) -> Iterator[Mount]:
    for index, volume in enumerate(service.get("volumes") or []):
        line = document.line("services", name, "volumes", index)
        if isinstance(volume, str):
            source, _, rest = interpolate(volume).partition(":")
            target = rest.partition(":")[0] or source
        else:
            source, target = (interpolate(str(volume.get(key, ""))) for key in ("source", "target"))
        bind = source.startswith((".", "/", "~"))
        yield Mount(target, document.path.parent / Path(source).expanduser() if bind else None, line)


def _service_faults(
    document: Document, name: str, service: dict[str, Any], server: DescribedServer
) -> Iterator[Finding]:
    path = document.path
    if service.get("init") is not True:
        advice = "add init: true, or `docker stop` waits and then kills it"
        yield Finding(path, server.line, f"{name}: as process 1 the server ignores SIGTERM", advice)
    for index, volume in enumerate(service.get("volumes") or []):
        line = document.line("services", name, "volumes", index)
        if isinstance(volume, str):
            source, _, rest = interpolate(volume).partition(":")
            target, _, options = rest.partition(":")
            target, writable = target or source, "ro" not in options.split(",")
        else:
            target = volume.get("target", "")
            writable = volume.get("type") == "bind" and volume.get("read_only") is not True
        if writable:
            yield Finding(
                path, line, f"{target} is mounted writable", "the server only reads: make it read-only"
            )
    yield from _port_faults(document, name, service, server)
    yield from _host_network(document, name, service, server)


def _port_faults(
    document: Document, name: str, service: dict[str, Any], server: DescribedServer
) -> Iterator[Finding]:
    encrypted = "ssl_config_file" in server.flags.given
    for index, entry in enumerate(service.get("ports") or []):
        line = document.line("services", name, "ports", index)
        host, target = _published(entry)
        if target not in (server.port, server.rest_port):
            advice = f"the server listens on {server.port} (gRPC) and {server.rest_port} (REST)"
            yield Finding(document.path, line, f"{name} publishes port {target}", advice)
        elif host not in _LOOPBACK and not (encrypted and target == server.port):
            advice = "publish it on 127.0.0.1 only, or configure TLS (gRPC) and keep REST inside"
            yield Finding(document.path, line, f"port {target} is open to other machines without TLS", advice)


def _host_network(
    document: Document, name: str, service: dict[str, Any], server: DescribedServer
) -> Iterator[Finding]:
    if service.get("network_mode") != "host":
        return
    encrypted, rest = "ssl_config_file" in server.flags.given, server.rest_port != "0"
    bare = [kind for kind, is_bare in (("gRPC", not encrypted), ("REST", rest)) if is_bare]
    if bare:
        line = document.line("services", name, "network_mode")
        message = f"{joined(bare)} open to other machines without TLS on the host's own network"
        yield Finding(document.path, line, message, "remove network_mode and publish ports on 127.0.0.1")


def _published(entry: Any) -> tuple[str, str]:
    if isinstance(entry, dict):
        return str(entry.get("host_ip", "")), str(entry.get("target", ""))
    address, _, target = interpolate(str(entry)).partition("/")[0].rpartition(":")
    host = address.rpartition(":")[0]
    return host, target
