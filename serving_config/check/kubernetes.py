"""Kubernetes manifests: their schemas, and the servers they describe."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate

from . import server_flags
from .described_server import ENTRY_POINT, STOCK_IMAGE, DescribedServer, Mount
from .finding import Finding, joined
from .kustomization import Kustomization
from .yaml_file import Document

SCHEMAS = "1.32"
"""The Kubernetes version whose schemas manifests are held to."""
POD = ("spec", "template", "spec")
_IMAGE = "tensorflow/serving:2.20.0"
_SLEEP = re.compile(r"(?P<number>\d+(\.\d*)?|\.\d+)(?P<unit>[smhd]?)")
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


def is_manifest(document: Document) -> bool:
    """Whether a YAML document is a Kubernetes object."""
    return isinstance(document.data, dict) and "kind" in document.data and "apiVersion" in document.data


def is_custom(document: Document) -> bool:
    """Whether the object is of a kind that a CustomResourceDefinition defines, whose schema is not known here."""
    group = str(document.data["apiVersion"]).rpartition("/")[0]
    return "." in group and not group.endswith(".k8s.io")


def schema_findings(document: Document) -> Iterator[Finding]:
    """The first place where the object departs from its schema, unknown fields included; and empty list items."""
    for key in ("apiVersion", "kind"):
        if not isinstance(document.data[key], str):
            yield Finding(document.path, document.line(key), f"{key} is no word", f"see Kubernetes {SCHEMAS}")
            return
    for keys in _empty_items(document.data):  # which the schemas allow
        where = ".".join(map(str, keys))
        yield Finding(document.path, document.line(*keys), f"{where} is empty", "fill it in or remove it")
    try:
        kubernetes_validate.validate(document.data, SCHEMAS, strict=True)
    except kubernetes_validate.ValidationError as error:
        where = ".".join(str(part) for part in error.absolute_path) or document.data["kind"]
        line = document.line(*error.absolute_path)
        message = f"{where}: {error.message[:200]}"
        yield Finding(document.path, line, message, f"see Kubernetes {SCHEMAS}'s {document.data['kind']}")
    except kubernetes_validate.SchemaNotFoundError:
        message = f"Kubernetes {SCHEMAS} has no {document.data['kind']} in {document.data['apiVersion']}"
        yield Finding(document.path, document.line("kind"), message, "correct kind or apiVersion")


def _empty_items(data: Any, *keys: str | int) -> Iterator[tuple[str | int, ...]]:
    if isinstance(data, list):
        for index, item in enumerate(data):
            if item is None:
                yield (*keys, index)
            yield from _empty_items(item, *keys, index)
    elif isinstance(data, dict):
        for key, value in data.items():
            yield from _empty_items(value, *keys, key)


def servers(
    document: Document, kustomizations: list[Kustomization]
) -> tuple[list[DescribedServer], list[Finding]]:
    """The TensorFlow Serving containers of a Deployment, and faults of each that need no other object."""
    found: list[DescribedServer] = []
    faults: list[Finding] = []
    pod = get(document.data, *POD) or {}
    for index, container in enumerate(pod.get("containers") or []):
        words = [*(container.get("command") or []), *(container.get("args") or [])]
        if not STOCK_IMAGE.match(container.get("image") or "") and not any(
            ENTRY_POINT in word for word in words
        ):
            continue
        server, problems = _server(document, pod, index, container, kustomizations)
        found.append(server)
        faults.extend(problems)
        faults.extend(_container_faults(document, index, container, server))
    if found:
        faults.extend(_pod_faults(document, pod, found))
    return found, faults


def get(data: Any, *keys: str) -> Any:
    """The value along a path of keys, None where there is none."""
    for key in keys:
        data = data.get(key) if isinstance(data, dict) else None
    return data


def _server(
    document: Document,
    pod: dict[str, Any],
    index: int,
    container: dict[str, Any],
    kustomizations: list[Kustomization],
) -> tuple[DescribedServer, list[Finding]]:
    here = (*POD, "containers", index)
    words: list[tuple[str, int]] = []
    for key in ("command", "args"):
        for at, word in enumerate(container.get(key) or []):
            words.append((str(word), document.line(*here, key, at)))
    line = document.line(*here)
    flags, faults = server_flags.parse(
        [w for w in words if not w[0].endswith(ENTRY_POINT)], document.path, line
    )
    if not any(word.endswith(ENTRY_POINT) for word in container.get("command") or []):
        advice = f'add command: ["/usr/bin/{ENTRY_POINT}"]'
        faults.append(
            Finding(
                document.path, line, "the image's entry point script keeps signals from the server", advice
            )
        )
    server = DescribedServer(
        document.path, line, container.get("image") or "", flags, complete=bool(kustomizations)
    )
    volumes = {volume.get("name"): volume for volume in pod.get("volumes") or []}
    for at, mount in enumerate(container.get("volumeMounts") or []):
        mount_line = document.line(*here, "volumeMounts", at)
        if mount.get("name") not in volumes:
            message = f"volumeMounts names the volume {mount.get('name')}, which is not there"
            faults.append(Finding(document.path, mount_line, message, f"volumes has {joined(volumes)}"))
            continue
        source, problems = _volume(document, volumes[mount["name"]], kustomizations)
        faults.extend(problems)
        target = mount.get("mountPath", "")
        files = [Mount(f"{target}/{name}", path, mount_line) for name, path in source.items()]
        server.mounts.extend(files or [Mount(target, None, mount_line)])
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        if get(container, probe, "grpc"):
            server.grpc_probes.append(document.line(*here, probe))
        command = get(container, probe, "exec", "command")
        if command:
            server.scripts.append((" ".join(command), document.line(*here, probe)))
    return server, faults


def _volume(
    document: Document, volume: dict[str, Any], kustomizations: list[Kustomization]
) -> tuple[dict[str, Path], list[Finding]]:
    """The files of a ConfigMap or Secret that a kustomization generates."""
    name = get(volume, "configMap", "name") or get(volume, "secret", "secretName")
    if not name or not kustomizations:
        return {}, []
    for kustomization in kustomizations:
        if name in kustomization.generated:
            return kustomization.generated[name], []
    known = [generated for kustomization in kustomizations for generated in kustomization.generated]
    message = f"the volume {volume.get('name')} wants {name}, which no kustomization generates"
    line = document.line(*POD, "volumes")
    return {}, [Finding(document.path, line, message, f"they generate {joined(known)}")]


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
            advice = f"the server listens on {server.port} (gRPC) and {server.rest_port} (REST)"
            yield Finding(
                document.path,
                document.line(*here, "ports", at, "containerPort"),
                f"containerPort {number}",
                advice,
            )
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        if not container.get(probe):
            advice = "add it: a gRPC probe of the health service"
            yield Finding(document.path, server.line, f"no {probe}", advice)
            continue
        for kind, wanted in (
            ("grpc", {server.port}),
            ("httpGet", {server.rest_port}),
            ("tcpSocket", listens),
        ):
            port = get(container[probe], kind, "port")
            number = named.get(str(port), str(port))
            if port is not None and number not in wanted:
                line = document.line(*here, probe, kind, "port")
                advice = f"the server listens there on {joined(sorted(wanted), 'or')}"
                yield Finding(document.path, line, f"{probe} asks port {number}", advice)
    if not server.image:
        line = document.line(*here, "image")
        yield Finding(document.path, line, "the container has no image", f"name one, such as {_IMAGE}")
    yield from _drain_faults(document, here, get(container, "lifecycle", "preStop"))


def _drain_faults(document: Document, here: tuple[str | int, ...], stop: Any) -> Iterator[Finding]:
    if not stop:
        advice = "add lifecycle.preStop with a sleep, so that callers leave first"
        yield Finding(
            document.path, document.line(*here), "SIGTERM ends the server with its calls in flight", advice
        )
        return
    line = document.line(*here, "lifecycle", "preStop")
    seconds = get(stop, "sleep", "seconds") or 0
    command = get(stop, "exec", "command") or [""]
    for word in command[1:] if Path(command[0]).name == "sleep" else []:
        length = _SLEEP.fullmatch(word)
        if length is None:
            yield Finding(document.path, line, f"preStop: sleep knows no {word}", "write seconds, such as 75")
            return
        seconds += float(length["number"]) * _SECONDS[length["unit"]]
    grace = get(document.data, *POD, "terminationGracePeriodSeconds")
    grace = 30 if grace is None else grace
    if seconds >= grace:
        message = f"preStop sleeps {seconds:g} s and the pod is killed after {grace} s"
        yield Finding(document.path, line, message, "raise terminationGracePeriodSeconds above it")


def _pod_faults(document: Document, pod: dict[str, Any], found: list[DescribedServer]) -> Iterator[Finding]:
    path, data = document.path, document.data
    if pod.get("shareProcessNamespace") is not True:
        advice = "add shareProcessNamespace: true"
        yield Finding(path, document.line(*POD), "as process 1 the server ignores SIGTERM", advice)
    rolling = get(data, "spec", "strategy", "rollingUpdate") or {}
    if data["kind"] == "Deployment" and rolling.get("maxUnavailable", "25%") not in (0, "0", "0%"):
        line = document.line("spec", "strategy", "rollingUpdate", "maxUnavailable")
        advice = "set maxUnavailable: 0 and maxSurge: 1"
        yield Finding(path, line, "a rolling update takes replicas away before new ones are ready", advice)
    labels = get(data, "spec", "template", "metadata", "labels") or {}
    wanted = get(data, "spec", "selector", "matchLabels") or {}
    if not wanted.items() <= labels.items():
        line = document.line("spec", "selector", "matchLabels")
        yield Finding(path, line, "the selector does not match the template's labels", "make them equal")
    if pod.get("hostNetwork") and any("ssl_config_file" not in server.flags.given for server in found):
        line = document.line(*POD, "hostNetwork")
        yield Finding(path, line, "open on the node's own network without TLS", "remove hostNetwork")
