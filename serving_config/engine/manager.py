"""Which versions are loaded: follows the file system and the list of models, one background thread.

A new version is loaded and warmed up before an older one is let go; an unloaded one answers the requests it
has begun and no others. The states are those of get_model_status.proto.
"""

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc

from ..server.models_config import translated, wanted_versions
from ..server.protocol import (
    GetModelStatusResponse,
    ModelConfig,
    ModelServerConfig,
    ModelSpec,
    ModelVersionStatus,
)
from . import reload, rpc_error
from .model.servable import Servable

log = logging.getLogger(__name__)

_STEP_SECONDS = 0.2

State = ModelVersionStatus.State
START, LOADING, AVAILABLE, UNLOADING, END = (
    State.Value(name) for name in ("START", "LOADING", "AVAILABLE", "UNLOADING", "END")
)


@dataclass
class Version:
    """One version of a model, from its first sighting to its end."""

    path: Path
    state: int = START
    wanted: bool = True
    error: rpc_error.RpcError | None = None
    servable: Servable | None = None
    requests: int = 0


class Manager:
    """Loads, unloads and looks up versions.

    Args:
        load: makes a servable, warmed up, from name, version and path; raises RpcError.
        poll_seconds: how often the models' folders are read; 0 for once per list of models, and once more when
            a version that is wanted again has been unloaded.
        models_root: what base paths under /models stand for where they do not exist.
    """

    def __init__(
        self, load: Callable[[str, int, Path], Servable], poll_seconds: float, models_root: Path | None = None
    ) -> None:
        self._load = load
        self._poll_seconds = poll_seconds or None
        self._models_root = models_root
        self._changed = threading.Condition()
        self._reload_lock = threading.Lock()
        self._wake = threading.Event()
        self._models: dict[str, ModelConfig] = {}
        self._versions: dict[str, dict[int, Version]] = {}
        self._labels: dict[str, dict[str, int]] = {}
        self._asked = self._done = 0
        self._stopping = False
        self._thread = threading.Thread(target=self._follow, name="model versions", daemon=True)
        self._thread.start()

    def reload(self, config: ModelServerConfig) -> None:
        """Replace the whole list of models; returns when every model new in it has a version available.

        Raises:
            RpcError: the list is refused and nothing has changed; or a new model did not load (UNKNOWN).
        """
        if self._models_root is not None:
            config = translated(config, self._models_root)
        with self._reload_lock:
            models = reload.check(config, self._models)
            new = [model.name for model in models.config if model.name not in self._models]
            with self._changed:
                self._labels = {
                    model.name: reload.check_labels(
                        model, self._available(model.name), self._labels.get(model.name, {})
                    )
                    for model in models.config
                }
                self._models = {model.name: model for model in models.config}
                self._asked += 1
                asked = self._asked
            self._wake.set()
            if not new:
                return
            with self._changed:
                # In steps: a signal that arrives just before a wait without end would go unnoticed.
                while not self._changed.wait_for(
                    lambda: self._done >= asked or self._stopping, _STEP_SECONDS
                ):
                    pass
                self._check_loaded(new)

    def _check_loaded(self, names: list[str]) -> None:
        failed = [name for name in names if not self._available(name)]
        if failed:
            reasons = ", ".join(
                f"{{name: {name} version: {number}}} due to error: {version.error.code.name}: {version.error}"
                for name in failed
                for number, version in sorted(self._versions.get(name, {}).items())
                if version.error
            )
            raise rpc_error.RpcError(
                grpc.StatusCode.UNKNOWN, f"{len(failed)} model(s) did not become available: {{{reasons}}}"
            )

    @contextlib.contextmanager
    def servable(self, spec: ModelSpec) -> Iterator[Servable]:
        """The servable that a request names, kept loaded while the context is open.

        Raises:
            RpcError: no name, an unknown label, or nothing available under that name and version.
        """
        with self._changed:
            version = self._find(spec)
            version.requests += 1
        try:
            assert version.servable is not None
            yield version.servable
        finally:
            with self._changed:
                version.requests -= 1
                if version.state == UNLOADING:
                    self._changed.notify_all()

    def _find(self, spec: ModelSpec) -> Version:
        if not spec.name:
            raise rpc_error.invalid_argument("ModelSpec has no name specified.")
        choice = spec.WhichOneof("version_choice")
        if choice is None:
            number = max(self._available(spec.name), default=None)
            request = f"Latest({spec.name})"
        else:
            number = spec.version.value
            if choice == "version_label":
                labels = self._labels.get(spec.name, {})
                if spec.version_label not in labels:
                    raise rpc_error.invalid_argument(
                        f"Unrecognized servable version label: {spec.version_label}"
                    )
                number = labels[spec.version_label]
            request = f"Specific({spec.name}, {number})"
        version = self._versions.get(spec.name, {}).get(number) if number is not None else None
        if version is None or version.state != AVAILABLE:
            raise rpc_error.not_found(f"Servable not found for request: {request}")
        return version

    def status(self, spec: ModelSpec) -> GetModelStatusResponse:
        """The states of one version, or of all versions that the model has had, newest first.

        Raises:
            RpcError: NOT_FOUND.
        """
        with self._changed:
            versions = dict(self._versions.get(spec.name, {}))
            if spec.WhichOneof("version_choice") == "version":
                number = spec.version.value
                if number not in versions:
                    raise rpc_error.not_found(f"Could not find version {number} of model {spec.name}")
                versions = {number: versions[number]}
            if not versions:
                raise rpc_error.not_found(f"Could not find any versions of model {spec.name}")
            response = GetModelStatusResponse()
            for number, version in sorted(versions.items(), reverse=True):
                entry = response.model_version_status.add(version=number, state=version.state)
                entry.status.SetInParent()
                if version.error:
                    entry.status.error_code = version.error.number
                    entry.status.error_message = version.error.message
            return response

    def available(self) -> dict[str, list[int]]:
        """The versions that answer now, by model."""
        with self._changed:
            return {name: sorted(self._available(name)) for name in self._models}

    def stop(self) -> None:
        """Stop following the file system. What is loaded ends with the process."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._wake.set()

    def _available(self, name: str) -> set[int]:
        versions = self._versions.get(name, {})
        return {number for number, version in versions.items() if version.state == AVAILABLE}

    def _follow(self) -> None:
        while not self._stopping:
            with self._changed:
                asked, models = self._asked, dict(self._models)
            for name in {*self._versions, *models}:
                self._reconcile(name, models.get(name))
            with self._changed:
                self._done = asked
                self._changed.notify_all()
            self._wake.wait(self._poll_seconds)
            self._wake.clear()

    def _reconcile(self, name: str, model: ModelConfig | None) -> None:
        """Load what is wanted and missing, newest first, and unload what is not, keeping one that serves."""
        wanted: dict[int, Path] = {}
        if model is not None:
            try:
                wanted = wanted_versions(model)
            except OSError as error:
                log.error("model %s: cannot read %s: %s", name, model.base_path, error.strerror)
                return
        versions = self._versions.setdefault(name, {})
        with self._changed:
            for number, path in wanted.items():
                if number not in versions or _may_load_again(versions[number]):
                    versions[number] = Version(path)
            for number, version in versions.items():
                version.wanted = number in wanted
        while not self._stopping:
            if not wanted or self._available(name) & set(wanted):
                self._unload_unwanted(name)
            waiting = [number for number in wanted if versions[number].state == START]
            if not waiting:
                return
            self._load_one(name, max(waiting))

    def _load_one(self, name: str, number: int) -> None:
        version = self._versions[name][number]
        self._set_state(version, LOADING)
        log.info("loading %s version %d from %s", name, number, version.path)
        try:
            version.servable = self._load(name, number, version.path)
        except Exception as error:
            unforeseen = rpc_error.from_number(13, f"{type(error).__name__}: {error}")
            version.error = error if isinstance(error, rpc_error.RpcError) else unforeseen
            log.error("%s version %d did not load: %s", name, number, error)
            self._set_state(version, END)
        else:
            log.info("serving %s version %d", name, number)
            self._set_state(version, AVAILABLE)

    def _unload_unwanted(self, name: str) -> None:
        for number, version in self._versions[name].items():
            if version.state == AVAILABLE and not version.wanted:
                self._set_state(version, UNLOADING)
                log.info("unloading %s version %d", name, number)
                threading.Thread(target=self._unload, args=(version,), daemon=True).start()

    def _unload(self, version: Version) -> None:
        """Free a version once the requests that it has begun are answered."""
        with self._changed:
            self._changed.wait_for(lambda: version.requests == 0)
            servable, version.servable = version.servable, None
        assert servable is not None
        servable.close()
        self._set_state(version, END)
        if version.wanted:
            self._wake.set()

    def _set_state(self, version: Version, state: int) -> None:
        with self._changed:
            version.state = state
            self._changed.notify_all()


def _may_load_again(version: Version) -> bool:
    """Whether it was unloaded, or failed and has not been asked for since: a failure is not tried twice."""
    return version.state == END and not (version.wanted and version.error)
