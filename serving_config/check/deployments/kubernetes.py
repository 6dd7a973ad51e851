"""Kubernetes manifests: their schemas, and the servers they describe."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match
from referencing import Registry, Resource

from ..finding import Finding
from .kustomization import Kustomization
from .yaml_file import Document

SCHEMAS = "1.32"
"""The Kubernetes version whose schemas manifests are held to, unless another is named."""
_FOLDERS = {
    ".".join(re.findall(r"\d+", folder.name)[:2]): folder
    for folder in (Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema").glob("*-strict")
}
VERSIONS = sorted(_FOLDERS, key=lambda version: tuple(map(int, version.split("."))))
"""The versions whose schemas are at hand, rising."""
POD = ("spec", "template", "spec")
_CONTENTS = ("data", "binaryData", "stringData")


@dataclass
class Surroundings:
    """What stands beside a Deployment: kustomizations, and the other objects."""

    kustomizations: list[Kustomization] = field(default_factory=list)
    objects: list[Document] = field(default_factory=list)

    def generated(self) -> dict[str, dict[str, Path | None]]:
        """The ConfigMaps and Secrets by name: their files here by their keys, None where one is no file."""
        found: dict[str, dict[str, Path | None]] = {}
        for document in self.objects:
            if document.data["kind"] in ("ConfigMap", "Secret"):
                keys = [key for part in _CONTENTS for key in get(document.data, part) or ()]
                found[str(get(document.data, "metadata", "name"))] = dict.fromkeys(keys)
        for kustomization in self.kustomizations:
            found.update({name: dict(files) for name, files in kustomization.generated.items()})
        return found

    def mounted(self) -> set[str]:
        """The claims that the objects mount, by name."""
        return {
            str(get(volume, "persistentVolumeClaim", "claimName"))
            for document in self.objects
            for volume in get(document.data, *POD, "volumes") or []
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

    def replicas(self, deployment: Document) -> int:
        """The most replicas that a Deployment may have, by itself or by its autoscaler."""
        name = get(deployment.data, "metadata", "name")
        highest = [
            get(document.data, "spec", "maxReplicas")
            for document in self.objects
            if document.data["kind"] == "HorizontalPodAutoscaler"
            and get(document.data, "spec", "scaleTargetRef", "name") == name
        ]
        given = [number for number in highest if isinstance(number, int)]
        return max([get(deployment.data, "spec", "replicas") or 1, *given])


def is_manifest(document: Document) -> bool:
    """Whether a YAML document is a Kubernetes object."""
    return isinstance(document.data, dict) and "kind" in document.data and "apiVersion" in document.data


def is_custom(document: Document) -> bool:
    """Whether the object is of a kind whose schema is not known here: a CustomResourceDefinition's, or OpenShift's."""
    if (
        document.data["kind"] == "Template" and "objects" in document.data
    ):  # `oc process` makes Kubernetes' of it
        return True
    group = str(document.data["apiVersion"]).rpartition("/")[0]
    return "." in group and not group.endswith(".k8s.io")


def schema_findings(document: Document, version: str = SCHEMAS) -> Iterator[Finding]:
    """The first place where the object departs from its schema, unknown fields included; and empty list items."""
    for key in ("apiVersion", "kind"):
        if not isinstance(document.data[key], str):
            yield document.fault(f"{key} is no word", f"see Kubernetes {version}", key)
            return
    for keys in _empty_items(document.data):  # which the schemas allow
        yield document.fault(f"{'.'.join(map(str, keys))} is empty", "fill it in or remove it", *keys)
    api, kind = document.data["apiVersion"], document.data["kind"]
    validator = _validator(version, api, kind)
    if validator is None:
        message = f"Kubernetes {version} has no {kind} in {api}"
        yield document.fault(message, "correct kind or apiVersion", "kind")
        return
    error = best_match(validator.iter_errors(document.data))
    if error is not None:
        where = ".".join(str(part) for part in error.absolute_path) or kind
        message = f"{where}: {error.message[:200]}"
        yield document.fault(message, f"see Kubernetes {version}'s {kind}", *error.absolute_path)


@cache
def _validator(version: str, api: str, kind: str) -> Any:
    """What validates objects of the kind; None where that version has none.

    The package's own function reads its large files for each object.
    """
    group, slash, number = api.rpartition("/")
    name = f"{kind.lower()}-{group.partition('.')[0]}{'-' if slash else ''}{number}.json"
    if "/" in name or not (_FOLDERS[version] / name).is_file():
        return None
    registry: Any = _definitions(version) @ Registry()
    return Draft202012Validator(_schema(version, name), registry=registry)


@cache
def _definitions(version: str) -> Any:
    return Resource.from_contents(_schema(version, "_definitions.json"))


def _schema(version: str, name: str) -> Any:
    return json.loads((_FOLDERS[version] / name).read_bytes())


def _empty_items(data: Any, *keys: str | int) -> Iterator[tuple[str | int, ...]]:
    if isinstance(data, list):
        for index, item in enumerate(data):
            if item is None:
                yield (*keys, index)
            yield from _empty_items(item, *keys, index)
    elif isinstance(data, dict):
        for key, value in data.items():
            yield from _empty_items(value, *keys, key)


def get(data: Any, *keys: str) -> Any:
    """The value along a path of keys, None where there is none."""
    for key in keys:
        data = data.get(key) if isinstance(data, dict) else None
    return data
