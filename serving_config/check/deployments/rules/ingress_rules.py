"""What must hold between an Ingress and the Services that it leads to, where these are at hand."""

import difflib
from collections.abc import Iterator
from typing import Any

from ...finding import Finding, joined
from ..yaml_file import Document, Place, get

_ALIKE = 0.85


def findings(document: Document, objects: list[Document]) -> Iterator[Finding]:
    """Backends that no Service here has; a Service of quite another name may be in the cluster already."""
    services = {
        str(get(each.data, "metadata", "name")): each for each in objects if _is_beside(each, document)
    }
    for where, backend in _backends(document):
        name, port = str(get(backend, "name")), get(backend, "port") or {}
        close = difflib.get_close_matches(name, services, 1, _ALIKE)
        if name in services:
            yield from _port(document, (*where, "port"), port, services[name])
        elif close:
            message = f"the Ingress leads to the Service {name}, which is not there"
            yield document.fault(message, f"did you mean {close[0]}?", *where, "name")


def _is_beside(each: Document, document: Document) -> bool:
    one, other = (get(d.data, "metadata", "namespace") for d in (each, document))
    return each.data["kind"] == "Service" and (one == other or None in (one, other))


def _backends(document: Document) -> Iterator[tuple[Place, Any]]:
    default = get(document.data, "spec", "defaultBackend", "service")
    if default:
        yield ("spec", "defaultBackend", "service"), default
    for at, rule in enumerate(get(document.data, "spec", "rules") or []):
        for index, path in enumerate(get(rule, "http", "paths") or []):
            service = get(path, "backend", "service")
            if service:
                yield ("spec", "rules", at, "http", "paths", index, "backend", "service"), service


def _port(document: Document, where: Place, wanted: Any, service: Document) -> Iterator[Finding]:
    ports = [port for port in get(service.data, "spec", "ports") or [] if isinstance(port, dict)]
    for key, of_service in (("number", "port"), ("name", "name")):
        known = [port.get(of_service) for port in ports if port.get(of_service) is not None]
        if key in wanted and ports and wanted[key] not in known:
            message = f"the Service {get(service.data, 'metadata', 'name')} has no port {wanted[key]}"
            yield document.fault(
                message, f"it has {joined(map(str, known)) or 'none with a name'}", *where, key
            )
