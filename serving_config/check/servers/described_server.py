"""One tensorflow_model_server as a deployment file describes it, and what must hold between its parts."""

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from ..configs.model_rules import Loader
from ..configs.text_proto import Node
from ..finding import Finding, joined
from . import images, server_flags
from .environment import UNKNOWN
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
OTHER_FILES = ("tensorflow_session_config_file", "thread_pool_factory_config_file")
"""Flags that name files of messages that are not known here."""
CREDENTIALS = "GOOGLE_APPLICATION_CREDENTIALS"
LEAST_MEMORY = 128 * 2**20
MEMORY_ADVICE = "give it room for its models: about 1Gi for each version of VGG-16 and 0.2Gi for each call"


@dataclass(frozen=True)
class Mount:
    """A file or folder of the container. `source` is where it lies here, None where that cannot be known."""

    target: str
    source: Path | None
    line: int
    is_file: bool = False
    """Whether it is known to be a file, below which nothing can lie."""
    config: Node | None = None
    """What it says, where it is a configuration that a manifest holds."""
    is_copy: bool = False
    """Whether it is added to what the image has there; a volume hides that."""
    stays_empty: bool = False
    """Whether it is a folder that begins empty, and that nothing fills."""

    def holds(self, path: str) -> bool:
        """Whether the container's `path` is this mount's target or lies below it."""
        return PurePosixPath(path).is_relative_to(self.target)

    def is_below(self, path: str) -> bool:
        """Whether this mount's target is the container's `path` or lies below it."""
        return PurePosixPath(self.target).is_relative_to(path)

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
    asked_paths: list[tuple[str, int]] = field(default_factory=list)
    """Paths of the REST API that probes ask for, each with its line."""
    scraped: list[tuple[str, Path, int]] = field(default_factory=list)
    """The same of what collects metrics, each with the file that says so."""
    folders: dict[str, tuple[str, tuple[str, ...]]] = field(default_factory=dict)
    """Folders whose files are all known: what puts each there, and the files' names."""
    complete: bool = True
    """False where the files that make up the container are not all known, so that none can be missed."""
    is_alone: bool = False
    """Whether no other file is known to add mounts to it, though configurations may come from elsewhere."""
    prepares: bool = False
    """Whether a shell runs something before it, which may well put models into the container."""
    takes_more: bool = False
    """Whether it is an image without a command of its own, so that more flags are to come."""
    process: str = "the server"
    """What is started first, in words."""
    names: tuple[str, ...] = ()
    """By which others of its network know it."""
    credentials: str = ""
    """The file by which it opens Google's store."""
    workdir: str = "/"
    reader: int | None = None
    """The user who reads its files, by number, None where that is not known."""

    @property
    def port(self) -> str:
        """The gRPC port, as text."""
        return _plain(self.flags.value("port", server_flags.DEFAULT_PORT))

    @property
    def rest_port(self) -> str:
        """The REST port, as text; `0` where it is off."""
        return _plain(self.flags.value("rest_api_port", "0"))

    @property
    def ports_are_known(self) -> bool:
        """Whether its ports are what they were meant to be; where not, that is a fault already."""
        odd = any("$" in port or not port for port in (self.port, self.rest_port))
        return not odd and not {"port", "rest_api_port"} & self.flags.broken

    @property
    def listens(self) -> str:
        """Where it listens, in words."""
        rest = (
            f"and {self.rest_port} (REST)" if self.rest_port != "0" else "alone: --rest_api_port is not given"
        )
        return f"the server listens on {self.port} (gRPC) {rest}"

    @property
    def encrypted(self) -> bool:
        """Whether the gRPC port has TLS."""
        return "ssl_config_file" in self.flags.given

    def layers(self, path: str) -> list[Mount]:
        """The mounts that hold the container's `path`, the innermost first, without those that others hide."""
        found = sorted((m for m in self.mounts if m.holds(path)), key=lambda m: len(m.target), reverse=True)
        return [m for m in found if not m.is_copy][:1] or found

    @property
    def is_closed(self) -> bool:
        """Whether what is not mounted is not there: all files are known, or those of the stock image and no others."""
        return self.complete or (self.is_alone and bool(STOCK_IMAGE.match(self.image)))

    @property
    def loader(self) -> Loader:
        """What it is to the files of its models."""
        release = images.release(self.image)
        return Loader(self.reader, self.flags.on("prefer_tflite_model"), bool(release and release < (2, 7)))

    def mount(self, path: str) -> Mount | None:
        """The innermost mount that holds the container's `path`."""
        return next(iter(self.layers(path)), None)

    def holds_part_of(self, path: str) -> bool:
        """Whether something is mounted below the container's `path`, such as one version of a model."""
        return any(mount.is_below(path) for mount in self.mounts)

    def target(self, flag: str) -> str:
        """The file that a flag names, from / on; empty where it was not given."""
        value = self.flags.value(flag)
        return value and posixpath.normpath(posixpath.join(self.workdir, value))

    def file(self, flag: str) -> Path | None:
        """The file here that a flag names in the container, where it is known."""
        target = self.target(flag)
        places = [mount.locate(target) for mount in self.layers(target)] if target else []
        return next((here for here in places if here is not None and here.exists()), next(iter(places), None))

    def config(self, flag: str) -> Node | None:
        """The configuration that a flag names in the container, where a manifest holds it."""
        target = self.target(flag)
        mount = self.mount(target) if target else None
        return mount.config if mount and mount.target == target else None

    def fault(self, message: str, advice: str, line: int | None = None) -> Finding:
        """A finding on a line of the file, by default that on which the server begins."""
        return Finding(self.path, self.line if line is None else line, message, advice)


def user_number(text: str) -> int | None:
    """The number of the user in `user` or `user:group`: root where none is named, None where only the name is known."""
    name = text.partition(":")[0].strip()
    return 0 if name in ("", "root") else int(name) if name.isdigit() else None


def _plain(port: str) -> str:
    """A port as other files write it: the flag may have blanks, a sign and zeros before it."""
    return str(int(port)) if re.fullmatch(r"\s*\+?\d+", port) else port


def findings(server: DescribedServer) -> Iterator[Finding]:
    """Contradictions within one server."""
    yield from server_flags.contradictions(server.flags)
    yield from server_flags.too_new(server.flags, images.release(server.image))
    is_named = bool({"model_config_file", "model_base_path"} & {*server.flags.given, *server.flags.broken})
    if not is_named or (server.takes_more and UNKNOWN in server.flags.value("model_base_path")):
        message, advice = "no model to serve", "give --model_config_file=..."
        if server.takes_more:
            advice = "whoever starts the image has to give it --model_config_file=..."
        yield server.fault(message, advice, server.flags.line).as_note(server.takes_more)
    yield from _image(server)
    yield from _files(server)


def _image(server: DescribedServer) -> Iterator[Finding]:
    if images.moves(server.image) and "$" not in server.image:
        advice = "the server would change under you: name a version, such as tensorflow/serving:2.20.0"
        yield server.fault(f"the image {server.image} has no version", advice)
    release = images.release(server.image)
    if release and release >= (2, 20) and "-gpu" in server.image:
        message = f"no image {server.image} is known to exist"
        yield server.fault(message, "look for it before you count on it").as_note()


def _files(server: DescribedServer) -> Iterator[Finding]:
    key = server.credentials
    if key and "$" not in key and server.is_closed and server.mount(key) is None:
        message = f"{CREDENTIALS} names {key}, which nothing puts into the container"
        yield server.fault(message, "mount it there, or correct the path")
    for name in server_flags.FILE_FLAGS:
        target, line = server.target(name), server.flags.at(name)
        if name not in server.flags.given or name in server.flags.broken or "://" in server.flags.value(name):
            continue
        mount, here = server.mount(target), server.file(name)
        folder, itself = (server.folders.get(path) for path in (str(PurePosixPath(target).parent), target))
        if mount is None and (folder or itself):
            what, names = folder or itself or ("", ())
            message = f"--{name}: {what} has no {PurePosixPath(target).name}"
            if itself:
                message = f"--{name}: {target} is a folder, which {what} is mounted at"
            yield server.fault(message, f"it has {joined(names)}", line)
        elif mount is None and server.is_closed and "$" not in target:
            yield server.fault(f"--{name}: nothing puts {target} into the container", "mount it", line)
        elif mount is not None and mount.is_file and mount.target != target:
            message = f"--{name}: {mount.target} is a file, and {target} is not below it"
            yield server.fault(message, f"mount it at {target}", mount.line)
        elif here is not None and here.is_dir():
            advice = f"mount the file itself at {target}"
            yield server.fault(f"--{name}: {here} is a folder", advice, mount.line if mount else line)
        elif here is not None and not here.exists() and server.complete:
            yield server.fault(
                f"{here} is not there",
                f"--{name} needs it: write or render it",
                mount.line if mount else line,
            )
