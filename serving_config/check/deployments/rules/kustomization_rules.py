"""What a kustomization says of objects that are not among its resources, where all of these are at hand."""

import re
from collections.abc import Iterator
from pathlib import Path

from ...finding import Finding, joined, meant, shorten
from ..kubernetes import pod_keys
from ..kustomization import Kustomization
from ..yaml_file import Document, get

_OTHER_NAMES = ("namePrefix", "nameSuffix", "components", "helmCharts", "generators", "transformers")
"""With these the objects are not what the files say."""
_TAG = re.compile(r"(:[\w.-]+)?(@.*)?$")


def findings(
    kustomization: Kustomization, others: list[Kustomization], objects: list[Document]
) -> Iterator[Finding]:
    """Images, replicas and patches of what is not there, and Deployments and claims that were left out."""
    document = kustomization.document
    known = {other.document.path.parent.resolve(): other for other in others}
    files = _files(kustomization, known)
    if files is None or document.data.get("kind") == "Component":
        return
    if any(each.document.data.get(key) for each in (kustomization, *others) for key in _OTHER_NAMES):
        return
    mine = [each for each in objects if each.path.resolve() in files]
    if mine:
        yield from _repeated(document, mine)
        renamed = [
            str(entry.get("newName")) for other in others for entry in other.document.data.get("images") or []
        ]
        yield from _images(document, mine, renamed)
        yield from _replicas(document, mine)
        yield from _targets(document, mine)
        everywhere = set().union(*(_files(other, known) or () for other in others))
        left_out = [
            each
            for each in objects
            if each.path.resolve() not in everywhere
            and each.path.resolve().is_relative_to(document.path.parent.resolve())
        ]
        yield from _left_out(document, mine, left_out)


def _files(kustomization: Kustomization, known: dict[Path, Kustomization]) -> set[Path] | None:
    """The files of its resources, and of those of its bases; None where some are elsewhere."""
    found: set[Path] = set()
    for key in ("resources", "bases"):
        for name in kustomization.document.data.get(key) or []:
            path = (kustomization.document.path.parent / str(name)).resolve()
            if path.is_file():
                found.add(path)
                continue
            below = _files(known[path], known) if path in known and known[path] is not kustomization else None
            if below is None:
                return None
            found |= below
    return found


def _repeated(document: Document, mine: list[Document]) -> Iterator[Finding]:
    """Objects that the kustomization's own files have twice; a base may put its own into another namespace."""
    names = document.data.get("resources") or []
    places = {(document.path.parent / str(name)).resolve(): at for at, name in enumerate(names)}
    seen: dict[tuple[str, ...], Document] = {}
    for each in mine:
        if each.path.resolve() not in places:
            continue
        group = str(each.data["apiVersion"]).rpartition("/")[0]
        key = (group, str(each.data["kind"]), str(get(each.data, "metadata", "namespace")), _name(each))
        if key in seen:
            message = (
                f"{_title(each)} is there twice, in {shorten(seen[key].path)} and in {shorten(each.path)}"
            )
            at = places[each.path.resolve()]
            yield document.fault(message, "kustomize refuses it: remove one", "resources", at)
        seen.setdefault(key, each)


def _images(document: Document, mine: list[Document], renamed: list[str]) -> Iterator[Finding]:
    images = [
        _TAG.sub("", str(container.get("image") or ""))
        for each in mine
        for key in ("containers", "initContainers")
        for container in get(each.data, *pod_keys(each), key) or []
    ]
    for at, entry in enumerate(document.data.get("images") or []):
        name = entry.get("name")
        if images and name not in [*images, *renamed]:
            message = f"no container has the image {name}"
            yield document.fault(message, meant(name, images), "images", at, "name")


def _replicas(document: Document, mine: list[Document]) -> Iterator[Finding]:
    names = [_name(each) for each in mine if get(each.data, *pod_keys(each), "containers")]
    for at, entry in enumerate(document.data.get("replicas") or []):
        if entry.get("name") not in names:
            message = f"nothing of the name {entry.get('name')} has replicas"
            yield document.fault(message, meant(entry.get("name"), names), "replicas", at, "name")


def _targets(document: Document, mine: list[Document]) -> Iterator[Finding]:
    for key in ("patches", "patchesJson6902"):
        for at, patch in enumerate(document.data.get(key) or []):
            target = patch.get("target")
            if not isinstance(target, dict) or {"labelSelector", "annotationSelector"} & set(target):
                continue
            wanted = {field: str(target[field]) for field in ("kind", "name") if target.get(field)}
            if not any(_fits(wanted, each) for each in mine):
                what = " ".join(wanted.values()) or "none"
                advice = f"there is {joined(map(_title, mine))}"
                yield document.fault(
                    f"the patch is for {what}, which is not there", advice, key, at, "target"
                )


def _fits(wanted: dict[str, str], each: Document) -> bool:
    """Whether an object is meant; kustomize reads both words as regular expressions."""
    there = {"kind": str(each.data["kind"]), "name": _name(each)}
    try:
        return all(re.fullmatch(word, there[field]) for field, word in wanted.items())
    except re.error:
        return True


def _left_out(document: Document, mine: list[Document], left_out: list[Document]) -> Iterator[Finding]:
    for each in left_out:
        path = shorten(each.path)
        if each.data["kind"] == "Deployment":
            labels = get(each.data, *pod_keys(each)[:-1], "metadata", "labels") or {}
            services = [other for other in mine if other.data["kind"] == "Service"]
            wanted = [(other, get(other.data, "spec", "selector") or {}) for other in services]
            meaning = [other for other, given in wanted if given and given.items() <= labels.items()]
            if meaning:
                message = f"{path} is no resource, and the Service {_name(meaning[0])} selects its pods"
                yield document.fault(message, "add it to resources", "resources")
        elif each.data["kind"] == "PersistentVolumeClaim":
            volumes = [v for other in mine for v in get(other.data, *pod_keys(other), "volumes") or []]
            if _name(each) in [get(volume, "persistentVolumeClaim", "claimName") for volume in volumes]:
                message = f"{path} is no resource, and a Deployment mounts its claim"
                yield document.fault(message, "add it, or apply it by itself first", "resources").as_note()


def _name(each: Document) -> str:
    return str(get(each.data, "metadata", "name"))


def _title(each: Document) -> str:
    return f"{each.data['kind']} {_name(each)}"
