"""Values of Kubernetes objects that their schemas let pass and the API server refuses."""

import re
from collections.abc import Iterator
from typing import Any

from ...finding import Finding, joined, meant
from ...servers import images
from ...servers.amounts import QUANTITY_ADVICE, of_pods, quantity
from ...servers.described_server import LEAST_MEMORY
from ..yaml_file import Document, Place, get
from . import service_values
from .container_rules import PROBES

# Where the API server knows a few words only: by the last keys of the path. Source: the API reference of Kubernetes.
_WORDS = {
    ("imagePullPolicy",): "Always IfNotPresent Never",
    ("terminationMessagePolicy",): "File FallbackToLogsOnError",
    ("dnsPolicy",): "ClusterFirst ClusterFirstWithHostNet Default None",
    ("whenUnsatisfiable",): "DoNotSchedule ScheduleAnyway",
    ("sessionAffinity",): "None ClientIP",
    ("externalTrafficPolicy",): "Cluster Local",
    ("internalTrafficPolicy",): "Cluster Local",
    ("ipFamilyPolicy",): "SingleStack PreferDualStack RequireDualStack",
    ("preemptionPolicy",): "Never PreemptLowerPriority",
    ("volumeMode",): "Filesystem Block",
    ("pathType",): "Exact Prefix ImplementationSpecific",
    ("policyTypes", "#"): "Ingress Egress",
    ("accessModes", "#"): "ReadWriteOnce ReadOnlyMany ReadWriteMany ReadWriteOncePod",
    ("ports", "#", "protocol"): "TCP UDP SCTP",
    ("httpGet", "scheme"): "HTTP HTTPS",
    ("hostPath", "type"): "DirectoryOrCreate Directory FileOrCreate File Socket CharDevice BlockDevice",
    ("strategy", "type"): "RollingUpdate Recreate",
    ("updateStrategy", "type"): "RollingUpdate OnDelete",
    ("seccompProfile", "type"): "RuntimeDefault Localhost Unconfined",
    ("matchExpressions", "#", "operator"): "In NotIn Exists DoesNotExist Gt Lt",
    ("tolerations", "#", "operator"): "Exists Equal Lt Gt",
    ("tolerations", "#", "effect"): "NoSchedule PreferNoSchedule NoExecute",
    ("metrics", "#", "type"): "Resource ContainerResource Pods Object External",
    ("target", "type"): "Utilization Value AverageValue",
}
_PORTS = ("port", "targetPort", "containerPort", "hostPort", "nodePort")
_PODS = ("maxUnavailable", "minAvailable", "maxSurge")
_MODES = (("defaultMode",), ("items", "#", "mode"))
"""Rights of files."""
_AMOUNTS = (("sizeLimit",), ("storage",))
_COUNTS = """replicas minReadySeconds progressDeadlineSeconds revisionHistoryLimit terminationGracePeriodSeconds
    runAsUser runAsGroup fsGroup initialDelaySeconds periodSeconds timeoutSeconds failureThreshold successThreshold
    backoffLimit parallelism completions activeDeadlineSeconds"""
"""Numbers that are never below 0."""
_HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc", "sleep")
_RESOURCES = ("cpu", "memory", "storage", "ephemeral-storage", "pods")
_SCALED = {
    "HorizontalPodAutoscaler": (("spec",),),
    "InferenceService": (("spec", "predictor"), ("spec", "transformer"), ("spec", "explainer")),
}
"""Where the bounds of replicas stand."""
_RESTARTS = {
    "Pod": ("Always", "OnFailure", "Never"),
    "Job": ("OnFailure", "Never"),
    "CronJob": ("OnFailure", "Never"),
}
"""What `restartPolicy` may be, where it is not Always."""
_LEAST = {"memory": LEAST_MEMORY}
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_OF_PORT = re.compile(r"(?=.*[a-z])[a-z0-9]+(-[a-z0-9]+)*")
_LABEL_ADVICE = "write lowercase letters, digits and -"
# Their names may hold other signs.
_FREE_NAMES = ("ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding")


def findings(document: Document) -> Iterator[Finding]:
    """What the API server would refuse in an object that fits its schema."""
    kind, metadata = document.data["kind"], document.data.get("metadata") or {}
    name = metadata.get("name")
    if name is None and "generateName" not in metadata:
        yield document.fault(
            f"the {kind} has no name", "the cluster refuses it: add it to metadata", "metadata"
        )
    if isinstance(name, str) and kind not in _FREE_NAMES and not _is_placeholder(name):
        wanted = _LABEL if kind == "Service" else _NAME
        if not wanted.fullmatch(name):
            yield document.fault(f"the name {name} is refused", _LABEL_ADVICE, "metadata", "name")
    spec = document.data.get("spec")
    if isinstance(spec, dict) and kind == "Service":
        yield from service_values.findings(document, spec)
    yield from bounds(document)
    yield from _walk(document, document.data, ())


def bounds(document: Document) -> Iterator[Finding]:
    """Bounds of replicas that no number fits, in an object that need not fit a schema."""
    for where in _SCALED.get(str(document.data["kind"]), ()):
        low, high = (get(document.data, *where, key) for key in ("minReplicas", "maxReplicas"))
        is_bounded = isinstance(low, int) and isinstance(high, int) and high > 0  # KServe reads 0 as no bound
        if is_bounded and low > high:
            message = f"minReplicas {low} is above maxReplicas {high}"
            yield document.fault(message, "raise maxReplicas", *where, "minReplicas")


def pod_findings(document: Document, pod: dict[str, Any], at: Place) -> Iterator[Finding]:
    """What the API server would refuse in a pod's specification, which stands at `at`."""
    for key, what in (("volumes", "volume"), ("containers", "container"), ("initContainers", "container")):
        names = [entry.get("name") for entry in pod.get(key) or []]
        for index, name in enumerate(names):
            if not _LABEL.fullmatch(str(name)) and not _is_placeholder(str(name)):
                message = f"a {what} has the name {name}" if name else f"a {what} has no name"
                yield document.fault(message, _LABEL_ADVICE, *at, key, index, "name")
            if name in names[:index]:
                message = f"there are two {what}s of the name {name}"
                yield document.fault(message, "give each its own", *at, key, index, "name")
    for index, volume in enumerate(pod.get("volumes") or []):
        sources = [key for key in volume if key != "name"]
        if len(sources) > 1:
            message = f"the volume {volume.get('name')} is {joined(sources)}"
            yield document.fault(message, "the cluster wants one of them: keep one", *at, "volumes", index)
    kind, restart = document.data["kind"], pod.get("restartPolicy") or "Always"
    allowed = _RESTARTS.get(kind, ("Always",))
    if restart not in allowed and not _is_placeholder(restart):
        remedy = "remove it" if "Always" in allowed else "write one of them"
        advice = f"a {kind} takes {joined(allowed, 'or')} only: {remedy}"
        yield document.fault(f"restartPolicy is {restart}", advice, *at, "restartPolicy")
    templates = get(document.data, "spec", "volumeClaimTemplates") or []  # of a StatefulSet
    volumes = [volume.get("name") for volume in pod.get("volumes") or []]
    volumes += [get(template, "metadata", "name") for template in templates]
    for key in ("containers", "initContainers"):
        for index, container in enumerate(pod.get(key) or []):
            yield from _container(document, container, (*at, key, index), volumes)


def _container(
    document: Document, container: dict[str, Any], at: Place, volumes: list[Any]
) -> Iterator[Finding]:
    wrong = images.fault(str(container.get("image") or ""))
    if wrong:
        yield document.fault(*wrong, *at, "image")
    names = [port.get("name") for port in container.get("ports") or []]
    for index, name in enumerate(names):
        where: Place = (*at, "ports", index, "name")
        if name is not None and (len(name) > 15 or not _OF_PORT.fullmatch(name)):
            advice = "write at most 15 lowercase letters, digits and -"
            yield document.fault(f"a port has the name {name}", advice, *where)
        if name is not None and name in names[:index]:
            message = f"two ports of the container have the name {name}"
            yield document.fault(message, "give each its own", *where)
    mounts = container.get("volumeMounts") or []
    paths = [mount.get("mountPath") for mount in mounts]
    for index, mount in enumerate(mounts):
        where = (*at, "volumeMounts", index)
        if paths[index] in paths[:index]:
            message = f"two volumes are mounted at {paths[index]}"
            yield document.fault(message, "give each its own mountPath", *where, "mountPath")
        if mount.get("name") not in volumes:
            message = f"volumeMounts names the volume {mount.get('name')}, which is not there"
            yield document.fault(message, f"volumes has {joined(volumes)}", *where)
    yield from _resources(document, container.get("resources") or {}, (*at, "resources"))
    for index, variable in enumerate(container.get("env") or []):
        if variable.get("value") and "valueFrom" in variable:
            message = f"{variable.get('name')} has value beside valueFrom"
            yield document.fault(message, "the cluster refuses both: keep one", *at, "env", index)
    yield from _handlers(document, container, at)
    security = container.get("securityContext") or {}
    if security.get("privileged") and security.get("allowPrivilegeEscalation") is False:
        message = "privileged beside allowPrivilegeEscalation: false"
        advice = "the cluster refuses both: remove privileged"
        yield document.fault(message, advice, *at, "securityContext", "privileged")
    for probe in ("startupProbe", "livenessProbe"):
        times = (container.get(probe) or {}).get("successThreshold", 1)
        if times != 1:
            message = f"successThreshold of {probe} is {times}"
            yield document.fault(message, "the cluster takes 1 only", *at, probe, "successThreshold")


def _handlers(document: Document, container: dict[str, Any], at: Place) -> Iterator[Finding]:
    """Probes and hooks that say in no way, or in two, what is to be done."""
    places = [(probe,) for probe in PROBES]
    for where in (*places, ("lifecycle", "preStop"), ("lifecycle", "postStart")):
        given = get(container, *where)
        handlers = [key for key in _HANDLERS if key in given] if given else ["none"]
        if len(handlers) != 1:
            known = _HANDLERS[:3] + (_HANDLERS[4:] if len(where) > 1 else _HANDLERS[3:4])
            message = f"{where[-1]} has {joined(handlers)}" if handlers else f"{where[-1]} has no handler"
            yield document.fault(message, f"the cluster wants one of {joined(known)}", *at, *where)


def _resources(document: Document, resources: dict[str, Any], at: Place) -> Iterator[Finding]:
    limits, requests = (resources.get(key) or {} for key in ("limits", "requests"))
    for key, amounts in (("limits", limits), ("requests", requests)):
        for name, amount in amounts.items():
            yield from _resource(document, name, amount, (*at, key, name))
    for name in dict.fromkeys([*requests, *limits]):
        if "/" in name and not name.startswith("kubernetes.io/"):
            yield from _device(document, name, requests, limits, at)
    for name, amount in requests.items():
        asked, limit = quantity(amount), quantity(limits.get(name))
        if limit is not None and limit < _LEAST.get(name, 0):  # which is a fault of its own
            continue
        if asked is not None and limit is not None and asked > limit and "/" not in name:
            message = f"{amount} of {name} is requested, and the limit is {limits[name]}"
            yield document.fault(message, "the cluster refuses that: raise the limit", *at, "requests", name)


def _device(
    document: Document, name: str, requests: dict[str, Any], limits: dict[str, Any], at: Place
) -> Iterator[Finding]:
    """What nodes offer whole, such as GPUs: the cluster takes a limit alone, or a request that equals it."""
    asked, limit = quantity(requests.get(name)), quantity(limits.get(name))
    if name in requests and name not in limits:
        advice = "the cluster refuses that: write it under limits"
        yield document.fault(f"{name} is requested without a limit", advice, *at, "requests", name)
    elif None not in (asked, limit) and asked != limit:
        message = f"{requests[name]} of {name} is requested, and the limit is {limits[name]}"
        yield document.fault(message, "the cluster refuses that: make them equal", *at, "requests", name)


def _resource(document: Document, name: str, amount: Any, at: Place) -> Iterator[Finding]:
    number = quantity(amount)
    if "/" not in name and name not in _RESOURCES and not name.startswith("hugepages-"):
        advice = meant(name, _RESOURCES, f"they are {joined(_RESOURCES, 'or')}, or have a domain")
        yield document.fault(f"there is no resource {name}", advice, *at)
    elif number is None:
        if not _is_placeholder(str(amount)):
            yield document.fault(f"{name} is {amount!r}, which is no amount", QUANTITY_ADVICE, *at)
    elif "/" in name and number % 1:
        yield document.fault(f"{name} is {amount}", "write a whole number", *at)
    elif name in ("nvidia.com/gpus", "nvidia/gpu", "nvidia.com/GPU"):
        yield document.fault(f"no node offers {name}", "did you mean nvidia.com/gpu?", *at)
    elif name == "storage" and number < 2**20:
        yield document.fault(f"storage is {amount}, which is {number:g} bytes", QUANTITY_ADVICE, *at)
    elif name == "cpu" and number >= 1000:
        yield document.fault(f"{amount} cores are more than any node has", f"did you mean {amount}m?", *at)


def _walk(document: Document, data: Any, at: Place) -> Iterator[Finding]:
    if isinstance(data, list):
        for index, item in enumerate(data):
            yield from _walk(document, item, (*at, index))
    elif isinstance(data, dict):
        for key, value in data.items():
            if key == "resources" and isinstance(value, dict) and "containers" not in at:
                if "initContainers" not in at:  # those of a claim
                    yield from _resources(document, value, (*at, key))
            elif key not in ("data", "stringData", "annotations", "labels", "matchLabels", "resources"):
                yield from _walk(document, value, (*at, key))
    else:
        yield from _word(document, data, at)


def _word(document: Document, value: Any, at: Place) -> Iterator[Finding]:
    path = tuple("#" if isinstance(key, int) else key for key in at)
    for end, words in _WORDS.items():
        if path[-len(end) :] != end or value in (None, "") or _is_placeholder(str(value)):
            continue
        if str(value) not in words.split():
            name = next(key for key in reversed(path) if key != "#")
            yield document.fault(f"{name} is {value}", _one_of(str(value), words), *at)
    is_text = isinstance(value, str) and not _is_placeholder(value)
    if path[-2:] == ("hostPath", "path") and is_text and not re.match(r"/|[A-Za-z]:", value):
        message = f"hostPath is {value}, which is no place on a node"
        yield document.fault(message, "no pod would start: write it from / on", *at)
    is_share = of_pods(value, 1, round_up=True) is not None or _is_placeholder(str(value))
    if path[-1:] and path[-1] in _PODS and value is not None and not is_share:
        advice = "write a number without quotes, or a share such as 25%"
        yield document.fault(f"{path[-1]} is {value!r}", advice, *at)
    if path[-1:] and path[-1] in _PORTS and isinstance(value, int) and not 1 <= value <= 65535:
        yield document.fault(f"{path[-1]} is {value}", "a port is a number from 1 to 65535", *at)
    if path[-1:] and path[-1] in _COUNTS.split() and isinstance(value, int) and value < 0:
        yield document.fault(f"{path[-1]} is {value}", "the cluster takes no number below 0", *at)
    if any(path[-len(end) :] == end for end in _MODES) and isinstance(value, int) and not 0 <= value <= 0o777:
        advice = "the cluster takes 0 to 0777: write a 0 before the digits, such as 0644"
        yield document.fault(f"{path[-1]} is {value}", advice, *at)
    if any(path[-len(end) :] == end for end in _AMOUNTS) and value is not None and quantity(value) is None:
        yield document.fault(f"{path[-1]} is {value!r}, which is no amount", QUANTITY_ADVICE, *at)


def _one_of(word: str, words: str) -> str:
    return meant(word, words.split(), f"write {joined(words.split(), 'or')}")


def _is_placeholder(text: str) -> bool:
    return any(sign in text for sign in ("$", "{{", "<"))
