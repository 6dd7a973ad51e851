"""What a workload names in its cluster: objects of another namespace, its account, the Service of a StatefulSet."""

import difflib
from collections.abc import Iterator
from typing import Any

from ...finding import Finding, joined
from ..kubernetes import Surroundings, pod_keys, share_a_namespace
from ..yaml_file import Document, Place, get
from .selectors import selects

_ALIKE = 0.85
_VOLUMES = (
    ("ConfigMap", "configMap", "name"),
    ("Secret", "secret", "secretName"),
    ("PersistentVolumeClaim", "persistentVolumeClaim", "claimName"),
)
_VARIABLES = (("ConfigMap", "configMapRef"), ("Secret", "secretRef"))


def findings(document: Document, pod: dict[str, Any], surroundings: Surroundings) -> Iterator[Finding]:
    """Objects here that the cluster does not find beside the pods."""
    if document.data["kind"] == "StatefulSet":
        yield from _service(document, surroundings)
    for kind, name, where in _references(document, pod):
        known = _named(surroundings, kind)
        mine = [each for each in known if get(each.data, "metadata", "name") == name]
        if mine and not any(share_a_namespace(document, each) for each in mine):
            theirs, own = (str(get(each.data, "metadata", "namespace")) for each in (mine[0], document))
            message = f"the {kind} {name} is in the namespace {theirs}, and the pods are in {own}"
            yield document.fault(message, "the cluster looks beside the pods: make them equal", *where)
        other = {"ConfigMap": "Secret", "Secret": "ConfigMap"}.get(kind)
        if (
            not mine
            and other
            and name in [get(e.data, "metadata", "name") for e in _named(surroundings, other)]
        ):
            message = f"{name} is a {other}, and the pods want a {kind}"
            yield document.fault(message, f"name it as a {other}", *where)
        names = [str(get(each.data, "metadata", "name")) for each in known]
        close = difflib.get_close_matches(name, names, 1, _ALIKE)
        if kind == "ServiceAccount" and not mine and close:  # another may be in the cluster
            message = f"the ServiceAccount {name} is not there"
            yield document.fault(message, f"did you mean {close[0]}?", *where)


def _named(surroundings: Surroundings, kind: str) -> list[Document]:
    return [each for each in surroundings.objects if each.data["kind"] == kind]


def _references(document: Document, pod: dict[str, Any]) -> Iterator[tuple[str, str, Place]]:
    keys = pod_keys(document)
    if pod.get("serviceAccountName"):
        yield "ServiceAccount", pod["serviceAccountName"], (*keys, "serviceAccountName")
    for at, volume in enumerate(pod.get("volumes") or []):
        for kind, key, name in _VOLUMES:
            if get(volume, key, name):
                yield kind, volume[key][name], (*keys, "volumes", at, key, name)
    for at, container in enumerate(pod.get("containers") or []):
        for index, source in enumerate(container.get("envFrom") or []):
            for kind, key in _VARIABLES:
                if get(source, key, "name"):
                    where: Place = (*keys, "containers", at, "envFrom", index, key, "name")
                    yield kind, source[key]["name"], where


def _service(document: Document, surroundings: Surroundings) -> Iterator[Finding]:
    """The Service that gives each pod of a StatefulSet a name, where Services of these pods are at hand."""
    name = get(document.data, "spec", "serviceName")
    labels = get(document.data, "spec", "template", "metadata", "labels") or {}
    here = [each for each in _named(surroundings, "Service") if share_a_namespace(document, each)]
    mine = [
        str(get(each.data, "metadata", "name"))
        for each in here
        if (wanted := get(each.data, "spec", "selector")) and selects({"matchLabels": wanted}, labels)
    ]
    if name and mine and name not in [get(each.data, "metadata", "name") for each in here]:
        message = f"serviceName is {name}, and there is no Service of that name"
        yield document.fault(
            message, f"the pods get no names: write {joined(mine, 'or')}", "spec", "serviceName"
        )
