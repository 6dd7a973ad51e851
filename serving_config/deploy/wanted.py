"""slimserve.yaml, the wanted state of a deployment: read, changed where an option names something, comments kept."""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from ..check.deployments import wanted_state, yaml_file
from ..errors import ServingConfigError
from ..server import tls
from .contents import templates
from .plan import STOCK_IMAGE, Claim, Model, Plan

FILE = wanted_state.FILE
_NEW = """\
# What this deployment is to be. `slimserve render` makes the other files of this folder from it, and changes here what
# an option names; so do `canary`, `promote` and `rollback`. After a change by hand, run `slimserve render` again.
# Comments stay. What is of your own goes into docker-compose.override.yml and into patches/*.yaml for kustomize.
name: serving
# What is written: docker, kubernetes.
targets: []
image: {image}
models: {{}}
# The least number of replicas on Kubernetes; there may be up to 3 times as many.
replicas: 2
# The CPU limit of a replica, which is also the number of its threads.
cpu: "2"
"""


class Wanted:
    """The wanted state of the deployment in the folder `out`."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.is_new = not self.path.exists()
        if self.is_new:
            self._tree = templates.parse(_NEW.format(image=STOCK_IMAGE))
        else:
            self._check()
            self._tree = templates.parse(self.path.read_text(encoding="utf-8"))

    @property
    def path(self) -> Path:
        """The file."""
        return self.out / FILE

    @property
    def text(self) -> str:
        """The file's content, with the changes."""
        return templates.dump(self._tree)

    @property
    def targets(self) -> list[str]:
        """What is written."""
        return [str(target) for target in self._tree["targets"]]

    @property
    def model_names(self) -> list[str]:
        """The names of the models."""
        return [str(name) for name in self._tree["models"]]

    def folder(self, name: str) -> Path:
        """The folder of a model's versions."""
        return self._here(self._tree["models"][name]["folder"])

    def versions(self, name: str) -> list[int]:
        """The versions of a model that are to be loaded."""
        return [int(version) for version in self._tree["models"][name]["versions"]]

    def labels(self, name: str) -> dict[str, int]:
        """The labels of a model."""
        return {str(k): int(v) for k, v in self._tree["models"][name]["labels"].items()}

    def add_targets(self, targets: Sequence[str]) -> None:
        """Write these as well."""
        for target in targets:
            if target not in self._tree["targets"]:
                self._tree["targets"].append(target)
        self._tree["targets"].fa.set_flow_style()

    def set(self, key: str, value: Any) -> None:
        """Give a field a value; False and None take it away."""
        if value is None or value is False:
            self._tree.pop(key, None)
        elif key == "cpu":
            self._tree[key] = DoubleQuotedScalarString(value)
        else:
            self._tree[key] = value

    def set_tls(self, key: Path, certificate: Path, client_ca: Path | None) -> None:
        """Name the PEM files of TLS."""
        files = {"key": key, "certificate": certificate, "client_ca": client_ca}
        self._tree["tls"] = CommentedMap({k: self._seen(v) for k, v in files.items() if v is not None})

    def set_model(self, model: Model) -> None:
        """Add a model, or give one that is there another folder."""
        models = self._tree["models"]
        if model.name in models:
            models[model.name]["folder"] = self._seen(model.folder)
            return
        if not models:
            models.fa.set_block_style()
        models[model.name] = CommentedMap(folder=self._seen(model.folder))
        models[model.name]["versions"] = CommentedSeq()
        models[model.name]["versions"].fa.set_flow_style()
        models[model.name]["labels"] = CommentedMap()
        models[model.name]["labels"].fa.set_flow_style()
        self.set_versions(model.name, model.versions, model.labels)

    def set_versions(self, name: str, versions: Sequence[int], labels: Mapping[str, int]) -> None:
        """Give a model these versions and labels."""
        model = self._tree["models"][name]
        if list(model["versions"]) != list(versions):
            model["versions"][:] = list(versions)
        for label in [label for label in model["labels"] if label not in labels]:
            del model["labels"][label]
        model["labels"].update(labels)

    def plan(self) -> Plan:
        """What the file asks for.

        Raises:
            ServingConfigError: its parts do not fit together, or a file that it names cannot be read.
        """
        tree = self._tree
        models = tuple(
            Model(name, self.folder(name), tuple(sorted(self.versions(name))), self.labels(name))
            for name in self.model_names
        )
        claim = tree.get("claim")
        return Plan(
            models=models,
            name=str(tree["name"]),
            replicas=int(tree["replicas"]),
            image=str(tree["image"]),
            built_image=str(tree.get("built_image") or f"{tree['name']}-models"),
            claim=None if claim is None else Claim(**{str(k): str(v) for k, v in claim.items()}),
            copy_from=str(tree["copy_from"]) if "copy_from" in tree else None,
            kserve=bool(tree.get("kserve")),
            cpu=str(tree["cpu"]),
            memory_asked=str(tree["memory"]) if "memory" in tree else None,
            baked=bool(tree.get("baked")),
            gpus=int(tree.get("gpus", 0)),
            batching=bool(tree.get("batching")),
            monitoring=bool(tree.get("monitoring")),
            tls=self._tls(),
        )

    def _tls(self) -> tls.ServerTls | None:
        files = self._tree.get("tls")
        if files is None:
            return None
        texts = {name: self._here(path) for name, path in files.items()}
        try:
            return tls.ServerTls(
                key=_read(texts["key"]),
                certificate=_read(texts["certificate"]),
                client_ca=_read(texts["client_ca"]) if "client_ca" in texts else None,
            )
        except ServingConfigError as error:
            rendered = self.out / "tls" / "ssl.config"
            if not rendered.is_file():
                raise
            print(f"note: {error}: {rendered} stays as it is", file=sys.stderr)
            return tls.read(rendered)

    def _check(self) -> None:
        documents, faults = yaml_file.read(self.path)
        for document in documents:
            faults.extend(wanted_state.findings(document))
        nothing = f"{self.path} states nothing: bring it back, or remove it and render anew"
        if faults or len(documents) != 1:
            raise ServingConfigError(str([*faults, nothing][0]))

    def _seen(self, path: Path) -> str:
        """A path as slimserve.yaml names it: one that was given relative stays so, for the tree may move as a whole."""
        return str(path) if path.is_absolute() else Path(os.path.relpath(path, self.out)).as_posix()

    def _here(self, path: str) -> Path:
        return Path(path) if Path(path).is_absolute() else Path(os.path.normpath(self.out / path))


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except OSError as error:
        raise ServingConfigError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ServingConfigError(f"{path} is not PEM text: convert it, `openssl x509 -inform der`") from error
