"""Inspect a set of files together: what each is, and what must hold between them."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from ..errors import ServingConfigError
from . import files as deployment_files
from .configs import config_rules, messages, model_rules, text_proto
from .configs.text_proto import Node
from .deployments import (
    cluster,
    compose,
    containers,
    dockerfile,
    kubernetes,
    kustomization,
    wanted_state,
    yaml_file,
)
from .deployments.kustomization import Kustomization
from .finding import Finding, shorten
from .servers import described_server
from .servers.described_server import DescribedServer

_CONTAINER_MODELS = PurePosixPath("/models")
_PREFIXES = {
    "models": "ModelServerConfig",
    "batching": "BatchingParameters",
    "monitoring": "MonitoringConfig",
    "ssl": "SSLConfig",
    "platform": "PlatformConfigMap",
}
_OF_MONITORING = {"groups", "scrape_configs", "datasources", "providers"}
"""What files of Prometheus and Grafana begin with."""
_RULES = {
    "BatchingParameters": config_rules.batching,
    "MonitoringConfig": config_rules.monitoring,
    "SSLConfig": config_rules.ssl,
}


@dataclass
class Result:
    """What was looked at, what was found, and what could not be looked at."""

    files: list[Path]
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def inspect(
    chosen: list[Path],
    models_root: Path | None,
    model_configs: list[Path],
    kubernetes_version: str = kubernetes.SCHEMAS,
) -> Result:
    """Check files and folders together.

    Args:
        chosen: the files, and folders to walk.
        models_root: the folder here that the container sees as /models; None for ./models where that exists.
        model_configs: those of the files that are model configurations whatever their names.
        kubernetes_version: whose schemas manifests are held to.

    Raises:
        ServingConfigError: there is no file to check.
    """
    files = list(dict.fromkeys(file for path in chosen for file in deployment_files.below(path)))
    if not files:
        raise ServingConfigError(f"no file to check in {chosen[0]}: name one")
    roles = {path.resolve(): "ModelServerConfig" for path in model_configs}
    run = _Inspection(Result(files), models_root, roles, kubernetes_version)
    run.all()
    run.result.findings = sorted(set(run.result.findings))
    return run.result


class _Inspection:
    def __init__(
        self, result: Result, models_root: Path | None, roles: dict[Path, str], kubernetes_version: str
    ):
        self.kubernetes_version = kubernetes_version
        self.result = result
        self.models_root = models_root
        self.roles = roles
        self.servers: list[DescribedServer] = []
        self.trees: dict[Path, Node | None] = {}
        self.misfits: list[yaml_file.Document] = []
        self.extended: set[tuple[Path, str]] = set()

    def add(self, findings: "Iterator[Finding] | list[Finding]") -> None:
        for finding in findings:
            if finding.is_note:
                self.result.notes.append(str(finding))
            else:
                self.result.findings.append(finding)

    @contextlib.contextmanager
    def guard(self, path: Path) -> Iterator[None]:
        """What a check stumbles over is a finding of its file; the other files are checked all the same."""
        try:
            yield
        except Exception as error:
            known = isinstance(error, OSError) and error.strerror
            reason = known or f"{type(error).__name__}, {' '.join(str(error).split())}"[:200]
            advice = "make it readable" if known else "write what is unusual in it in the usual form"
            self.add([Finding(path, 0, f"cannot be checked: {reason}", advice)])

    def all(self) -> None:
        self.deployments()
        for found in self.servers:
            with self.guard(found.path):
                for flag, name in described_server.MESSAGE_OF_FLAG.items():
                    file = found.file(flag)
                    if file is not None:
                        self.roles.setdefault(file.resolve(), name)
                        # Whatever its suffix, where it lies among the files.
                        here = file.is_file() and file.resolve().is_relative_to(found.path.parent.resolve())
                        if here and file.resolve() not in {each.resolve() for each in self.result.files}:
                            self.result.files.append(file)
        for path in self.result.files:
            if deployment_files.kind(path) not in ("yaml", "docker"):
                with self.guard(path):
                    self.text(path)
        for found in self.servers:
            with self.guard(found.path):
                file = found.file("model_config_file")
                tree = self.tree(file) if file is not None and file.is_file() else None
                self.add(described_server.findings(found, described_server.models_of(tree)))

    def deployments(self) -> None:
        read: dict[Path, list[yaml_file.Document]] = {}
        for path in self.result.files:
            with self.guard(path):
                if deployment_files.kind(path) == "docker":
                    found, faults = dockerfile.server(path)
                    self.take([found] if found else [], faults)
                elif deployment_files.kind(path) == "yaml":
                    read[path], faults = yaml_file.read(path)
                    self.add(faults)
        kustomizations = self.kustomizations([d for documents in read.values() for d in documents])
        patches = {
            (k.document.path.parent / name).resolve() for k in kustomizations for name, _ in k.patches()
        }
        manifests = [
            document
            for documents in read.values()
            for document in documents
            if kubernetes.is_manifest(document)
        ]
        surroundings = kubernetes.Surroundings(kustomizations, manifests)
        self.extended = compose.extended(
            document for documents in read.values() for document in documents if compose.is_compose(document)
        )
        for path, documents in read.items():
            if path.resolve() in patches:
                self.result.notes.append(f"{shorten(path)} is a patch: objects were checked without it")
                continue
            for document in documents:
                with self.guard(path):
                    self.document(document, surroundings)
        self.cluster([m for m in manifests if m.path.resolve() not in patches], surroundings)

    def kustomizations(self, documents: list[yaml_file.Document]) -> list[Kustomization]:
        found: list[Kustomization] = []
        for document in documents:
            if kustomization.is_kustomization(document):
                with self.guard(document.path):
                    one, faults = kustomization.read(document)
                    found.extend([one] if one else [])
                    self.add(faults)
        return found

    def document(self, document: yaml_file.Document, surroundings: kubernetes.Surroundings) -> None:
        # Rules read documents that fit their schema: others would make them stumble.
        if kustomization.is_kustomization(document):
            return
        if wanted_state.is_wanted_state(document):
            self.add(wanted_state.findings(document))
            self.add(wanted_state.drift(document))
            return
        if compose.is_compose(document):
            faults = list(compose.schema_findings(document))
            self.add(faults)
            if not faults:
                self.take(*compose.servers(document, self.extended))
        elif kubernetes.is_manifest(document):
            if kubernetes.is_custom(document):
                kind, version = document.data["kind"], document.data["apiVersion"]
                where = f"{shorten(document.path)}:{document.line('kind')}"
                why = (
                    "check what `oc process` prints"
                    if kind == "Template"
                    else f"{version} is not Kubernetes' own"
                )
                self.result.notes.append(f"{where}: {kind} was not checked, {why}")
                return
            faults = list(kubernetes.schema_findings(document, self.kubernetes_version))
            self.add(faults)
            if faults:
                self.misfits.append(document)
            elif document.data["kind"] == "ConfigMap":
                self.config_map(document)
            else:
                self.take(*containers.servers(document, surroundings))
        else:
            keys = document.data if isinstance(document.data, dict) else {}
            if not _OF_MONITORING & set(keys):
                message, advice = "neither a compose file nor a Kubernetes object", "it was not checked"
                self.add([Finding(document.path, 1, message, advice).as_note()])

    def config_map(self, document: yaml_file.Document) -> None:
        for key, text in (document.data.get("data") or {}).items():
            if deployment_files.kind(Path(key)) == "text":
                # A text of several lines begins on the line below its key.
                first = document.line("data", key) + ("\n" in text)
                root, faults = text_proto.read_text(text, document.path, first)
                self.add(faults)
                if root is not None:
                    self.message(root, _message_name(Path(key), root))

    def cluster(self, manifests: list[yaml_file.Document], surroundings: kubernetes.Surroundings) -> None:
        deployments = cluster.deployments(manifests)
        if not deployments or any(d in self.misfits for d in deployments.values()):
            return
        for document in manifests:
            if document not in self.misfits:
                with self.guard(document.path):
                    self.add(cluster.findings(document, deployments, surroundings))

    def take(self, found: list[DescribedServer], faults: list[Finding]) -> None:
        self.servers.extend(found)
        self.add(faults)

    def tree(self, path: Path) -> Node | None:
        key = path.resolve()
        if key not in self.trees:
            self.trees[key], faults = text_proto.read_file(path)
            if path in self.result.files:
                self.add(faults)
        return self.trees[key]

    def text(self, path: Path) -> None:
        root = self.tree(path)
        if root is not None:
            self.message(root, self.roles.get(path.resolve()) or _message_name(path, root))

    def message(self, root: Node, name: str | None) -> None:
        if name is None:
            advice = f"name it after what it is: {', '.join(f'{p}.config' for p in _PREFIXES)}"
            self.add([root.fault("not a configuration of TensorFlow Serving that is known", advice)])
            return
        faults = messages.conform(root, messages.message(name))
        self.add(faults)
        if faults:
            return  # the rules below read well-formed messages
        if name == "ModelServerConfig":
            self.add(model_rules.findings(root, lambda base: self.locate(base, root.path)))
        elif name in _RULES:
            self.add(_RULES[name](root))

    def locate(self, base: str, config: Path) -> Path | None:
        inside = PurePosixPath(base)
        in_models = inside.is_relative_to(_CONTAINER_MODELS)
        if self.models_root is not None and in_models:
            return self.models_root / inside.relative_to(_CONTAINER_MODELS)
        for found in self.servers:
            file, mount = found.file("model_config_file"), found.mount(base)
            if file is not None and file.resolve() == config.resolve() and mount is not None:
                here = mount.locate(base)
                if here is not None and here.exists():
                    return here
            if file is not None and file.resolve() == config.resolve() and found.holds_part_of(base):
                return None
        if not in_models or Path(base).exists():
            return Path(base)
        if Path("models").is_dir():
            return Path("models") / inside.relative_to(_CONTAINER_MODELS)
        self.result.notes.append(
            f"{shorten(config)}: {base} was not looked up; --models-root says which folder /models is"
        )
        return None


def _message_name(path: Path, root: Node) -> str | None:
    for prefix, name in _PREFIXES.items():
        if path.name.startswith(prefix):
            return name
    known = {name: messages.message(name).fields_by_name for name in _PREFIXES.values()}
    score = {name: sum(node.name in fields for node in root.fields) for name, fields in known.items()}
    best = max(score, key=lambda name: score[name])
    return best if score[best] else None
