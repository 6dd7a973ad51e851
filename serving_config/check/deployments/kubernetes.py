"""Kubernetes manifests: their schemas, and the servers they describe."""

import datetime
import difflib
import itertools
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match
from referencing import Registry, Resource
from ruamel.yaml.scalarint import ScalarInt

from ..configs.text_proto import HeldText, Node, read_held
from ..finding import Finding
from . import misfits
from .kustomization import Kustomization
from .yaml_file import Document, get, leaves

SCHEMAS = "1.32"
"""The Kubernetes version whose schemas manifests are held to, unless another is named."""
_FOLDERS = {
    ".".join(re.findall(r"\d+", folder.name)[:2]): folder
    for folder in (Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema").glob("*-strict")
}
VERSIONS = sorted(_FOLDERS, key=lambda version: tuple(map(int, version.split("."))))
"""The versions whose schemas are at hand, rising."""
_KINDS = {file.name.partition("-")[0] for file in _FOLDERS[SCHEMAS].iterdir()}
"""What that version has, in lowercase."""
POD = ("spec", "template", "spec")
JOBS = ("Job", "CronJob")
"""What runs to an end, and is called by nobody."""
_OTHER_PODS = {
    "Pod": ("spec",),
    "CronJob": ("spec", "jobTemplate", "spec", "template", "spec"),
    "InferenceService": ("spec", "predictor"),
}
"""Where the specification of the pods stands, where it stands elsewhere."""
_OF_KSERVE = """minReplicas maxReplicas scaleTarget scaleMetric scaleMetricType containerConcurrency timeout
    logger batcher canaryTrafficPercent labels annotations deploymentStrategy autoScaling workerSpec model sklearn
    xgboost tensorflow pytorch triton onnx pmml lightgbm paddle huggingface"""
"""What KServe puts beside the pods' own fields."""
_GROUPS = """admissionregistration apiextensions apiregistration authentication authorization certificates coordination
    discovery events flowcontrol.apiserver internal.apiserver networking node rbac.authorization resource scheduling
    storage storagemigration"""
"""Kubernetes' own, each with .k8s.io behind it. Others of that ending are extensions, such as the Gateway API."""
_PLAIN_GROUPS = ("apps", "autoscaling", "batch", "extensions", "policy")
# Source: resolve.go of sigs.k8s.io/yaml's goyaml.v2, by which kubectl reads.
TRUTHS = {
    form: word in ("yes", "y", "on")
    for word in ("yes", "y", "on", "no", "n", "off")
    for form in (word, word.capitalize(), word.upper())
}
_CONTENTS = ("data", "binaryData", "stringData")


@dataclass
class Surroundings:
    """What stands beside a Deployment: kustomizations, and the other objects."""

    kustomizations: list[Kustomization] = field(default_factory=list)
    objects: list[Document] = field(default_factory=list)
    configs: dict[tuple[str, str], Node] = field(default_factory=dict)
    """The configurations that ConfigMaps hold, by the names of the ConfigMap and of its key."""

    def generated(self) -> dict[str, dict[str, Path | Node | None]]:
        """The ConfigMaps and Secrets by name: by their keys a file here, a configuration, or None."""
        found: dict[str, dict[str, Path | Node | None]] = {}
        for document in self.objects:
            if document.data["kind"] in ("ConfigMap", "Secret"):
                keys = [key for part in _CONTENTS for key in get(document.data, part) or ()]
                name = str(get(document.data, "metadata", "name"))
                found[name] = {key: self.configs.get((name, key)) for key in keys}
        for kustomization in self.kustomizations:
            for name, held in kustomization.generated.items():  # an overlay may add to what its base has
                found.setdefault(name, {}).update(held)
        return found

    def mounted(self) -> set[str]:
        """The claims that the objects mount, by name."""
        return {
            str(get(volume, "persistentVolumeClaim", "claimName"))
            for document in self.objects
            for volume in get(document.data, *pod_keys(document), "volumes") or []
        }

    def image(self, name: str) -> str:
        """What a container's image becomes by the `images` of the kustomizations."""
        for kustomization in self.kustomizations:
            for entry in kustomization.document.data.get("images") or []:
                if isinstance(entry, dict) and entry.get("name") == name.partition("@")[0].partition(":")[0]:
                    tag, digest = entry.get("newTag"), entry.get("digest")
                    new = str(entry.get("newName") or entry["name"])
                    return f"{new}@{digest}" if digest else f"{new}:{tag}" if tag else new
        return name

    def least(self, deployment: Document) -> int:
        """The fewest replicas that a Deployment has, by itself or by its autoscaler."""
        given = [number for number in self._scaled(deployment, "minReplicas") if isinstance(number, int)]
        return min(given, default=get(deployment.data, "spec", "replicas") or 1)

    def _scaled(self, deployment: Document, key: str) -> list[Any]:
        name = get(deployment.data, "metadata", "name")
        return [
            get(document.data, "spec", key)
            for document in self.objects
            if document.data["kind"] == "HorizontalPodAutoscaler"
            and get(document.data, "spec", "scaleTargetRef", "name") == name
        ]

    def replicas(self, deployment: Document) -> int:
        """The most replicas that a Deployment may have, by itself or by its autoscaler."""
        highest = self._scaled(deployment, "maxReplicas")
        given = [number for number in highest if isinstance(number, int)]
        return max([get(deployment.data, "spec", "replicas") or 1, *given])


def is_manifest(document: Document) -> bool:
    """Whether a YAML document is a Kubernetes object."""
    return isinstance(document.data, dict) and "kind" in document.data and "apiVersion" in document.data


def as_stored(document: Document) -> Document:
    """The object as the API server takes it: without fields that are null, its dates as the texts that they are, and
    words such as `yes` and numbers such as 0644 as the truth values and the octals that they are in YAML 1.1, which
    kubectl reads.
    """
    return replace(document, data=_stored(document.data, document.source))


def _stored(data: Any, source: Any) -> Any:
    if isinstance(data, dict):
        parts = {str(key): value for key, value in source.items()} if isinstance(source, dict) else {}
        return {key: _stored(value, parts.get(key)) for key, value in data.items() if value is not None}
    if isinstance(data, list):
        items = source if isinstance(source, list) else []
        return [_stored(item, part) for item, part in itertools.zip_longest(data, items)]
    if type(source) is str and source in TRUTHS:  # with quotes it is of a type of its own
        return TRUTHS[source]
    has_zero = type(source) is ScalarInt and getattr(source, "_width", None)  # before its digits
    if has_zero and not set(str(source)) & set("89"):
        return int(str(source), 8)
    return data.isoformat() if isinstance(data, datetime.date) else data


def texts(document: Document) -> Iterator[HeldText]:
    """The texts of a ConfigMap."""
    held = document.data.get("data")
    for key, text in held.items() if isinstance(held, dict) else ():
        if isinstance(key, str) and isinstance(text, str):
            # A text of several lines begins on the line below its key.
            first = document.line("data", key) + ("\n" in text)
            yield read_held(key, text, document.path, first)


def pod_keys(document: Document) -> tuple[str, ...]:
    """Where in a workload the specification of its pods stands."""
    return _OTHER_PODS.get(str(document.data["kind"]), POD)


def share_a_namespace(one: Document, other: Document) -> bool:
    """Whether two objects are in one namespace, or may be."""
    first, second = (get(document.data, "metadata", "namespace") for document in (one, other))
    return first == second or None in (first, second)


def is_custom(document: Document) -> bool:
    """Whether the object is of a kind whose schema is not known here: a CustomResourceDefinition's, or OpenShift's."""
    if document.data["kind"] == "Template" and "objects" in document.data:
        return True  # `oc process` makes Kubernetes' of it
    group = str(document.data["apiVersion"]).rpartition("/")[0]
    if group and "." not in group:  # Skaffold's is such a one; Kubernetes lets no extension have it
        return group not in _PLAIN_GROUPS and str(document.data["kind"]).lower() not in _KINDS
    own = [f"{name}.k8s.io" for name in _GROUPS.split()]
    return "." in group and group not in own and not difflib.get_close_matches(group, own, n=1, cutoff=0.92)


def has_plain_pods(document: Document) -> bool:
    """Whether it is KServe's with containers of its own, or a Rollout of Argo with a template: their pods are
    specified as Kubernetes' own.
    """
    containers = get(document.data, *pod_keys(document), "containers")
    return document.data["kind"] in ("InferenceService", "Rollout") and isinstance(containers, list)


def schema_findings(document: Document, version: str) -> Iterator[Finding]:
    """The first place where the object departs from its schema, unknown fields included; and empty list items."""
    if has_plain_pods(document):
        where = pod_keys(document)
        given = get(document.data, *where)
        more = _OF_KSERVE.split() if document.data["kind"] == "InferenceService" else ()
        pod = {key: value for key, value in given.items() if key not in more}
        error = best_match(_validator(version, "podspec-v1").iter_errors(pod))
        if error is not None:
            yield from misfits.findings(document, error, f"see Kubernetes {version}'s PodSpec", where)
        return
    for key in ("apiVersion", "kind"):
        if not isinstance(document.data[key], str):
            yield document.fault(f"{key} is no word", f"see Kubernetes {version}", key)
            return
    for keys, value in leaves(document.data):
        if value is None and isinstance(keys[-1], int):  # which the schemas allow
            yield document.fault(f"{'.'.join(map(str, keys))} is empty", "fill it in or remove it", *keys)
    api, kind = document.data["apiVersion"], document.data["kind"]
    group, slash, number = api.rpartition("/")
    validator = _validator(version, f"{kind.lower()}-{group.partition('.')[0]}{'-' if slash else ''}{number}")
    if validator is None:
        message = f"Kubernetes {version} has no {kind} in {api}"
        yield document.fault(message, "correct kind or apiVersion", "kind")
        return
    has_spec = "spec" in validator.schema["properties"]
    data = _with_specs(document.data, pod_keys(document)) if has_spec else document.data
    error = best_match(validator.iter_errors(data))
    if error is not None:
        yield from misfits.findings(document, error, f"see Kubernetes {version}'s {kind}")


def _with_specs(data: dict[str, Any], where: Sequence[str]) -> dict[str, Any]:
    """The object with an empty `spec` where one is missing on the way to its pods, as the API server reads it."""
    key, rest = where[0], where[1:]
    held = data.get(key, {} if key == "spec" else None)
    if held is None:
        return data
    return {**data, key: _with_specs(held, rest) if rest and isinstance(held, dict) else held}


@cache
def _validator(version: str, name: str) -> Any:
    """What validates by the schema of that name; None where that version has none.

    The package's own function reads its large files for each object.
    """
    file = _FOLDERS[version] / f"{name}.json"
    if "/" in name or not file.is_file():
        return None
    return Draft202012Validator(json.loads(file.read_bytes()), registry=_registry(version))


@cache
def _registry(version: str) -> Any:
    definitions = json.loads((_FOLDERS[version] / "_definitions.json").read_bytes())
    return Resource.from_contents(definitions) @ Registry()


def is_opaque(document: Document) -> bool:
    """Whether pods are made of an object in a way that is not known here."""
    pods = get(document.data, *pod_keys(document))
    is_service = is_custom(document) and document.data["kind"] == "InferenceService"
    return is_service and "containers" not in (pods or {})
