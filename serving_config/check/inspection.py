"""Inspect a set of files together: what each is, and what must hold between them."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from ..errors import ServingConfigError
from . import files as deployment_files
from . import recognition
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
from .deployments.rules import compose_references, kubernetes_values, kustomization_rules
from .finding import Finding, shorten
from .servers import described_server
from .servers.described_server import DescribedServer

_CONTAINER_MODELS = PurePosixPath("/models")
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
        self.compose_files: list[yaml_file.Document] = []
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
                        role = self.roles.setdefault(file.resolve(), name)
                        if role != name:
                            message = f"--{flag} names {file.name}, which is a {role} elsewhere"
                            line = found.flags.at(flag)
                            self.add([found.fault(message, f"name the {name}, or mount it there", line)])
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
                models, monitoring = (
                    self.sound(found.file(flag)) for flag in ("model_config_file", "monitoring_config_file")
                )
                self.add(described_server.findings(found, described_server.models_of(models), monitoring))

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
                    if path.name == wanted_state.FILE and not read[path] and not faults:
                        advice = "bring it back, or remove it and render anew"
                        self.add([Finding(path, 0, "it states nothing", advice)])
        kustomizations = self.kustomizations([d for documents in read.values() for d in documents])
        patches = {
            path.resolve()
            for path in read
            if path.parent.name == wanted_state.PATCHES and (path.parent.parent / wanted_state.FILE).is_file()
        }
        patches |= {
            (k.document.path.parent / name).resolve() for k in kustomizations for name, _ in k.patches()
        }
        manifests = [
            document
            for documents in read.values()
            for document in documents
            if kubernetes.is_manifest(document)
        ]
        surroundings = kubernetes.Surroundings(kustomizations, manifests)
        self.compose_files = [
            document for documents in read.values() for document in documents if compose.is_compose(document)
        ]
        self.extended = compose.extended(self.compose_files)
        for path, documents in read.items():
            if path.resolve() in patches:
                self.result.notes.append(f"{shorten(path)} is a patch: objects were checked without it")
                continue
            for document in documents:
                with self.guard(path):
                    self.document(document, surroundings)
        objects = [m for m in manifests if m.path.resolve() not in patches]
        self.cluster(objects, surroundings)
        for each in kustomizations:
            with self.guard(each.document.path):
                self.add(kustomization_rules.findings(each, kustomizations, objects))

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
            wrong = list(wanted_state.findings(document))
            self.add(wrong)
            if not wrong:
                self.add(wanted_state.drift(document))
            return
        if compose.is_compose(document):
            faults = list(compose.schema_findings(document))
            self.add(faults)
            if not faults:
                whole = compose_references.is_whole(document, self.compose_files)
                self.take(*compose.servers(document, self.extended, whole))
        elif kubernetes.is_manifest(document):
            if kubernetes.is_inference_service(document):
                self.workload(
                    document,
                    list(kubernetes.pod_schema_findings(document, self.kubernetes_version)),
                    surroundings,
                )
                return
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
            self.workload(
                document, list(kubernetes.schema_findings(document, self.kubernetes_version)), surroundings
            )
        else:
            keys = document.data if isinstance(document.data, dict) else {}
            unfinished = recognition.unfinished(document, keys)
            if unfinished:
                self.add([unfinished])
            elif not _OF_MONITORING & set(keys):
                message, advice = "neither a compose file nor a Kubernetes object", "it was not checked"
                self.add([Finding(document.path, 1, message, advice).as_note()])

    def workload(
        self, document: yaml_file.Document, misfits: list[Finding], surroundings: kubernetes.Surroundings
    ) -> None:
        """An object of Kubernetes, and where it departs from its schema."""
        self.add(misfits)
        if misfits:
            self.misfits.append(document)
            return
        self.add(kubernetes_values.findings(document))
        keys = kubernetes.pod_keys(document)
        pod = kubernetes.get(document.data, *keys)
        if isinstance(pod, dict) and "containers" in pod:
            self.add(kubernetes_values.pod_findings(document, pod, keys))
        if document.data["kind"] == "ConfigMap":
            self.config_map(document)
        else:
            self.take(*containers.servers(document, surroundings))

    def config_map(self, document: yaml_file.Document) -> None:
        for key, text in (document.data.get("data") or {}).items():
            if deployment_files.kind(Path(key)) == "text":
                # A text of several lines begins on the line below its key.
                first = document.line("data", key) + ("\n" in text)
                root, faults = text_proto.read_text(text, document.path, first)
                self.add(faults)
                if root is not None:
                    self.message(root, recognition.message_name(Path(key), root))

    def cluster(self, manifests: list[yaml_file.Document], surroundings: kubernetes.Surroundings) -> None:
        deployments = cluster.deployments(manifests)
        if all(d.data["kind"] == "Pod" for d in deployments.values()):
            return  # what the others mean is elsewhere
        if any(d in self.misfits for d in deployments.values()):
            return
        if any(kubernetes.is_opaque(document) for document in manifests):
            return  # pods that the others may mean
        for document in manifests:
            if document not in self.misfits:
                with self.guard(document.path):
                    self.add(cluster.findings(document, deployments, surroundings, self.servers))

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

    def sound(self, file: Path | None) -> Node | None:
        """What a file says, None where that is unknown, or not enough of it is as its message wants it."""
        tree = self.tree(file) if file is not None and file.is_file() else None
        name = self.roles.get(file.resolve()) if file is not None else None
        if tree is None or name is None:
            return None
        models = tree.all("model_config_list", "config")
        is_told = bool(models) and all(model.first("name") for model in models)
        return tree if is_told or not messages.conform(tree, messages.message(name)) else None

    def text(self, path: Path) -> None:
        root = self.tree(path)
        if root is not None:
            self.message(root, self.roles.get(path.resolve()) or recognition.message_name(path, root))

    def message(self, root: Node, name: str | None) -> None:
        if name is None:
            advice = f"name it after what it is: {', '.join(f'{p}.config' for p in recognition.PREFIXES)}"
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
        elsewhere = False
        for found in self.servers:
            file, mount = found.file("model_config_file"), found.mount(base)
            if file is None or file.resolve() != config.resolve():
                continue
            here = mount.locate(base) if mount is not None else None
            if here is not None and here.exists():
                return here
            elsewhere = elsewhere or found.holds_part_of(base)
        if elsewhere:
            return None
        if not in_models or Path(base).exists():
            return Path(base)
        if Path("models").is_dir():
            return Path("models") / inside.relative_to(_CONTAINER_MODELS)
        self.result.notes.append(
            f"{shorten(config)}: {base} was not looked up; --models-root says which folder /models is"
        )
        return None
