"""What must hold between an Ingress and the Services that it leads to, where these are at hand."""

import difflib
from collections.abc import Iterator
from typing import Any

from ...finding import Finding, joined
from ..kubernetes import share_a_namespace
from ..yaml_file import Document, Place, get

_ALIKE = 0.85
_NGINX = "nginx.ingress.kubernetes.io/"
_PROTOCOL = f"{_NGINX}backend-protocol"


def findings(document: Document, objects: list[Document]) -> Iterator[Finding]:
    """Backends that no Service here has; a Service of quite another name may be in the cluster already."""
    services = {
        str(get(each.data, "metadata", "name")): each
        for each in objects
        if each.data["kind"] == "Service" and share_a_namespace(each, document)
    }
    for where, backend in _backends(document):
        name, port = str(get(backend, "name")), get(backend, "port") or {}
        close = difflib.get_close_matches(name, services, 1, _ALIKE)
        if name in services:
            yield from _port(document, (*where, "port"), port, services[name])
            yield from _protocol(document, (*where, "port"), port, services[name])
        elif close:
            message = f"the Ingress leads to the Service {name}, which is not there"
            yield document.fault(message, f"did you mean {close[0]}?", *where, "name")


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
            yield document.fault(message, f"it has {joined(known)}", *where, key)


def _protocol(document: Document, where: Place, wanted: Any, service: Document) -> Iterator[Finding]:
    """What nginx speaks to the port: HTTP/1.1, which no gRPC server answers, unless an annotation says otherwise."""
    annotations = get(document.data, "metadata", "annotations") or {}
    named = (get(document.data, "spec", "ingressClassName"), annotations.get("kubernetes.io/ingress.class"))
    if "nginx" not in named and not any(key.startswith(_NGINX) for key in annotations):
        return
    spoken = str(annotations.get(_PROTOCOL) or "HTTP").upper()
    for port in get(service.data, "spec", "ports") or []:
        asked = (wanted.get("name", port.get("name")), wanted.get("number", port.get("port")))
        if asked != (port.get("name"), port.get("port")):
            continue
        words = {
            str(port.get(key) or "").lower().partition("-")[0]
            for key in ("name", "appProtocol", "targetPort")
        }
        is_grpc = "grpc" in words or str(port.get("targetPort") or port.get("port")) == "8500"
        if is_grpc and not spoken.startswith("GRPC"):
            advice = f"annotate the Ingress with {_PROTOCOL}: GRPC"
            yield document.fault("nginx speaks HTTP/1.1 to the gRPC port", advice, *where)
        elif not is_grpc and spoken.startswith("GRPC") and words & {"rest", "http"}:
            yield document.fault(
                f"nginx speaks gRPC to the port {port.get('name')}", "lead it to the gRPC port", *where
            )
