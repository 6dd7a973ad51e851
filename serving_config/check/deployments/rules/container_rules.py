"""What must hold in a container that runs the server: ports, probes, memory, rights, and how it ends."""

import difflib
import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from ...finding import Finding, joined
from ...servers import images
from ...servers.amounts import quantity
from ...servers.described_server import (
    LEAST_MEMORY,
    MEMORY_ADVICE,
    STOCK_IMAGE,
    DescribedServer,
)
from ...servers.probes import missing_program
from ..kubernetes import JOBS
from ..yaml_file import Document, Place, get

PROBES = ("startupProbe", "readinessProbe", "livenessProbe")
_IMAGE = "tensorflow/serving:2.20.0"
_LEAST_SECONDS = 20
"""A server that has not loaded a model by then is no broken one."""
_SLEEP = re.compile(r"(?P<number>\d+(\.\d*)?|\.\d+)(?P<unit>[smhd]?)")
_SLEEP_OF_SHELL = re.compile(r"(?:^|[;&|\s])sleep\s+(?P<number>\d+(\.\d*)?)(?P<unit>[smhd]?)(?=$|[;&|\s])")
_SHELLS = ("sh", "bash", "ash", "dash")
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_HEALTH_SERVICES = ("ModelService", "PredictionService")
"""Names that the real server answers for, without their package; with it they are unknown to it."""
_HARMLESS = ("NET_BIND_SERVICE",)
"""What Kubernetes' restricted profile lets a container add."""


def findings(
    document: Document, here: Place, container: dict[str, Any], server: DescribedServer
) -> Iterator[Finding]:
    """The faults of one container, which stands at `here`."""
    yield from _ports(document, here, container, server)
    if document.data["kind"] not in JOBS:
        yield from _probes(document, here, container, server)
        yield from _drain(document, here, get(container, "lifecycle", "preStop"), server)
    if not server.image:
        yield document.fault("the container has no image", f"name one, such as {_IMAGE}", *here, "image")
    yield from _rights(document, (*here, "securityContext"), container.get("securityContext") or {})
    yield from _user(document, here, container, server)
    yield from _memory(document, (*here, "resources"), container)
    wrong = images.gpu_fault(server.image)
    for kind in ("limits", "requests") if wrong else ():
        asked = [name for name in get(container, "resources", kind) or {} if name.endswith("/gpu")]
        if wrong and asked:
            yield document.fault(*wrong, *here, "resources", kind, asked[0]).as_note()
            break


def _ports(
    document: Document, here: Place, container: dict[str, Any], server: DescribedServer
) -> Iterator[Finding]:
    for at, port in enumerate(container.get("ports") or []):
        number, where = str(port.get("containerPort")), (*here, "ports", at, "containerPort")
        if server.ports_are_known and number not in (server.port, server.rest_port):
            yield document.fault(f"containerPort {number}", server.listens, *where)
        names = {"grpc": server.rest_port, "rest": server.port, "http": server.port}
        if server.rest_port != "0" and names.get(str(port.get("name"))) == number:
            message = f"the port {port['name']} is {number}, which is the server's other one"
            yield document.fault(message, server.listens, *where)


def _probes(
    document: Document, here: Place, container: dict[str, Any], server: DescribedServer
) -> Iterator[Finding]:
    named = {str(port.get("name")): str(port.get("containerPort")) for port in container.get("ports") or []}
    asked = {
        "grpc": {server.port},
        "httpGet": {server.rest_port},
        "tcpSocket": {server.port, server.rest_port},
    }
    for probe in PROBES:
        wanted = container.get(probe)
        if not wanted:
            yield server.fault(f"no {probe}", "add it: a gRPC probe of the health service")
            continue
        for kind, ports in asked.items():
            port = get(wanted, kind, "port")
            number = named.get(str(port), str(port))
            if port is not None and server.ports_are_known and number not in ports:
                advice = f"the server listens there on {joined(sorted(ports), 'or')}"
                yield document.fault(f"{probe} asks port {number}", advice, *here, probe, kind, "port")
        if get(wanted, "httpGet", "scheme") == "HTTPS":
            advice = "it would never succeed: remove scheme, the REST API has no TLS"
            where = (*here, probe, "httpGet", "scheme")
            yield document.fault(f"{probe} asks by HTTPS", advice, *where)
        service = get(wanted, "grpc", "service")
        if service and service not in _HEALTH_SERVICES:
            message = f"{probe} asks for the health of {service}, which the server does not know"
            advice = f"it would never succeed: remove service, or write {joined(_HEALTH_SERVICES, 'or')}"
            yield document.fault(message, advice, *here, probe, "grpc", "service")
    yield from _patience(document, here, container)


def _patience(document: Document, here: Place, container: dict[str, Any]) -> Iterator[Finding]:
    probe = container.get("startupProbe") or {}
    tries, period = probe.get("failureThreshold", 3), probe.get("periodSeconds", 10)
    seconds = tries * period + probe.get("initialDelaySeconds", 0)
    if probe and seconds < _LEAST_SECONDS:
        message = f"startupProbe gives the server {seconds} s to load its models"
        advice = "it would be ended again and again: raise failureThreshold, such as to 60"
        yield document.fault(message, advice, *here, "startupProbe", "failureThreshold")


def _rights(document: Document, where: Place, security: dict[str, Any]) -> Iterator[Finding]:
    if security.get("runAsUser") == 0:
        yield document.fault("the server runs as root", "set runAsUser: 65532", *where, "runAsUser")
    if security.get("privileged") is True and security.get("allowPrivilegeEscalation") is not False:
        yield document.fault(
            "the server has every right of the node", "remove privileged", *where, "privileged"
        )
    if security.get("allowPrivilegeEscalation") is True:
        advice = "set allowPrivilegeEscalation: false"
        yield document.fault("the server may gain rights", advice, *where, "allowPrivilegeEscalation")
    added = [name for name in get(security, "capabilities", "add") or [] if name not in _HARMLESS]
    if added:
        message = f"the server is given {joined(added)}, which it does not need"
        yield document.fault(message, "remove it", *where, "capabilities", "add")


def _user(
    document: Document, here: Place, container: dict[str, Any], server: DescribedServer
) -> Iterator[Finding]:
    of_pod = get(document.data, *map(str, here[:-2]), "securityContext") or {}
    security = {**of_pod, **(container.get("securityContext") or {})}
    if (
        security.get("runAsNonRoot") is True
        and "runAsUser" not in security
        and STOCK_IMAGE.match(server.image)
    ):
        message = "runAsNonRoot without runAsUser, and the image's user is root"
        yield document.fault(message, "the container would not start: set runAsUser: 65532", *here)


def _memory(document: Document, where: Place, container: dict[str, Any]) -> Iterator[Finding]:
    for kind, what in (("limits", "is"), ("requests", "is requested,")):
        given = get(container, "resources", kind, "memory")
        amount = quantity(given)
        if amount is not None and amount < LEAST_MEMORY:
            message = f"{given} of memory {what} less than the server alone takes"
            yield document.fault(message, MEMORY_ADVICE, *where, kind, "memory")
            return


def _drain(document: Document, here: Place, stop: Any, server: DescribedServer) -> Iterator[Finding]:
    if not stop:
        advice = "add lifecycle.preStop with a sleep, so that callers leave first"
        yield document.fault("SIGTERM ends the server with its calls in flight", advice, *here)
        return
    where = (*here, "lifecycle", "preStop")
    command = [str(word) for word in get(stop, "exec", "command") or [""]]
    program = PurePosixPath(command[0]).name
    if (
        difflib.get_close_matches(command[0].split("/")[-1].partition(" ")[0], ["sleep"], 1, 0.75)
        and program != "sleep"
    ):
        message = f"preStop: there is no program {command[0]!r}"
        yield document.fault(message, 'write ["sleep", "75"]', *where)
        return
    missing = missing_program(server.image, " ".join(command))
    if missing and not (program in _SHELLS and _SLEEP_OF_SHELL.search(command[-1])):  # it sleeps all the same
        advice = 'the hook fails, and SIGTERM ends the server with its calls in flight: write ["sleep", "75"]'
        yield document.fault(f"preStop: the image has no {missing}", advice, *where)
        return
    seconds = get(stop, "sleep", "seconds") or 0
    for word in command[1:] if program == "sleep" else []:
        length = _SLEEP.fullmatch(word)
        if length is None:
            yield document.fault(f"preStop: sleep knows no {word}", "write seconds, such as 75", *where)
            return
        seconds += _length(length)
    if program in _SHELLS:
        seconds += sum(map(_length, _SLEEP_OF_SHELL.finditer(command[-1])))
    grace = get(document.data, *map(str, here[:-2]), "terminationGracePeriodSeconds")
    grace = 30 if grace is None else grace
    if not seconds and program in ("", "true", "sleep") and "httpGet" not in stop:
        message = "preStop ends at once, and SIGTERM ends the server with its calls in flight"
        yield document.fault(message, "make it sleep, so that callers leave first", *where)
    elif seconds >= grace:
        message = f"preStop sleeps {seconds:g} s and the pod is killed after {grace} s"
        yield document.fault(message, "raise terminationGracePeriodSeconds above it", *where)


def _length(match: re.Match[str]) -> float:
    return float(match["number"]) * _SECONDS[match["unit"]]
