"""The servers in a Kubernetes workload's containers, and faults that need no other object."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..finding import Finding, joined
from ..servers import command_line
from ..servers.described_server import (
    ENTRY_POINT,
    LEAST_MEMORY,
    MEMORY_ADVICE,
    STOCK_IMAGE,
    DescribedServer,
    Mount,
)
from .kubernetes import POD, Surroundings, get
from .yaml_file import Document

_PROBES = ("startupProbe", "readinessProbe", "livenessProbe")
_IMAGE = "tensorflow/serving:2.20.0"
_SLEEP = re.compile(r"(?P<number>\d+(\.\d*)?|\.\d+)(?P<unit>[smhd]?)")
_AMOUNT = re.compile(r"(?P<number>\d+(\.\d+)?)(?P<unit>(Ki|Mi|Gi|k|M|G)?)")
_UNITS = {"": 1, "k": 1e3, "M": 1e6, "G": 1e9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


def servers(document: Document, surroundings: Surroundings) -> tuple[list[DescribedServer], list[Finding]]:
    """The TensorFlow Serving containers of a Deployment, and faults of each that need no other object."""
    found: list[DescribedServer] = []
    faults: list[Finding] = []
    pod = get(document.data, *POD) or {}
    for index, container in enumerate(pod.get("containers") or []):
        words = [*(container.get("command") or []), *(container.get("args") or [])]
        if STOCK_IMAGE.match(container.get("image") or "") or any(ENTRY_POINT in word for word in words):
            server, problems = _server(document, pod, index, container, surroundings)
            faults.extend(problems)
            if server is not None:
                found.append(server)
                faults.extend(_container_faults(document, index, container, server))
    if found:
        faults.extend(_pod_faults(document, pod, found, surroundings))
    return found, faults


def _server(
    document: Document, pod: dict[str, Any], index: int, container: dict[str, Any], surroundings: Surroundings
) -> tuple[DescribedServer | None, list[Finding]]:
    here = (*POD, "containers", index)
    entry, command = (
        [(str(word), document.line(*here, key, at)) for at, word in enumerate(container.get(key) or [])]
        for key in ("command", "args")
    )
    line, image = document.line(*here), surroundings.image(container.get("image") or "")
    environment = {
        variable["name"]: str(variable["value"])
        for variable in container.get("env") or []
        if "value" in variable
    }
    run = command_line.read(entry or None, command, image, environment, document.path, line)
    faults = run.faults
    if run.flags is None:
        return None, faults
    server = DescribedServer(
        document.path, line, image, run.flags, complete=bool(surroundings.kustomizations)
    )
    if not run.signals:
        what = "the shell" if entry else "the image's entry point script"
        advice = f'add command: ["/usr/bin/{ENTRY_POINT}"]'
        faults.append(server.fault(f"{what} keeps signals from the server", advice))
    volumes = {volume.get("name"): volume for volume in pod.get("volumes") or []}
    for template in get(document.data, "spec", "volumeClaimTemplates") or []:  # of a StatefulSet
        volumes[get(template, "metadata", "name")] = {}
    for at, mount in enumerate(container.get("volumeMounts") or []):
        where = (*here, "volumeMounts", at)
        if mount.get("name") not in volumes:
            message = f"volumeMounts names the volume {mount.get('name')}, which is not there"
            faults.append(document.fault(message, f"volumes has {joined(volumes)}", *where))
            continue
        source, problems = _volume(document, volumes[mount["name"]], surroundings)
        faults.extend(problems)
        target, mount_line = mount.get("mountPath", ""), document.line(*where)
        files = [Mount(f"{target}/{name}", path, mount_line) for name, path in source.items()]
        server.mounts.extend(files or [Mount(target, None, mount_line)])
    for probe in _PROBES:
        if get(container, probe, "grpc"):
            server.grpc_probes.append(document.line(*here, probe))
        script = get(container, probe, "exec", "command")
        if script:
            server.scripts.append((" ".join(script), document.line(*here, probe)))
    return server, faults


def _claim(document: Document, name: str, surroundings: Surroundings) -> Iterator[Finding]:
    """A claim that is not among those of the kustomization, or that several nodes cannot mount."""
    claims = {
        str(get(claim.data, "metadata", "name")): get(claim.data, "spec", "accessModes") or []
        for claim in surroundings.objects
        if claim.data["kind"] == "PersistentVolumeClaim"
    }
    where = (*POD, "volumes")
    if name not in claims:
        # A claim may be in the cluster already; one here that nothing mounts tells that this one was meant.
        if claims and (surroundings.kustomizations or not surroundings.mounted() & set(claims)):
            message = f"the claim {name} is not there"
            yield document.fault(message, f"the claims are {joined(claims)}", *where)
    elif surroundings.replicas(document) > 1 and not {"ReadWriteMany", "ReadOnlyMany"} & set(claims[name]):
        message = f"the claim {name} is mounted by one node, and there are several replicas"
        advice = "make its accessModes ReadOnlyMany or ReadWriteMany, or put the models in the image"
        yield document.fault(message, advice, *where)


def _volume(
    document: Document, volume: dict[str, Any], surroundings: Surroundings
) -> tuple[dict[str, Path | None], list[Finding]]:
    """The files of a ConfigMap or Secret that a kustomization generates, or that stands among the objects."""
    claim = get(volume, "persistentVolumeClaim", "claimName")
    if claim:
        return {}, list(_claim(document, claim, surroundings))
    name = get(volume, "configMap", "name") or get(volume, "secret", "secretName")
    if not name or not surroundings.kustomizations:
        return {}, []
    known = surroundings.generated()
    if name in known:
        return known[name], []
    message = f"the volume {volume.get('name')} wants {name}, which no kustomization generates"
    return {}, [document.fault(message, f"they generate {joined(known)}", *POD, "volumes")]


def _container_faults(
    document: Document, index: int, container: dict[str, Any], server: DescribedServer
) -> Iterator[Finding]:
    here = (*POD, "containers", index)
    listens = {server.port, server.rest_port}
    named: dict[str, str] = {}
    for at, port in enumerate(container.get("ports") or []):
        number = str(port.get("containerPort"))
        named[port.get("name", number)] = number
        if number not in listens:
            port_at = (*here, "ports", at, "containerPort")
            yield document.fault(f"containerPort {number}", server.listens, *port_at)
    for probe in _PROBES:
        if not container.get(probe):
            yield server.fault(f"no {probe}", "add it: a gRPC probe of the health service")
            continue
        asked = {"grpc": {server.port}, "httpGet": {server.rest_port}, "tcpSocket": listens}
        for kind, wanted in asked.items():
            port = get(container[probe], kind, "port")
            number = named.get(str(port), str(port))
            if port is not None and number not in wanted:
                advice = f"the server listens there on {joined(sorted(wanted), 'or')}"
                yield document.fault(f"{probe} asks port {number}", advice, *here, probe, kind, "port")
    if not server.image:
        yield document.fault("the container has no image", f"name one, such as {_IMAGE}", *here, "image")
    if get(container, "securityContext", "runAsUser") == 0:
        where = (*here, "securityContext", "runAsUser")
        yield document.fault("the server runs as root", "set runAsUser: 65532", *where)
    limit = get(container, "resources", "limits", "memory")
    amount = _amount(limit)
    if amount and amount < LEAST_MEMORY:
        message = f"{limit} of memory is less than the server alone takes"
        yield document.fault(message, MEMORY_ADVICE, *here, "resources", "limits", "memory")
    request = get(container, "resources", "requests", "memory")
    if amount and (_amount(request) or 0) > amount:
        message = f"{request} of memory is requested, and the limit is {limit}"
        advice = "the cluster refuses that: raise the limit"
        yield document.fault(message, advice, *here, "resources", "requests", "memory")
    yield from _drain_faults(document, here, get(container, "lifecycle", "preStop"))


def _amount(quantity: Any) -> float | None:
    """The bytes of a quantity such as 2Gi; None where it is none, or written in a rarer way."""
    match = _AMOUNT.fullmatch(str(quantity))
    return float(match["number"]) * _UNITS[match["unit"]] if match else None


def _drain_faults(document: Document, here: tuple[str | int, ...], stop: Any) -> Iterator[Finding]:
    if not stop:
        advice = "add lifecycle.preStop with a sleep, so that callers leave first"
        yield document.fault("SIGTERM ends the server with its calls in flight", advice, *here)
        return
    where = (*here, "lifecycle", "preStop")
    seconds = get(stop, "sleep", "seconds") or 0
    command = get(stop, "exec", "command") or [""]
    for word in command[1:] if Path(command[0]).name == "sleep" else []:
        length = _SLEEP.fullmatch(word)
        if length is None:
            yield document.fault(f"preStop: sleep knows no {word}", "write seconds, such as 75", *where)
            return
        seconds += float(length["number"]) * _SECONDS[length["unit"]]
    grace = get(document.data, *POD, "terminationGracePeriodSeconds")
    grace = 30 if grace is None else grace
    if not seconds and Path(command[0]).name in ("", "true", "sleep") and "httpGet" not in stop:
        message = "preStop ends at once, and SIGTERM ends the server with its calls in flight"
        yield document.fault(message, "make it sleep, so that callers leave first", *where)
    elif seconds >= grace:
        message = f"preStop sleeps {seconds:g} s and the pod is killed after {grace} s"
        yield document.fault(message, "raise terminationGracePeriodSeconds above it", *where)


def _pod_faults(
    document: Document, pod: dict[str, Any], found: list[DescribedServer], surroundings: Surroundings
) -> Iterator[Finding]:
    data = document.data
    if pod.get("shareProcessNamespace") is not True:
        advice = "add shareProcessNamespace: true"
        yield document.fault("as process 1 the server ignores SIGTERM", advice, *POD)
    if data["kind"] == "Deployment":
        yield from _strategy_faults(document, surroundings.replicas(document))
    labels = get(data, "spec", "template", "metadata", "labels") or {}
    wanted = get(data, "spec", "selector", "matchLabels") or {}
    if not wanted.items() <= labels.items():
        message = "the selector does not match the template's labels"
        yield document.fault(message, "make them equal", "spec", "selector", "matchLabels")
    if get(pod, "securityContext", "runAsUser") == 0:
        where = (*POD, "securityContext", "runAsUser")
        yield document.fault("the server runs as root", "set runAsUser: 65532", *where)
    if pod.get("hostNetwork") and not all(server.encrypted for server in found):
        message = "open on the node's own network without TLS"
        yield document.fault(message, "remove hostNetwork", *POD, "hostNetwork")


def _strategy_faults(document: Document, replicas: int) -> Iterator[Finding]:
    """A replacement of the pods that takes some away before the new ones are ready."""
    strategy = get(document.data, "spec", "strategy") or {}
    advice = "set maxUnavailable: 0 and maxSurge: 1"
    if strategy.get("type") == "Recreate":
        message = "Recreate ends every replica before the first new one starts"
        yield document.fault(message, f"make it RollingUpdate, {advice}", "spec", "strategy", "type")
        return
    allowed = str((strategy.get("rollingUpdate") or {}).get("maxUnavailable", "25%"))
    share = allowed.removesuffix("%")
    away = replicas * int(share) // 100 if share != allowed else int(share)
    if away:
        message = "a rolling update takes replicas away before new ones are ready"
        yield document.fault(message, advice, "spec", "strategy", "rollingUpdate", "maxUnavailable")
