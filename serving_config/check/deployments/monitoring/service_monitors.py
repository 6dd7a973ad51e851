"""What a ServiceMonitor of Prometheus' operator asks of the Services here, and of the servers behind them."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ...finding import Finding, joined
from ...servers.described_server import DescribedServer
from ..kubernetes import Surroundings, pod_keys, share_a_namespace
from ..rules.selectors import selects
from ..yaml_file import Document, get

_TEMPLATE = ("spec", "template", "metadata", "labels")
_ALIKE = 0.85


def findings(
    document: Document,
    deployments: Sequence[Document],
    surroundings: Surroundings,
    servers: Sequence[DescribedServer],
) -> Iterator[Finding]:
    """Services that it misses, ports that they do not have, and those that have no metrics."""
    spec = document.data.get("spec") or {}
    selector, everywhere = spec.get("selector") or {}, "namespaceSelector" in spec
    if not selector:  # it means every Service
        return
    services = [
        each
        for each in surroundings.objects
        if each.data["kind"] == "Service" and (everywhere or share_a_namespace(document, each))
    ]
    found = [each for each in services if selects(selector, get(each.data, "metadata", "labels") or {})]
    if not found and not _are_labelled(surroundings):
        yield from _missed(document, selector, services, deployments)
    for at, endpoint in enumerate(spec.get("endpoints") or []):
        yield from _endpoint(document, at, endpoint, found, deployments, servers)


def _missed(
    document: Document, selector: Mapping[str, Any], services: list[Document], deployments: Sequence[Document]
) -> Iterator[Finding]:
    """A Service that is meant, by the labels of its pods or by nearly its own; others may be in the cluster."""
    wanted = selector.get("matchLabels") or {}
    for service in services:
        own = get(service.data, "metadata", "labels") or {}
        where = ("spec", "selector", "matchLabels")
        if any(selects(selector, get(pods.data, *_TEMPLATE) or {}) for pods in _pods(service, deployments)):
            message = f"the ServiceMonitor selects by labels that the Service {_name(service)} lacks"
            yield document.fault(message, "add them to the metadata of the Service itself", *where)
            return
        if wanted and all(
            difflib.get_close_matches(str(value), [str(own.get(key))], 1, _ALIKE)
            for key, value in wanted.items()
        ):
            advice = f"did you mean {joined(f'{key}: {own[key]}' for key in wanted)}?"
            yield document.fault("the ServiceMonitor selects no Service", advice, *where)
            return


def _are_labelled(surroundings: Surroundings) -> bool:
    """Whether a kustomization adds labels to what is here."""
    given = [each.document.data for each in surroundings.kustomizations]
    return any(data.get(key) for data in given for key in ("commonLabels", "labels", "components"))


def _name(each: Document) -> str:
    return str(get(each.data, "metadata", "name"))


def _pods(service: Document, deployments: Sequence[Document]) -> list[Document]:
    """What has the pods that a Service selects."""
    wanted = get(service.data, "spec", "selector")
    return [
        each
        for each in deployments
        if wanted
        and selects({"matchLabels": wanted}, get(each.data, *_TEMPLATE) or {})
        and share_a_namespace(service, each)
    ]


def _endpoint(
    document: Document,
    at: int,
    endpoint: Mapping[str, Any],
    services: Sequence[Document],
    deployments: Sequence[Document],
    servers: Sequence[DescribedServer],
) -> Iterator[Finding]:
    where = ("spec", "endpoints", at)
    wanted = endpoint.get("port")
    for service in services if wanted is not None else ():
        ports = {str(port.get("name")): port for port in get(service.data, "spec", "ports") or []}
        if str(wanted) not in ports:
            message = f"the Service {_name(service)} has no port of the name {wanted}"
            yield document.fault(message, f"it has {joined(ports)}", *where, "port")
            continue
        port = ports[str(wanted)]
        for pods in _pods(service, deployments):
            number = _number(str(port.get("targetPort", port.get("port"))), pods)
            for server in servers:
                if server.path != pods.path or not server.ports_are_known:
                    continue
                if number == server.port:
                    message = f"Prometheus is sent to the gRPC port {number}"
                    yield document.fault(message, "the metrics are on the REST port", *where, "port")
                elif number == server.rest_port:
                    line = document.line(*where, "path")
                    server.scraped.append((endpoint.get("path") or "/metrics", document.path, line))


def _number(target: str, pods: Document) -> str:
    """The number of a port that the containers of these pods name."""
    for container in get(pods.data, *pod_keys(pods), "containers") or []:
        for port in container.get("ports") or []:
            if port.get("name") == target:
                return str(port.get("containerPort"))
    return target
