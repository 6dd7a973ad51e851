"""Labels that kustomizations give to their objects, to the pods of these and to what selects pods; and the namespace.

Source: https://kubectl.docs.kubernetes.io/references/kustomize/kustomization/commonlabels/
"""

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from .kubernetes import pod_keys
from .kustomization import Kustomization
from .yaml_file import Document, get

_HAVE_SELECTORS = ("Deployment", "ReplicaSet", "DaemonSet", "StatefulSet")
_OF_SELECTORS = {
    **dict.fromkeys(_HAVE_SELECTORS, ("spec", "selector", "matchLabels")),
    "Service": ("spec", "selector"),
    "PodDisruptionBudget": ("spec", "selector", "matchLabels"),
    "NetworkPolicy": ("spec", "podSelector", "matchLabels"),
}
_ONLY_ADDED_TO = ("PodDisruptionBudget", "NetworkPolicy")
"""Whose selectors are not made where there is none."""


def labelled(document: Document, kustomizations: Sequence[Kustomization]) -> Document:
    """The object with the labels that it gets wherever it is a resource, without those that overlays disagree on, and
    without a namespace of its own where a kustomization puts all of its objects into one.
    """
    known = {each.document.path.parent.resolve(): each for each in kustomizations}
    path, kind = document.path.resolve(), str(document.data["kind"])
    given: dict[str, set[str]] = {}
    mine: set[str] = set()
    is_moved = False
    for kustomization in kustomizations:
        is_resource = path in _reached(kustomization, known, set())
        is_moved = is_moved or (is_resource and bool(kustomization.document.data.get("namespace")))
        for key, value in _selecting(kustomization, known):
            given.setdefault(key, set()).add(value)
            mine.update([key] if is_resource else [])
    labels = {key: min(given[key]) for key in mine if len(given[key]) == 1}
    if not labels and not is_moved:
        return document
    data = copy.deepcopy(document.data)
    if is_moved and isinstance(data.get("metadata"), dict):
        data["metadata"].pop("namespace", None)
    where = _OF_SELECTORS.get(kind)
    if labels and where and (kind not in _ONLY_ADDED_TO or get(data, *where)):
        _add(data, where, labels)
    if labels and get(data, *pod_keys(document)):
        _add(data, (*pod_keys(document)[:-1], "metadata", "labels"), labels)
    return replace(document, data=data)


def _reached(
    kustomization: Kustomization, known: Mapping[Path, Kustomization], seen: set[Path]
) -> Iterator[Path]:
    """The files of its resources, and of those of its bases and components that are at hand."""
    folder = kustomization.document.path.parent.resolve()
    for path in [] if folder in seen else _named(kustomization, "resources", "bases", "components"):
        yield path
        if path in known:
            yield from _reached(known[path], known, seen | {folder})


def _named(kustomization: Kustomization, *keys: str) -> list[Path]:
    """The files and folders that it names."""
    folder, data = kustomization.document.path.parent, kustomization.document.data
    given = [data.get(key) for key in keys]
    return [(folder / str(name)).resolve() for names in given if isinstance(names, list) for name in names]


def _selecting(
    kustomization: Kustomization, known: Mapping[Path, Kustomization], seen: frozenset[Path] = frozenset()
) -> Iterator[tuple[str, str]]:
    """The labels that go into selectors too, its own and those of its components, which add to its objects."""
    for path in _named(kustomization, "components"):
        if path in known and path not in seen:
            yield from _selecting(known[path], known, seen | {path})
    data = kustomization.document.data
    given = [data.get("commonLabels")]
    entries = data.get("labels")
    given += [
        entry.get("pairs")
        for entry in (entries if isinstance(entries, list) else [])
        if isinstance(entry, dict) and entry.get("includeSelectors") is True
    ]
    for pairs in given:
        yield from ((str(k), str(v)) for k, v in pairs.items()) if isinstance(pairs, dict) else ()


def _add(data: dict[str, Any], where: Sequence[str], labels: dict[str, str]) -> None:
    for key in where:
        if not isinstance(data.get(key), dict):
            data[key] = {}
        data = data[key]
    data.update(labels)
