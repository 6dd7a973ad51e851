"""Move version labels on running servers without losing a request.

TensorFlow Serving replaces its whole list of models on a reload, refuses a label on a version that is not yet
AVAILABLE, and hangs for good on a base path that does not exist. So: check the disk and that the file describes
the server, add the version, wait until it is AVAILABLE, move the label, and only then let go of what lost its
last label. Of several servers, all take each of these steps before one takes the next: wherever a caller is sent, the
version that it was told of is there.

The version that `stable` named before keeps a label of its own, `previous`: it stays loaded, and a rollback
finds it after any restart.
"""

import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ..errors import ServingConfigError
from ..server import models_config, translation
from ..server.api import ModelService, VersionStatus
from ..server.protocol import ModelServerConfig
from . import preconditions as rollout_preconditions
from .config_file import ConfigFile

STABLE, CANARY, PREVIOUS = "stable", "canary", "previous"
# A withdrawn version is forgotten at the next look at the disk, and that may have just begun.
_POLLS = 2.5


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


def kept_versions(listed: Iterable[int], before: Mapping[str, int], after: Mapping[str, int]) -> set[int]:
    """The versions that stay loaded: those that have a label now, and those that never had one."""
    now = set(after.values())
    return (set(listed) | now) - (set(before.values()) - now)


class Rollout:
    """The labels of one model on its servers, and in the file that they start from.

    Args:
        poll_seconds: how often the servers look at the disk (`--file_system_poll_wait_seconds`).
        model: its name; None for the only one in the file.

    Raises:
        ServingConfigError: a base path of any model in the file is missing or holds nothing to serve: a
            reload would hang the server.
    """

    def __init__(
        self,
        services: Sequence[ModelService],
        file: ConfigFile,
        model: str | None,
        models_root: models_config.ModelsRoot,
        timeout: float,
        poll_seconds: float = 1.0,
    ) -> None:
        self._services = services
        self._poll_seconds = poll_seconds
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
        for service in self._services:
            rollout_preconditions.check(service, self._file, self.name, labels)
        available = set(self._services[0].available(self.name)) | wanted
        self._load(wanted)
        policy = self._file.model(self.name).model_version_policy
        listed = set(policy.specific.versions) | wanted
        kept = kept_versions(policy.specific.versions, self.labels, labels)
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
            labels = [label for label, version in sorted(self.labels.items()) if version == min(missing)]
            advice = f"there is {', '.join(map(str, on_disk)) or 'none'}"
            if labels:
                advice += (
                    f"; {self._file.path} has it as {labels[0]}: export it, or take that label out first"
                )
            raise ServingConfigError(f"{self.name} version {min(missing)} is not in {self._folder}: {advice}")

    def _load(self, versions: set[int]) -> None:
        missing = {service: versions - set(service.available(self.name)) for service in self._services}
        missing = {service: numbers for service, numbers in missing.items() if numbers}
        if not missing:
            return
        model = self._file.model(self.name)
        policy = model.model_version_policy
        if policy.WhichOneof("policy_choice") != "specific":
            asked_for = models_config.wanted_versions(model, self._folder) if self._folder else {}
            for service, numbers in missing.items():
                for version in sorted(numbers):
                    if version not in asked_for:
                        raise ServingConfigError(
                            f"{self.name} version {version} is not loaded, and model_version_policy in "
                            f"{self._file.path} does not ask for it: list its versions with specific {{ versions: N }}"
                        )
                    service.wait_available(self.name, version, self._timeout)
            return
        listed = set(policy.specific.versions)
        seen = {service: {s.version: s for s in service.versions(self.name)} for service in missing}
        absent = set().union(*missing.values())
        # A label on a version that is not AVAILABLE would fail the reload.
        labels = {label: version for label, version in self.labels.items() if version not in absent}
        without = self._with(labels, listed - absent or listed)
        self._withdraw_failed(without, missing, seen)
        config = self._with(labels, listed | versions)
        try:
            for service in missing:
                self._reload(config, service)
            for service, numbers in missing.items():
                for version in sorted(numbers):
                    service.wait_available(self.name, version, self._timeout, seen[service].get(version))
        except (ServingConfigError, KeyboardInterrupt):
            for service in missing:
                self._reload(without, service)
            raise

    def _withdraw_failed(
        self,
        without: ModelServerConfig,
        missing: Mapping[ModelService, set[int]],
        seen: Mapping[ModelService, Mapping[int, VersionStatus]],
    ) -> None:
        """Have versions that failed before forgotten: TensorFlow Serving does not try one again that it still lists.

        Args:
            without: the list without the versions that are missing.
        """
        failed = {
            service: {n for n in numbers if n in seen[service] and seen[service][n].error}
            for service, numbers in missing.items()
        }
        again = sorted(set().union(*failed.values()))
        if not again:
            return
        seconds = _POLLS * self._poll_seconds
        print(
            f"note: {self.name} version {again[0]} has failed before: it is withdrawn, and asked for again after "
            f"{seconds:g} s",
            file=sys.stderr,
            flush=True,
        )
        for service, numbers in failed.items():
            if numbers:
                self._reload(without, service)
        time.sleep(seconds)

    def _reload(self, config: ModelServerConfig, *services: ModelService) -> None:
        """On these servers, or on all of them."""
        self._file.check_unchanged()
        for service in services or self._services:
            root = translation.models_root(service.address)
            service.reload(models_config.translated(config, root) if root else config)

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
