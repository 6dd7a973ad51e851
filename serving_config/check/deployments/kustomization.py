"""kustomization.yaml: the files it names, and the ConfigMaps and Secrets that it generates."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..configs.text_proto import HeldText, Node, read_held
from ..finding import Finding, meant
from .yaml_file import Document, Place

# https://kubectl.docs.kubernetes.io/references/kustomize/kustomization/
_FIELDS = """apiVersion kind metadata bases buildMetadata commonAnnotations commonLabels components configurations
    configMapGenerator crds generatorOptions generators helmCharts helmGlobals images labels namePrefix
    namespace nameSuffix openapi patches patchesJson6902 patchesStrategicMerge replacements replicas resources
    secretGenerator sortOptions transformers validators vars"""
_RESOURCES = ("resources", "bases")  # the second is an older name, which kustomize reads as the first
_GENERATORS = ("configMapGenerator", "secretGenerator")
_OF_GENERATORS = {"files": "names of files", "literals": "key=value", "envs": "names of files"}
_API = "kustomize.config.k8s.io/"
_KINDS = ("Kustomization", "Component")
_REMOTE = ("github.com/", "git@", "git::", "bitbucket.org/", "gitlab.com/")
"""How an address of a repository may begin, without a scheme."""
_ITEMS = {
    **dict.fromkeys((*_RESOURCES, "patchesStrategicMerge"), str),
    **dict.fromkeys(("patches", "patchesJson6902", "images", "replicas", *_GENERATORS), dict),
}


@dataclass
class Kustomization:
    """One kustomization: for each generated ConfigMap or Secret, what it holds by its keys, files here or texts."""

    document: Document
    generated: dict[str, dict[str, Path | Node | None]] = field(default_factory=dict)
    texts: list[HeldText] = field(default_factory=list)
    """The literals among these."""

    def patches(self) -> Iterator[tuple[str, Place]]:
        """The files that hold patches, as they are named, each with where it is named."""
        data = self.document.data
        for key in ("patches", "patchesJson6902"):
            for index, patch in enumerate(data.get(key) or []):
                if patch.get("path"):
                    yield patch["path"], (key, index, "path")
        for index, name in enumerate(data.get("patchesStrategicMerge") or []):
            if "\n" not in name:  # a patch may stand there itself
                yield name, ("patchesStrategicMerge", index)


def is_kustomization(document: Document) -> bool:
    """Whether a YAML document is a kustomization."""
    return isinstance(document.data, dict) and (
        document.path.stem in ("kustomization", "Kustomization")
        or document.data.get("kind") in ("Kustomization", "Component")
    )


def read(document: Document) -> tuple[Kustomization | None, list[Finding]]:
    """The kustomization, None where it cannot be read as one, and its own faults."""
    misshapen = list(_misshapen(document))
    if misshapen:
        return None, misshapen
    kustomization = Kustomization(document)
    faults = [fault for at in _entries(document) for fault in _generate(kustomization, *at)]
    return kustomization, [*_findings(kustomization), *faults]


def _entries(document: Document) -> list[tuple[Place, dict[str, Any]]]:
    """What generates, and where it stands."""
    return [
        ((generator, index), entry)
        for generator in _GENERATORS
        for index, entry in enumerate(document.data.get(generator) or [])
        if isinstance(entry, dict)
    ]


def _generate(kustomization: Kustomization, where: Place, entry: dict[str, Any]) -> Iterator[Finding]:
    """Add the keys of one generator."""
    document = kustomization.document
    held = kustomization.generated.setdefault(str(entry.get("name")), {})
    for at, text in enumerate(entry.get("files") or []):
        key, _, source = text.rpartition("=")
        held[key or Path(source).name] = document.path.parent / source
        yield from _source(document, source, *where, "files", at)
    for at, text in enumerate(entry.get("literals") or []):
        key, equals, value = text.partition("=")
        if not key or not equals:
            # It is not quoted, for it may be a secret.
            yield document.fault("a literal is no key=value", "kustomize refuses it", *where, "literals", at)
            continue
        line = document.line(*where, "literals", at)
        literal = read_held(key, value.strip("\"'"), document.path, line)
        kustomization.texts.append(literal)
        held[key] = literal.root
    named: list[tuple[str, Place]] = [
        (source, ("envs", at)) for at, source in enumerate(entry.get("envs") or [])
    ]
    named += [(entry["env"], ("env",))] if entry.get("env") else []
    for source, place in named:
        file = document.path.parent / source
        yield from _source(document, source, *where, *place)
        lines = file.read_text("utf-8", "replace").splitlines() if file.is_file() else []
        keys = [line.strip().partition("=")[0] for line in lines]
        held.update(dict.fromkeys(key for key in keys if key and not key.startswith("#")))


def _source(document: Document, source: str, *where: str | int) -> Iterator[Finding]:
    if not (document.path.parent / source).is_file():
        message = f"{where[0]} names {source}, which is not there"
        yield document.fault(message, "write or render it", *where)


def _misshapen(document: Document) -> Iterator[Finding]:
    for name, kind in _ITEMS.items():
        items = document.data.get(name) or []
        whole = isinstance(items, list)
        for index, item in enumerate(items) if whole else [(0, items)]:
            if not whole or not isinstance(item, kind):
                wanted = "names of files" if kind is str else "mappings"
                where = (name, index) if whole else (name,)
                yield document.fault(f"{name} is no list of {wanted}", "write one item a line", *where)
    for key in ("patches", "patchesJson6902"):
        patches = document.data.get(key)
        for index, patch in enumerate(patches if isinstance(patches, list) else []):
            if isinstance(patch, dict) and not isinstance(patch.get("path") or "", str):
                yield document.fault("path is no name of a file", "write one", key, index, "path")
    for place, entry in _entries(document):
        for name, wanted in _OF_GENERATORS.items():
            items = entry.get(name) or []
            if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
                yield document.fault(f"{name} is no list of {wanted}", "write one item a line", *place, name)
        if not isinstance(entry.get("env") or "", str):
            yield document.fault("env is no name of a file", "write one, or envs and a list", *place, "env")


def _findings(kustomization: Kustomization) -> Iterator[Finding]:
    document = kustomization.document
    folder, data = document.path.parent, document.data
    kind, version = data.get("kind", _KINDS[0]), str(data.get("apiVersion", _API))
    if kind not in _KINDS:
        yield document.fault(f"kind is {kind}", "write kind: Kustomization", "kind")
    if not version.startswith(_API):
        yield document.fault(f"apiVersion is {version}", f"write apiVersion: {_API}v1beta1", "apiVersion")
    for key in ("commonLabels", "commonAnnotations"):
        for name, value in (data.get(key) or {}).items():
            if not isinstance(value, str):
                yield document.fault(
                    f"{name} is {value!r}", "write a word, in quotes where it is a number", key, name
                )
    for index, entry in enumerate(data.get("images") or []):
        if not isinstance(entry.get("newTag") or "", str):
            message = f"newTag is {entry['newTag']!r}, a number"
            advice = "kustomize wants a text: write it in quotes"
            yield document.fault(message, advice, "images", index, "newTag")
    for name in data:
        if name not in _FIELDS.split():
            advice = meant(name, _FIELDS.split(), "remove it")
            yield document.fault(f"a kustomization has no field {name}", advice, name)
    for key in _RESOURCES:
        for index, name in enumerate(data.get(key) or []):
            if name in (data.get(key) or [])[:index]:
                yield document.fault(f"the resource {name} is there twice", "keep one", key, index)
            is_remote = "://" in str(name) or str(name).startswith(_REMOTE)
            if not is_remote and not (folder / str(name)).exists():
                yield document.fault(f"the resource {name} is not there", "write or render it", key, index)
    for name, keys in kustomization.patches():
        if not (folder / name).is_file():
            yield document.fault(f"the patch {name} is not there", "write it or correct the name", *keys)
