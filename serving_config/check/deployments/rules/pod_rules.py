"""What must hold in a workload whose pods run the server, beside what holds in each container."""

from collections.abc import Iterator
from typing import Any

from ...finding import Finding, joined
from ...servers.amounts import of_pods
from ...servers.command_line import INIT
from ...servers.described_server import DescribedServer
from ..kubernetes import JOBS, Surroundings, pod_keys
from ..yaml_file import Document, Place, get
from .selectors import selects

_METRICS = "prometheus.io"


def findings(
    document: Document, pod: dict[str, Any], found: list[DescribedServer], surroundings: Surroundings
) -> Iterator[Finding]:
    """The faults of a workload's pods, which have these servers."""
    data, here = document.data, pod_keys(document)
    first = dict.fromkeys(server.process for server in found if server.process != INIT)
    if pod.get("shareProcessNamespace") is not True and data["kind"] not in JOBS and first:
        message = f"as process 1 {joined(first)} ignores SIGTERM"
        yield document.fault(message, "add shareProcessNamespace: true", *here)
    yield from _shared_ports(found)
    if data["kind"] == "Deployment":
        yield from _strategy(document, surroundings.replicas(document))
        yield from _deadline(document)
    labels = get(data, "spec", "template", "metadata", "labels") or {}
    wanted = get(data, "spec", "selector") or {}
    if not selects(wanted, labels):
        message = "the selector does not match the template's labels"
        yield document.fault(message, "make them equal", "spec", "selector", "matchLabels")
    elif labels:
        yield from _spread(document, pod, labels)
    if get(pod, "securityContext", "runAsUser") == 0:
        where = (*here, "securityContext", "runAsUser")
        yield document.fault("the server runs as root", "set runAsUser: 65532", *where)
    if pod.get("hostNetwork") and not all(server.encrypted for server in found):
        message = "open on the node's own network without TLS"
        yield document.fault(message, "remove hostNetwork", *here, "hostNetwork")
    if len(pod.get("containers") or []) == 1 and data["kind"] != "Pod":
        yield from _scraped(document, found[0])


def _shared_ports(found: list[DescribedServer]) -> Iterator[Finding]:
    """Ports on which two servers of a pod, which have one address, both want to listen."""
    taken: set[str] = set()
    for server in found:
        ports = {server.port, server.rest_port} - {"0"} if server.ports_are_known else set()
        if ports & taken:
            message = f"another server of the pod listens on {joined(sorted(ports & taken))}"
            yield server.fault(message, "the second does not start: give it ports of its own")
        taken |= ports


def _spread(document: Document, pod: dict[str, Any], labels: dict[str, str]) -> Iterator[Finding]:
    for index, constraint in enumerate(pod.get("topologySpreadConstraints") or []):
        if not selects(constraint.get("labelSelector") or {}, labels):
            where: Place = (*pod_keys(document), "topologySpreadConstraints", index, "labelSelector")
            message = "the constraint spreads other pods than these"
            yield document.fault(message, "use the labels of the pod template", *where, "matchLabels")


def _scraped(document: Document, server: DescribedServer) -> Iterator[Finding]:
    """Annotations by which a Prometheus finds the metrics, where it goes by them."""
    where: tuple[str, ...] = ("spec", "template", "metadata", "annotations")
    if document.data["kind"] == "InferenceService":
        where = ("metadata", "annotations")
    given = get(document.data, *where) or {}
    if str(given.get(f"{_METRICS}/scrape")) != "true":
        return
    port = given.get(f"{_METRICS}/port")
    if port is not None and server.ports_are_known and port != server.rest_port:
        message = f"Prometheus is sent to port {port}"
        advice = f"the metrics are on the REST port, {server.rest_port}"
        if server.rest_port == "0":
            advice = "metrics are served by the REST API, which is off: add --rest_api_port=8501"
        yield document.fault(message, advice, *where, f"{_METRICS}/port")
    line = document.line(*where, f"{_METRICS}/path")
    server.scraped.append((given.get(f"{_METRICS}/path", "/metrics"), document.path, line))


def _deadline(document: Document) -> Iterator[Finding]:
    seconds, ready = (
        get(document.data, "spec", key) for key in ("progressDeadlineSeconds", "minReadySeconds")
    )
    if isinstance(seconds, int) and seconds <= (ready or 0):
        message = f"progressDeadlineSeconds {seconds} is not above minReadySeconds {ready or 0}"
        yield document.fault(message, "the cluster refuses that: raise it", "spec", "progressDeadlineSeconds")


def _strategy(document: Document, replicas: int) -> Iterator[Finding]:
    """A replacement of the pods that takes some away before the new ones are ready."""
    strategy = get(document.data, "spec", "strategy") or {}
    advice = "set maxUnavailable: 0 and maxSurge: 1"
    if strategy.get("type") == "Recreate":
        message = "Recreate ends every replica before the first new one starts"
        yield document.fault(message, f"make it RollingUpdate, {advice}", "spec", "strategy", "type")
        return
    rolling = strategy.get("rollingUpdate") or {}
    allowed, more = (rolling.get(key, "25%") for key in ("maxUnavailable", "maxSurge"))
    where = ("spec", "strategy", "rollingUpdate")
    if {str(allowed), str(more)} <= {"0", "0%"}:
        message = "maxUnavailable and maxSurge are both 0"
        yield document.fault(message, "the cluster refuses that: set maxSurge: 1", *where, "maxSurge")
        return
    # Where both come to 0, Kubernetes takes one away.
    if of_pods(allowed, replicas, round_up=False) or of_pods(more, replicas, round_up=True) == 0:
        message = "a rolling update takes replicas away before new ones are ready"
        yield document.fault(message, advice, *where, "maxUnavailable")
