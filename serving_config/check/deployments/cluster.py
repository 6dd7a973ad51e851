"""What must hold between Kubernetes objects: selectors, target ports, and who owns `replicas`."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..finding import Finding, joined
from ..servers import command_line
from ..servers.amounts import of_pods
from ..servers.described_server import DescribedServer
from .kubernetes import Surroundings, pod_keys, share_a_namespace
from .monitoring import service_monitors
from .rules import autoscaler_rules
from .rules.selectors import selects
from .yaml_file import Document, Place, get

_WORKLOADS = (
    *("Pod", "ReplicaSet", "DaemonSet", "StatefulSet", "InferenceService", "Rollout", "DeploymentConfig"),
    "Deployment",
)
"""What has pods. Of two that have one name the later is meant."""


def deployments(documents: list[Document]) -> list[Document]:
    """The Deployments, and what else has pods, among the objects."""
    found = [d for d in documents if d.data["kind"] in _WORKLOADS]
    return sorted(found, key=lambda d: _WORKLOADS.index(d.data["kind"]))


def findings(
    document: Document,
    deployments: list[Document],
    surroundings: Surroundings,
    servers: Sequence[DescribedServer] = (),
) -> Iterator[Finding]:
    """What an object says of Deployments that is not so."""
    kind = document.data["kind"]
    if kind == "HorizontalPodAutoscaler":
        yield from _autoscaler(document, deployments)
    elif kind == "ServiceMonitor":
        yield from service_monitors.findings(document, deployments, surroundings, servers)
    elif kind in ("Service", "PodDisruptionBudget", "NetworkPolicy", "PodMonitor"):
        yield from _selecting(document, deployments, surroundings, servers)


def _autoscaler(document: Document, deployments: list[Document]) -> Iterator[Finding]:
    where = ("spec", "scaleTargetRef", "name")
    target, kind = get(document.data, *where), get(document.data, "spec", "scaleTargetRef", "kind")
    named = [d for d in deployments if get(d.data, "metadata", "name") == target]
    found = max(named, key=lambda d: share_a_namespace(document, d), default=None)
    if found is None:
        names = joined(get(d.data, "metadata", "name") for d in deployments)
        message = f"the autoscaler's target {target} is not there"
        yield document.fault(message, f"the deployments are {names}", *where)
    elif kind != found.data["kind"]:
        message = f"the autoscaler's target is a {kind}, and {target} is a {found.data['kind']}"
        yield document.fault(message, f"write kind: {found.data['kind']}", "spec", "scaleTargetRef", "kind")
    elif not share_a_namespace(document, found):
        theirs = get(found.data, "metadata", "namespace")
        message = f"the autoscaler's target {target} is in the namespace {theirs}"
        yield document.fault(message, "put the autoscaler there", "metadata", "namespace")
    else:
        if get(found.data, "spec", "replicas") is not None:
            advice = "remove it: the autoscaler owns the number and each apply would reset it"
            yield found.fault("replicas beside an autoscaler", advice, "spec", "replicas")
        yield from autoscaler_rules.findings(document, get(found.data, *pod_keys(found)) or {})


def _selecting(
    document: Document,
    deployments: list[Document],
    surroundings: Surroundings,
    servers: Sequence[DescribedServer],
) -> Iterator[Finding]:
    kind = document.data["kind"]
    key = "podSelector" if kind == "NetworkPolicy" else "selector"
    selector = get(document.data, "spec", key)
    wanted = {"matchLabels": selector} if kind == "Service" else selector or {}
    if kind == "PodDisruptionBudget" and selector is None:
        yield document.fault("the PodDisruptionBudget has no selector", "it selects no pods: add it", "spec")
        return
    if not selector and kind != "PodDisruptionBudget":  # it means pods that are named elsewhere, or all pods
        return
    matching = [
        deployment
        for deployment in deployments
        if selects(wanted, labels(deployment) or {}) and share_a_namespace(document, deployment)
    ]
    if not matching:
        message = f"the {kind} selects no deployment's pods"
        place = ("spec", key) if kind == "Service" else ("spec", key, "matchLabels")
        fault = document.fault(message, "use the labels of the pod template", *place)
        yield fault.as_note("matchExpressions" in wanted)  # which seldom are a misspelt label
    elif kind == "PodDisruptionBudget":
        yield from _budget(document, sum(map(surroundings.least, matching)))
    elif kind == "PodMonitor":
        yield from _monitored(document, matching[0], [s for s in servers if s.path == matching[0].path])
    else:
        paths = [deployment.path for deployment in matching]
        yield from _ports(document, matching, [server for server in servers if server.path in paths])


def labels(deployment: Document) -> dict[str, str] | None:
    """Those of its pods; KServe hands them on from its own object."""
    if deployment.data["kind"] == "InferenceService":
        own = [get(deployment.data, *keys, "labels") or {} for keys in (("metadata",), pod_keys(deployment))]
        return {**own[0], **own[1]}
    return get(deployment.data, *pod_keys(deployment)[:-1], "metadata", "labels")  # type: ignore[no-any-return]


def _budget(document: Document, replicas: int) -> Iterator[Finding]:
    """A budget that never lets a pod go; Kubernetes rounds shares up."""
    if {"maxUnavailable", "minAvailable"} <= set(document.data["spec"]):
        message = "maxUnavailable beside minAvailable"
        yield document.fault(message, "the cluster refuses both: keep one", "spec", "minAvailable")
        return
    for key in ("maxUnavailable", "minAvailable"):
        amount = get(document.data, "spec", key)
        pods = of_pods(amount, replicas, round_up=True)
        if pods is None:  # it is not given, or is a fault of its own
            continue
        if pods == 0 if key == "maxUnavailable" else pods >= replicas:
            of = "" if key == "maxUnavailable" else f" of {replicas}"
            advice = "no node could be drained: write maxUnavailable: 1"
            yield document.fault(f"{key} {amount}{of} lets no pod go", advice, "spec", key)


def _monitored(document: Document, deployment: Document, servers: list[DescribedServer]) -> Iterator[Finding]:
    """Ports of a PodMonitor, which it knows by their names; its paths are looked at with the servers."""
    names = [
        str(port["name"])
        for container in get(deployment.data, *pod_keys(deployment), "containers") or []
        for port in container.get("ports") or []
        if "name" in port
    ]
    for at, endpoint in enumerate(get(document.data, "spec", "podMetricsEndpoints") or []):
        port, where = endpoint.get("port"), ("spec", "podMetricsEndpoints", at, "path")
        for server in servers:
            server.scraped.append((endpoint.get("path") or "/metrics", document.path, document.line(*where)))
        if port is not None and port not in names:
            message = f"port {port} is no port of the pods"
            yield document.fault(
                message, f"they have {joined(names)}", "spec", "podMetricsEndpoints", at, "port"
            )


def _ports(
    document: Document, matching: list[Document], servers: Sequence[DescribedServer]
) -> Iterator[Finding]:
    """Ports of a Service or a NetworkPolicy that the pods do not have, where they declare any.

    A number need not be declared.
    """
    listening = {port for server in servers for port in (server.port, server.rest_port)}
    is_open = not servers or not all(server.ports_are_known for server in servers)
    containers = [
        container
        for deployment in matching
        for key in ("containers", "initContainers")
        for container in get(deployment.data, *pod_keys(deployment), key) or []
    ]
    every = [port for container in containers for port in container.get("ports") or []]
    if not every and not all(map(_is_server, containers)):  # any of the others may listen
        is_open = True
    numbers = {str(port["name"]): str(port.get("containerPort")) for port in every if "name" in port}
    declared = {str(port[key]) for port in every for key in ("name", "containerPort") if key in port}
    spec, is_service = get(document.data, "spec") or {}, document.data["kind"] == "Service"
    rules: list[tuple[Place, Any]] = [(("spec",), spec)] if is_service else []
    rules += [(("spec", "ingress", at), rule) for at, rule in enumerate(spec.get("ingress") or [])]
    for place, rule in rules:
        for at, port in enumerate(rule.get("ports") or []):
            where = (*place, "ports", at)
            target = str(port.get("targetPort", port.get("port")))
            number = numbers.get(target, target)
            if (port.get("protocol") or "TCP") != "TCP" and target in declared:
                message = f"port {target} is let in by {port['protocol']}"
                yield document.fault(message, "the pods listen by TCP: remove protocol", *where, "protocol")
            elif is_service and len(set(numbers.values())) > 1 and _is_crossed(port, number):
                message = f"the port {port.get('name')} leads to {target}"
                yield document.fault(message, "that is the other port of the server", *where, "targetPort")
            elif target.isdigit() and (is_open or target in listening):
                continue
            elif target not in declared and "endPort" not in port:
                message = f"{'targetPort' if is_service else 'port'} {target} is no port of the pods"
                known = declared or {f"{number}" for number in listening if number != "0"}
                yield document.fault(message, f"they have {joined(sorted(known))}", *where)


def _is_server(container: Mapping[str, Any]) -> bool:
    words = [str(word) for key in ("command", "args") for word in container.get(key) or []]
    return command_line.is_server(str(container.get("image") or ""), words)


def _is_crossed(port: Mapping[str, Any], number: str) -> bool:
    """Whether a port of a Service that says gRPC leads to the usual REST port, or the other way round."""
    words = {str(port.get(key) or "").lower().partition("-")[0] for key in ("name", "appProtocol")}
    grpc, rest = "grpc" in words, bool({"rest", "http"} & words)
    return (grpc and not rest and number == "8501") or (rest and not grpc and number == "8500")
