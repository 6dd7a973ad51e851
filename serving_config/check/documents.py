"""Check the deployments among the files: compose files, Dockerfiles, Kubernetes' objects, slimserve.yaml."""

from collections.abc import Callable, Container
from pathlib import Path

from . import files as deployment_files
from . import recognition
from .configs.text_proto import HeldText, Node
from .deployments import (
    cluster,
    common_labels,
    containers,
    kubernetes,
    kustomization,
    wanted_state,
    yaml_file,
)
from .deployments.docker import compose, dockerfile
from .deployments.docker.image import Image
from .deployments.docker.rules import compose_references
from .deployments.kustomization import Kustomization
from .deployments.monitoring import prometheus
from .deployments.rules import ingress_rules, kubernetes_values, kustomization_rules
from .finding import Finding, Result, shorten
from .servers.described_server import MESSAGE_OF_FLAG, DescribedServer

_OF_MONITORING = {"groups", "scrape_configs", "datasources", "providers"}
"""What files of Prometheus and Grafana begin with."""


class Documents:
    """The deployments of one inspection; `servers` are those that they start.

    Args:
        result: of the inspection.
        kubernetes_version: whose schemas manifests are held to.
        config: checks a configuration of TensorFlow Serving that a ConfigMap holds, by the name of its message.
    """

    def __init__(self, result: Result, kubernetes_version: str, config: Callable[[Node, str | None], None]):
        self.servers: list[DescribedServer] = []
        self._result = result
        self._kubernetes_version = kubernetes_version
        self._config = config
        self._misfits: list[yaml_file.Document] = []
        self._compose_files: list[yaml_file.Document] = []
        self._extended: set[tuple[Path, str]] = set()

    def check(self) -> None:
        """Check them alone, then together."""
        read: dict[Path, list[yaml_file.Document]] = {}
        images: list[Image] = []
        for path in self._result.files:
            with self._result.guard(path):
                if deployment_files.kind(path) == "docker":
                    made, faults = dockerfile.read(path)
                    images.extend([made] if made else [])
                    self._result.add(faults)
                elif deployment_files.kind(path) == "yaml":
                    found_here, faults = yaml_file.read(path)
                    read[path] = [
                        kubernetes.as_stored(each) if kubernetes.is_manifest(each) else each
                        for each in found_here
                    ]
                    self._result.add(faults)
                    if path.name == wanted_state.FILE and not read[path] and not faults:
                        advice = "bring it back, or remove it and render anew"
                        self._result.add([Finding(path, 0, "it states nothing", advice)])
        every = [document for documents in read.values() for document in documents]
        kustomizations = self._kustomizations(every)
        for path, documents in read.items():
            read[path] = [
                common_labels.labelled(each, kustomizations) if kubernetes.is_manifest(each) else each
                for each in documents
            ]
        every = [document for documents in read.values() for document in documents]
        patches = {
            path.resolve()
            for path in read
            if path.parent.name == wanted_state.PATCHES and (path.parent.parent / wanted_state.FILE).is_file()
        }
        patches |= {
            (k.document.path.parent / name).resolve() for k in kustomizations for name, _ in k.patches()
        }
        manifests = [document for document in every if kubernetes.is_manifest(document)]
        maps = [document for document in manifests if document.data["kind"] == "ConfigMap"]
        texts = [(document, text) for document in maps for text in self._held(document)]
        configs = {
            (str(yaml_file.get(document.data, "metadata", "name")), text.key): text.root
            for document, text in texts
        }
        surroundings = kubernetes.Surroundings(kustomizations, manifests, configs)
        self._compose_files = [document for document in every if compose.is_compose(document)]
        self._extended = compose.extended(self._compose_files)
        self._images(images, compose.built(self._compose_files))
        for path, documents in read.items():
            if path.resolve() in patches:
                self._result.notes.append(f"{shorten(path)} is a patch: objects were checked without it")
                continue
            for document in documents:
                with self._result.guard(path):
                    self._document(document, surroundings)
        objects = [m for m in manifests if m.path.resolve() not in patches]
        self._texts([text for each in kustomizations for text in each.texts])
        self._texts(
            [text for document, text in texts if document in objects and document not in self._misfits]
        )
        self._cluster(objects, surroundings)
        for document in filter(prometheus.is_prometheus, every):
            with self._result.guard(document.path):
                self._result.add(prometheus.findings(document, self.servers))
        for each in kustomizations:
            with self._result.guard(each.document.path):
                self._result.add(kustomization_rules.findings(each, kustomizations, objects))

    def _images(self, images: list[Image], built: Container[Path]) -> None:
        """Images by themselves; those that a service builds are judged with what it says of them."""
        for made in images:
            with self._result.guard(made.path):
                if made.path.resolve() not in built:
                    found, faults = dockerfile.server(made)
                    self._take([found] if found else [], faults)

    def _kustomizations(self, documents: list[yaml_file.Document]) -> list[Kustomization]:
        found: list[Kustomization] = []
        for document in documents:
            if kustomization.is_kustomization(document):
                with self._result.guard(document.path):
                    one, faults = kustomization.read(document)
                    found.extend([one] if one else [])
                    self._result.add(faults)
        return found

    def _document(self, document: yaml_file.Document, surroundings: kubernetes.Surroundings) -> None:
        # Rules read documents that fit their schema: others would make them stumble.
        if kustomization.is_kustomization(document):
            return
        if wanted_state.is_wanted_state(document):
            wrong = list(wanted_state.findings(document))
            self._result.add(wrong)
            if not wrong:
                self._result.add(wanted_state.drift(document))
            return
        if compose.is_compose(document):
            faults = list(compose.schema_findings(document))
            self._result.add(faults)
            if not faults:
                whole = compose_references.is_whole(document, self._compose_files)
                found, faults = compose.servers(document, self._extended, whole)
                self._take(found, faults)
                for server in found:
                    for flag, name in MESSAGE_OF_FLAG.items():
                        node = server.config(flag)
                        if node is not None:
                            self._config(node, name)
        elif kubernetes.is_manifest(document):
            if not kubernetes.is_custom(document) or kubernetes.has_plain_pods(document):
                self._workload(document, surroundings)
                return
            self._result.add(kubernetes_values.bounds(document))
            kind, version = document.data["kind"], document.data["apiVersion"]
            known = "check what `oc process` prints" if kind == "Template" else None
            advice = known or f"{version} is not Kubernetes' own"
            self._result.add([document.fault(f"{kind} was not checked", advice, "kind").as_note()])
        else:
            keys = document.data if isinstance(document.data, dict) else {}
            unfinished = recognition.unfinished(document, keys)
            if unfinished:
                self._result.add([unfinished])
            elif not _OF_MONITORING & set(keys):
                message, advice = "neither a compose file nor a Kubernetes object", "it was not checked"
                self._result.add([Finding(document.path, 1, message, advice).as_note()])

    def _workload(self, document: yaml_file.Document, surroundings: kubernetes.Surroundings) -> None:
        misfits = list(kubernetes.schema_findings(document, self._kubernetes_version))
        self._result.add(misfits)
        if misfits:
            self._misfits.append(document)
            return
        self._result.add(kubernetes_values.findings(document))
        keys = kubernetes.pod_keys(document)
        pod = yaml_file.get(document.data, *keys)
        if isinstance(pod, dict) and "containers" in pod:
            self._result.add(kubernetes_values.pod_findings(document, pod, keys))
        if document.data["kind"] == "Ingress":
            self._result.add(ingress_rules.findings(document, surroundings.objects))
        else:
            self._take(*containers.servers(document, surroundings))

    def _held(self, document: yaml_file.Document) -> list[HeldText]:
        with self._result.guard(document.path):
            return list(kubernetes.texts(document))
        return []  # the guard has kept an error

    def _texts(self, texts: list[HeldText]) -> None:
        """Check the texts that are configurations by a server's flag, or by the names of their keys."""
        named = {
            id(root): name
            for server in self.servers
            for flag, name in MESSAGE_OF_FLAG.items()
            if (root := server.config(flag)) is not None
        }
        for text in texts:
            root, name = text.root, named.get(id(text.root))
            if name is None and deployment_files.kind(Path(text.key)) != "text":
                continue
            if name is None and not recognition.is_meant(text.key, root.source):
                self._result.add([recognition.foreign(root.path, root.line)])
                continue
            self._result.add(text.faults)
            if not text.faults:
                with self._result.guard(root.path):
                    self._config(root, name or recognition.message_name(Path(text.key), root))

    def _cluster(self, manifests: list[yaml_file.Document], surroundings: kubernetes.Surroundings) -> None:
        deployments = cluster.deployments(manifests)
        if all(d.data["kind"] == "Pod" for d in deployments):
            return  # what the others mean is elsewhere
        if any(d in self._misfits for d in deployments):
            return
        if any(kubernetes.is_opaque(document) for document in manifests):
            return  # pods that the others may mean
        for document in manifests:
            if document not in self._misfits:
                with self._result.guard(document.path):
                    self._result.add(cluster.findings(document, deployments, surroundings, self.servers))

    def _take(self, found: list[DescribedServer], faults: list[Finding]) -> None:
        self.servers.extend(found)
        self._result.add(faults)
