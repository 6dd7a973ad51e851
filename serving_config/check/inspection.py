"""Inspect a set of files together: what each is, and what must hold between them."""

import functools
from pathlib import Path, PurePosixPath

from ..errors import ServingConfigError
from ..server.models_config import MODELS, counterpart
from . import files as deployment_files
from . import recognition
from .configs import config_rules, messages, model_rules, text_proto
from .configs.text_proto import Node
from .deployments import kubernetes
from .documents import Documents
from .finding import Finding, Result, shorten
from .servers import described_models, described_server, probes
from .servers.described_server import DescribedServer

_RULES = {
    "BatchingParameters": config_rules.batching,
    "MonitoringConfig": config_rules.monitoring,
    "SSLConfig": config_rules.ssl,
}


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
    others = [file for file in files if file not in model_configs and _is_other(file)]
    files = [file for file in files if file not in others]
    if not files:
        raise ServingConfigError(
            f"{others[0]} is of a kind that is not read: name a models.config, a compose file or a manifest"
        )
    roles = {path.resolve(): "ModelServerConfig" for path in model_configs}
    named = {path.resolve() for path in chosen if path.is_file()}
    run = _Inspection(Result(files), models_root, roles, kubernetes_version, named)
    run.result.add(recognition.foreign(file, 1) for file in others)
    run.all()
    run.result.findings = sorted(set(run.result.findings))
    return run.result


def _is_other(file: Path) -> bool:
    """Whether a file is of a kind that is not read, and no list of models that was written as JSON or TOML."""
    if not deployment_files.is_other(file):
        return False
    is_data = file.suffix in (".json", ".toml")
    return not (is_data and recognition.is_meant(file.name, file.read_bytes().decode("utf-8", "replace")))


class _Inspection:
    def __init__(
        self,
        result: Result,
        models_root: Path | None,
        roles: dict[Path, str],
        kubernetes_version: str,
        named: set[Path],
    ):
        self.result = result
        self.models_root = models_root
        self.roles = roles
        self.named = named
        self.trees: dict[Path, Node | None] = {}
        self.documents = Documents(result, kubernetes_version, self.message)

    @property
    def servers(self) -> list[DescribedServer]:
        return self.documents.servers

    def all(self) -> None:
        self.documents.check()
        for found in self.servers:
            with self.result.guard(found.path):
                self.named.update(mount.source.resolve() for mount in found.mounts if mount.source)
                for flag, name in described_server.MESSAGE_OF_FLAG.items():
                    file = found.file(flag)
                    if file is not None:
                        role = self.roles.setdefault(file.resolve(), name)
                        if role != name:
                            message = f"--{flag} names {file.name}, which is a {role} elsewhere"
                            advice = f"name the {name}, or mount it there"
                            self.result.add([found.fault(message, advice, found.flags.at(flag))])
                        # Whatever its suffix, where it lies among the files.
                        here = file.is_file() and file.resolve().is_relative_to(found.path.parent.resolve())
                        if here and file.resolve() not in {each.resolve() for each in self.result.files}:
                            self.result.files.append(file)
        for path in self.result.files:
            if deployment_files.kind(path) not in ("yaml", "docker"):
                with self.result.guard(path):
                    self.text(path)
        for found in self.servers:
            with self.result.guard(found.path):
                config = self.said(found, "model_config_file")
                monitoring = self.said(found, "monitoring_config_file")
                self.result.add(described_server.findings(found))
                self.result.add(probes.findings(found, config, monitoring))
                model = described_models.of_flags(found)
                models = [model] if model else config.all("model_config_list", "config") if config else []
                self.result.add(described_models.findings(found, models))
                if model:
                    place = functools.partial(self.place, found)
                    self.result.add(model_rules.of_model(model, place, found.loader))

    def tree(self, path: Path) -> Node | None:
        key = path.resolve()
        if key not in self.trees:
            self.trees[key], faults = text_proto.read_file(path)
            if path in self.result.files:
                self.result.add(faults)
        return self.trees[key]

    def said(self, server: DescribedServer, flag: str) -> Node | None:
        """What the file of a flag says, None where that is unknown, or not enough is as its message wants it."""
        file, tree, name = server.file(flag), server.config(flag), described_server.MESSAGE_OF_FLAG[flag]
        if file is not None and file.is_file():
            tree, name = self.tree(file), self.roles[file.resolve()]
        if tree is None:
            return None
        models = tree.all("model_config_list", "config")
        is_told = bool(models) and all(model.first("name") for model in models)
        return tree if is_told or not messages.conform(tree, messages.message(name)) else None

    def is_meant(self, path: Path) -> bool:
        """Whether the file is meant for a server: others have files of these suffixes too."""
        if path.resolve() in self.named or path.resolve() in self.roles:
            return True
        return recognition.is_meant(path.name, path.read_bytes().decode("utf-8", "replace"))

    def text(self, path: Path) -> None:
        for flag in described_server.OTHER_FILES:
            files = [found.file(flag) for found in self.servers]
            if any(path.resolve() == (file and file.resolve()) for file in files):
                advice = f"--{flag} names it, which is no message that is known"
                self.result.add([Finding(path, 1, "it was not looked into", advice, is_note=True)])
                return
        if not self.is_meant(path):
            self.result.add([recognition.foreign(path, 1)])
            return
        root = self.tree(path)
        if root is not None:
            self.message(root, self.roles.get(path.resolve()) or recognition.message_name(path, root))

    def message(self, root: Node, name: str | None) -> None:
        if name is None:
            advice = f"name it after what it is: {', '.join(f'{p}.config' for p in recognition.PREFIXES)}"
            self.result.add([root.fault(recognition.UNKNOWN, advice)])
            return
        faults = messages.conform(root, messages.message(name))
        self.result.add(faults)
        if faults:
            return  # the rules below read well-formed messages
        if name == "ModelServerConfig":
            here = functools.partial(self.locate, config=root)
            self.result.add(model_rules.findings(root, here, self.loader(root)))
        elif name in _RULES:
            self.result.add(_RULES[name](root))

    def place(self, server: DescribedServer, base: str) -> Path | None:
        """Where the folder of a model that a server names by flags lies here."""
        return self.below_root(base) or described_models.located(server, base)

    def below_root(self, base: str) -> Path | None:
        return self.models_root and counterpart(PurePosixPath(base), self.models_root)

    def named_by(self, config: Node) -> list[DescribedServer]:
        """The servers that take their models from a configuration, a file or a part of a manifest."""
        flag, path = "model_config_file", config.path.resolve()
        files = [(found, found.file(flag)) for found in self.servers]
        named = [found for found, file in files if file is not None and file.resolve() == path]
        return named + [found for found in self.servers if found.config(flag) == config]

    def loader(self, config: Node) -> model_rules.Loader:
        """What is known of those that load the models of a configuration, where they agree."""
        loaders = {found.loader for found in self.named_by(config)}
        return loaders.pop() if len(loaders) == 1 else model_rules.Loader()

    def locate(self, base: str, config: Node) -> Path | None:
        below = self.below_root(base)
        if below is not None:
            return below
        servers = self.named_by(config)
        places = [here for found in servers if (here := described_models.located(found, base)) is not None]
        if places:
            return next((here for here in places if here.exists()), places[0])
        if any(found.prepares or found.holds_part_of(base) for found in servers):
            return None
        usual = counterpart(PurePosixPath(base), MODELS)
        if usual is None or Path(base).exists():
            return Path(base)
        if MODELS.is_dir():
            return usual
        self.result.notes.append(
            f"{shorten(config.path)}: {base} was not looked up; --models-root says which folder /models is"
        )
        return None
