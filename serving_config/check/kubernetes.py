"""Kubernetes manifests: their schemas, and the servers they describe."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate

from serving_config.check import server_flags
from serving_config.check.finding import Finding, joined
from serving_config.check.kustomization import Kustomization
from serving_config.check.server import ENTRY_POINT, STOCK_IMAGE, Mount, Server
from serving_config.check.yaml_file import Document

SCHEMAS = "1.32"
"""The Kubernetes version whose schemas manifests are held to."""
_POD = ("spec", "template", "spec")


def is_manifest(document: Document) -> bool:
    """Whether a YAML document is a Kubernetes object."""
    return "kind" in document.data and "apiVersion" in document.data


def schema_findings(document: Document) -> Iterator[Finding]:
    """The first place where the object departs from its schema, unknown fields included."""
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


def servers(document: Document, kustomizations: list[Kustomization]) -> tuple[list[Server], list[Finding]]:
    """The TensorFlow Serving containers of a Deployment, and faults of each that need no other object."""
    found: list[Server] = []
    faults: list[Finding] = []
    pod = _get(document.data, *_POD) or {}
    for index, container in enumerate(pod.get("containers") or []):
        words = [*(container.get("command") or []), *(container.get("args") or [])]
        if not STOCK_IMAGE.match(container.get("image", "")) and not any(
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


def _get(data: Any, *keys: str) -> Any:
    for key in keys:
        data = data.get(key) if isinstance(data, dict) else None
    return data


def _server(
    document: Document,
    pod: dict[str, Any],
    index: int,
    container: dict[str, Any],
    kustomizations: list[Kustomization],
) -> tuple[Server, list[Finding]]:
    here = (*_POD, "containers", index)
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
    server = Server(document.path, line, container.get("image", ""), flags, complete=bool(kustomizations))
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
        if "grpc" in container.get(probe, {}):
            server.grpc_probes.append(document.line(*here, probe))
        command = _get(container, probe, "exec", "command")
        if command:
            server.scripts.append((" ".join(command), document.line(*here, probe)))
    return server, faults


def _volume(
    document: Document, volume: dict[str, Any], kustomizations: list[Kustomization]
) -> tuple[dict[str, Path], list[Finding]]:
    """The files of a ConfigMap or Secret that a kustomization generates."""
    name = _get(volume, "configMap", "name") or _get(volume, "secret", "secretName")
    if not name or not kustomizations:
        return {}, []
    for kustomization in kustomizations:
        if name in kustomization.generated:
            return kustomization.generated[name], []
    known = [generated for kustomization in kustomizations for generated in kustomization.generated]
    message = f"the volume {volume.get('name')} wants {name}, which no kustomization generates"
    line = document.line(*_POD, "volumes")
    return {}, [Finding(document.path, line, message, f"they generate {joined(known)}")]


def _container_faults(
    document: Document, index: int, container: dict[str, Any], server: Server
) -> Iterator[Finding]:
    here = (*_POD, "containers", index)
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
        if probe not in container:
            advice = "add it: a gRPC probe of the health service"
            yield Finding(document.path, server.line, f"no {probe}", advice)
            continue
        for kind, wanted in (
            ("grpc", {server.port}),
            ("httpGet", {server.rest_port}),
            ("tcpSocket", listens),
        ):
            port = _get(container[probe], kind, "port")
            number = named.get(str(port), str(port))
            if port is not None and number not in wanted:
                line = document.line(*here, probe, kind, "port")
                advice = f"the server listens there on {joined(sorted(wanted), 'or')}"
                yield Finding(document.path, line, f"{probe} asks port {number}", advice)
    stop = container.get("lifecycle", {}).get("preStop")
    yield from _drain_faults(document, here, stop)


def _drain_faults(document: Document, here: tuple[str | int, ...], stop: Any) -> Iterator[Finding]:
    if not stop:
        advice = "add lifecycle.preStop with a sleep, so that callers leave first"
        yield Finding(
            document.path, document.line(*here), "SIGTERM ends the server with its calls in flight", advice
        )
        return
    words = _get(stop, "exec", "command") or []
    seconds = _get(stop, "sleep", "seconds") or (
        words[1] if words[:1] == ["sleep"] and len(words) == 2 else 0
    )
    grace = _get(document.data, *_POD, "terminationGracePeriodSeconds") or 30
    if float(seconds) >= grace:
        line = document.line(*here, "lifecycle", "preStop")
        message = f"preStop sleeps {seconds} s and the pod is killed after {grace} s"
        yield Finding(document.path, line, message, "raise terminationGracePeriodSeconds above it")


def _pod_faults(document: Document, pod: dict[str, Any], found: list[Server]) -> Iterator[Finding]:
    path, data = document.path, document.data
    if pod.get("shareProcessNamespace") is not True:
        advice = "add shareProcessNamespace: true"
        yield Finding(path, document.line(*_POD), "as process 1 the server ignores SIGTERM", advice)
    rolling = _get(data, "spec", "strategy", "rollingUpdate") or {}
    if data["kind"] == "Deployment" and rolling.get("maxUnavailable", "25%") not in (0, "0", "0%"):
        line = document.line("spec", "strategy", "rollingUpdate", "maxUnavailable")
        advice = "set maxUnavailable: 0 and maxSurge: 1"
        yield Finding(path, line, "a rolling update takes replicas away before new ones are ready", advice)
    labels = _get(data, "spec", "template", "metadata", "labels") or {}
    wanted = _get(data, "spec", "selector", "matchLabels") or {}
    if not wanted.items() <= labels.items():
        line = document.line("spec", "selector", "matchLabels")
        yield Finding(path, line, "the selector does not match the template's labels", "make them equal")
    if pod.get("hostNetwork") and any("ssl_config_file" not in server.flags.given for server in found):
        line = document.line(*_POD, "hostNetwork")
        yield Finding(path, line, "open on the node's own network without TLS", "remove hostNetwork")


def cluster_findings(documents: list[Document]) -> Iterator[Finding]:
    """What must hold between objects: selectors, target ports, the autoscaler and who owns `replicas`."""
    deployments = {
        _get(d.data, "metadata", "name"): d for d in documents if d.data.get("kind") == "Deployment"
    }
    if not deployments:
        return
    for document in documents:
        kind = document.data.get("kind")
        if kind == "HorizontalPodAutoscaler":
            yield from _autoscaler(document, deployments)
        elif kind in ("Service", "PodDisruptionBudget", "NetworkPolicy"):
            yield from _selecting(document, deployments)


def _autoscaler(document: Document, deployments: dict[str, Document]) -> Iterator[Finding]:
    target = _get(document.data, "spec", "scaleTargetRef", "name")
    line = document.line("spec", "scaleTargetRef", "name")
    if target not in deployments:
        message = f"the autoscaler's target {target} is not there"
        yield Finding(document.path, line, message, f"the deployments are {joined(deployments)}")
    elif "replicas" in deployments[target].data["spec"]:
        deployment = deployments[target]
        advice = "remove it: the autoscaler owns the number and each apply would reset it"
        yield Finding(
            deployment.path, deployment.line("spec", "replicas"), "replicas beside an autoscaler", advice
        )
    low, high = (_get(document.data, "spec", key) for key in ("minReplicas", "maxReplicas"))
    if isinstance(low, int) and isinstance(high, int) and low > high:
        message = f"minReplicas {low} is above maxReplicas {high}"
        yield Finding(document.path, document.line("spec", "minReplicas"), message, "raise maxReplicas")


def _selecting(document: Document, deployments: dict[str, Document]) -> Iterator[Finding]:
    kind = document.data["kind"]
    key = {"Service": ("selector",), "NetworkPolicy": ("podSelector", "matchLabels")}.get(
        kind, ("selector", "matchLabels")
    )
    wanted = _get(document.data, "spec", *key) or {}
    matching = [
        deployment
        for deployment in deployments.values()
        if wanted.items() <= (_get(deployment.data, "spec", "template", "metadata", "labels") or {}).items()
    ]
    if not matching:
        message = f"the {kind} selects no deployment's pods"
        yield Finding(
            document.path, document.line("spec", *key), message, "use the labels of the pod template"
        )
    if kind != "Service" or not matching:
        return
    ports: set[str] = set()
    for container in _get(matching[0].data, *_POD, "containers") or []:
        for port in container.get("ports") or []:
            ports |= {str(port.get("name")), str(port.get("containerPort"))}
    for at, port in enumerate(_get(document.data, "spec", "ports") or []):
        target = str(port.get("targetPort", port.get("port")))
        if target not in ports:
            message = f"targetPort {target} is no port of the pods"
            yield Finding(
                document.path,
                document.line("spec", "ports", at),
                message,
                f"they have {joined(sorted(ports))}",
            )
