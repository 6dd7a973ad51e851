"""Move version labels on a running server without losing a request.

TensorFlow Serving replaces its whole list of models on a reload, refuses a label on a version that is not yet
AVAILABLE, and hangs for good on a base path that does not exist. So: check the disk and that the file describes
the server, add the version, wait until it is AVAILABLE, move the label, and only then let go of what lost its
last label.

The version that `stable` named before keeps a label of its own, `previous`: it stays loaded, and a rollback
finds it after any restart.
"""

from dataclasses import dataclass
from pathlib import Path

from .. import models_config, translation
from ..errors import ServingConfigError
from ..protocol import ModelServerConfig
from ..server_api import ModelService
from . import preconditions as rollout_preconditions
from .config_file import ConfigFile

STABLE, CANARY, PREVIOUS = "stable", "canary", "previous"


@dataclass(frozen=True)
class Outcome:
    """What came of it.

    Attributes:
        unloaded: the versions that were AVAILABLE and are let go, in rising order: those that lost their last
            label, and those that the file does not list.
        unpinned: the version that callers get who name neither a label nor a version: the newest that stays.
    """

    unloaded: list[int]
    unpinned: int


class Rollout:
    """The labels of one model on one server, and in the file that the server starts from.

    Args:
        model: its name; None for the only one in the file.
        models_root: what base paths under /models stand for on this machine.

    Raises:
        ServingConfigError: a base path of any model in the file is missing or holds nothing to serve: a
            reload would hang the server.
    """

    def __init__(
        self, service: ModelService, file: ConfigFile, model: str | None, models_root: Path, timeout: float
    ) -> None:
        self._service = service
        self._file = file
        self._timeout = timeout
        self.name = file.model(model).name
        models_config.check_on_disk(file.config, models_root)
        base_path = file.model(model).base_path
        remote = models_config.is_remote(base_path)
        self._folder = None if remote else models_config.on_this_machine(base_path, models_root)

    @property
    def labels(self) -> dict[str, int]:
        """The labels as the file has them."""
        return dict(self._file.model(self.name).version_labels)

    def assign(self, labels: dict[str, int]) -> Outcome:
        """Give the model exactly these labels, loading versions that are not loaded yet.

        Versions that the file lists and that never had a label stay loaded: callers may pin their number.

        Raises:
            ServingConfigError: a version is not on disk, does not load, the file does not describe the server
                or was changed meanwhile, or the server refuses; the server and the file keep the labels they
                had.
        """
        wanted = set(labels.values())
        self._check_on_disk(wanted)
        rollout_preconditions.check(self._service, self._file, self.name, labels)
        available = set(self._service.available(self.name)) | wanted
        self._load(wanted)
        policy = self._file.model(self.name).model_version_policy
        listed = set(policy.specific.versions) | wanted
        kept = listed - (set(self.labels.values()) - wanted)
        config = self._with(labels, listed)
        self._reload(config)
        if kept != listed:
            config = self._with(labels, kept)
            self._reload(config)
        self._file.save(config)
        if policy.WhichOneof("policy_choice") != "specific":
            kept = available
        return Outcome(sorted(available - kept), max(available & kept))

    def _check_on_disk(self, versions: set[int]) -> None:
        if self._folder is None:
            return
        on_disk = models_config.version_folders(self._folder)
        missing = versions - set(on_disk)
        if missing:
            raise ServingConfigError(
                f"{self.name} version {min(missing)} is not in {self._folder}: there is "
                f"{', '.join(map(str, on_disk)) or 'none'}"
            )

    def _load(self, versions: set[int]) -> None:
        missing = versions - set(self._service.available(self.name))
        if not missing:
            return
        policy = self._file.model(self.name).model_version_policy
        if policy.WhichOneof("policy_choice") != "specific":
            raise ServingConfigError(
                f"{self.name} version {min(missing)} is not loaded, and model_version_policy in {self._file.path} "
                "does not ask for it: list its versions with specific { versions: N }"
            )
        seen = {status.version: status for status in self._service.versions(self.name)}
        self._reload(self._with(self.labels, set(policy.specific.versions) | versions))
        try:
            for version in sorted(missing):
                self._service.wait_available(self.name, version, self._timeout, seen.get(version))
        except (ServingConfigError, KeyboardInterrupt):
            self._reload(self._file.config)
            raise

    def _reload(self, config: ModelServerConfig) -> None:
        self._file.check_unchanged()
        root = translation.models_root(self._service.address)
        self._service.reload(models_config.translated(config, root) if root else config)

    def _with(self, labels: dict[str, int], versions: set[int]) -> ModelServerConfig:
        """The file's list with other labels and, where it names them one by one, other versions of this model."""
        config = ModelServerConfig()
        config.CopyFrom(self._file.config)
        model = next(model for model in config.model_config_list.config if model.name == self.name)
        model.ClearField("version_labels")
        for label, version in labels.items():
            model.version_labels[label] = version
        policy = model.model_version_policy
        if policy.WhichOneof("policy_choice") == "specific":
            policy.specific.versions[:] = sorted(versions)
        return config
