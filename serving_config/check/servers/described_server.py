"""One tensorflow_model_server as a deployment file describes it, and what must hold between its parts."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from ..configs import model_rules
from ..configs.text_proto import Node
from ..finding import Finding, joined
from . import server_flags
from .server_flags import Flags

ENTRY_POINT = "tensorflow_model_server"
# A development image, such as 2.19.0-devel, has no entry point: it is there to build the server.
STOCK_IMAGE = re.compile(r"^(?:docker\.io/)?tensorflow/serving(?!:\S*devel)(?::|@|$)")
MESSAGE_OF_FLAG = {
    "model_config_file": "ModelServerConfig",
    "batching_parameters_file": "BatchingParameters",
    "monitoring_config_file": "MonitoringConfig",
    "ssl_config_file": "SSLConfig",
    "platform_config_file": "PlatformConfigMap",
}
LEAST_MEMORY = 128 * 2**20
MEMORY_ADVICE = "give it room for its models: about 1Gi for each version of VGG-16 and 0.2Gi for each call"
_NOT_IN_THE_IMAGE = re.compile(r"\b(curl|wget|grpc_health_probe|python3?)\b")
_PROBED_PORT = re.compile(r"/dev/tcp/[^/]+/(\d+)")
_PROBED_MODEL = re.compile(r"/v1/models/([\w.-]+)")


@dataclass(frozen=True)
class Mount:
    """A file or folder of the container. `source` is where it lies here, None where that cannot be known."""

    target: str
    source: Path | None
    line: int

    def holds(self, path: str) -> bool:
        """Whether the container's `path` is this mount's target or lies below it."""
        return PurePosixPath(path).is_relative_to(self.target)

    def locate(self, path: str) -> Path | None:
        """Where the container's `path` lies here."""
        return self.source and self.source / PurePosixPath(path).relative_to(self.target)


@dataclass
class DescribedServer:
    """One server: its flags, what its container holds, and how it is probed."""

    path: Path
    line: int
    image: str
    flags: Flags
    mounts: list[Mount] = field(default_factory=list)
    grpc_probes: list[int] = field(default_factory=list)
    scripts: list[tuple[str, int]] = field(default_factory=list)
    complete: bool = True
    """False where the files that make up the container are not all known, so that none can be missed."""

    @property
    def port(self) -> str:
        """The gRPC port, as text."""
        return self.flags.value("port", server_flags.DEFAULT_PORT)

    @property
    def rest_port(self) -> str:
        """The REST port, as text; `0` where it is off."""
        return self.flags.value("rest_api_port", "0")

    @property
    def listens(self) -> str:
        """Where it listens, in words."""
        return f"the server listens on {self.port} (gRPC) and {self.rest_port} (REST)"

    @property
    def encrypted(self) -> bool:
        """Whether the gRPC port has TLS."""
        return "ssl_config_file" in self.flags.given

    def mount(self, path: str) -> Mount | None:
        """The innermost mount that holds the container's `path`."""
        return max((m for m in self.mounts if m.holds(path)), key=lambda m: len(m.target), default=None)

    def holds_part_of(self, path: str) -> bool:
        """Whether something is mounted below the container's `path`, such as one version of a model."""
        return any(PurePosixPath(mount.target).is_relative_to(path) for mount in self.mounts)

    def file(self, flag: str) -> Path | None:
        """The file here that a flag names in the container, where it is known."""
        mount = self.mount(self.flags.value(flag)) if flag in self.flags.given else None
        return mount.locate(self.flags.value(flag)) if mount else None

    def fault(self, message: str, advice: str, line: int | None = None) -> Finding:
        """A finding on a line of the file, by default that on which the server begins."""
        return Finding(self.path, self.line if line is None else line, message, advice)


def findings(server: DescribedServer, models: list[Node] | None) -> Iterator[Finding]:
    """Contradictions within one server; `models` are those of its configuration file, None where unknown."""
    yield from server_flags.contradictions(server.flags)
    yield from _image(server)
    yield from _files(server)
    yield from _probes(server, models)
    if models is not None:
        yield from _models(server, models)
    elif "model_base_path" in server.flags.given and "model_config_file" not in server.flags.given:
        base, line = server.flags.value("model_base_path"), server.flags.at("model_base_path")
        yield from _base_path(server, base, server.flags.value("model_name"), line)


def _image(server: DescribedServer) -> Iterator[Finding]:
    tag = server.image.rpartition("/")[2].partition(":")[2]
    moves = tag.partition("-")[0] in ("", "latest", "nightly")  # latest-gpu too
    if moves and not any(sign in server.image for sign in "@$") and server.image:
        advice = "the server would change under you: name a version, such as tensorflow/serving:2.20.0"
        yield server.fault(f"the image {server.image} has no version", advice)


def _files(server: DescribedServer) -> Iterator[Finding]:
    for name in server_flags.FILE_FLAGS:
        target, line = server.flags.value(name), server.flags.at(name)
        if name not in server.flags.given or not server.complete or target.startswith("gs://"):
            continue
        mount, here = server.mount(target), server.file(name)
        if mount is None:
            yield server.fault(f"--{name}: nothing puts {target} into the container", "mount it", line)
        elif here is not None and not here.exists():
            yield server.fault(f"{here} is not there", f"--{name} needs it: write or render it", mount.line)


def _probes(server: DescribedServer, models: list[Node] | None) -> Iterator[Finding]:
    for line in server.grpc_probes:
        if not server.flags.on("enable_grpc_healthcheck_service"):
            advice = "it would never succeed: add --enable_grpc_healthcheck_service=true"
            yield server.fault("a gRPC probe of a server without the health service", advice, line)
        if server.encrypted:
            advice = "Kubernetes' gRPC probes cannot do TLS: probe the REST port from inside"
            yield server.fault("a gRPC probe of a server with TLS", advice, line)
    names = None if models is None else [model.value("name") for model in models]
    for script, line in server.scripts:
        missing = _NOT_IN_THE_IMAGE.search(script)
        if missing and server.complete and STOCK_IMAGE.match(server.image):
            advice = "it would never succeed: use bash and /dev/tcp, or build an image that has it"
            yield server.fault(f"the image has no {missing[0]} for the health check", advice, line)
        for port in _PROBED_PORT.findall(script):
            if port not in (server.port, server.rest_port):
                yield server.fault(f"the health check asks port {port}", server.listens, line)
        for name in _PROBED_MODEL.findall(script):
            if names is not None and name not in names:
                advice = f"it would never succeed: the models are {joined(names)}"
                yield server.fault(f"the health check asks for the model {name}", advice, line)


def _models(server: DescribedServer, models: list[Node]) -> Iterator[Finding]:
    line = server.flags.at("model_config_file")
    allowed = server.flags.on("allow_version_labels_for_unavailable_models")
    if any(model.all("version_labels") for model in models) and not allowed:
        advice = "the server stops at start: add --allow_version_labels_for_unavailable_models=true"
        yield server.fault("labels on versions that are not loaded yet", advice, line)
    for model in models:
        base = model.value("base_path")
        if base and "://" not in base:
            yield from _base_path(server, base, model.value("name"), line)


def _base_path(server: DescribedServer, base: str, name: str, line: int) -> Iterator[Finding]:
    remote = model_rules.base_path_fault(base)
    if remote:
        yield server.fault(*remote, line)
    elif (
        "://" not in base
        and "$" not in base
        and server.complete
        and STOCK_IMAGE.match(server.image)
        and server.mount(base) is None
        and not server.holds_part_of(base)
    ):
        message = f"nothing puts {base} (model {name}) into the container"
        yield server.fault(message, "the server would wait for it without end: mount it there", line)


def models_of(root: Node | None) -> list[Node] | None:
    """The models of a configuration's tree, or None where there is no tree."""
    return None if root is None else model_rules.models(root)
