"""The models of one server: where its container has them, and where they lie here."""

import os
import posixpath
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from ...server.models_config import version_folders
from ..configs.text_proto import Node
from ..finding import Finding, joined
from .described_server import STOCK_IMAGE, DescribedServer


def of_flags(server: DescribedServer) -> Node | None:
    """The model that flags name, as a configuration would; None where they name none, or it cannot be known."""
    flags = server.flags
    name, base = flags.value("model_name", "default"), flags.value("model_base_path")
    if not base or "$" in name + base or {"model_config_file", "model_base_path"} & flags.broken:
        return None
    if "model_config_file" in flags.given:
        return None
    line = flags.at("model_base_path")
    path = base if "://" in base else posixpath.normpath(base)
    texts = {"name": name, "base_path": path, "model_platform": "tensorflow"}
    fields = [Node(key, server.path, line, 0, 0, text=text) for key, text in texts.items()]
    return Node("config", server.path, line, 0, 0, fields=fields)


def findings(server: DescribedServer, models: list[Node]) -> Iterator[Finding]:
    """What the container lacks of the models that the server is to serve."""
    line = server.flags.at(
        "model_config_file" if "model_config_file" in server.flags.given else "model_base_path"
    )
    allowed = server.flags.on("allow_version_labels_for_unavailable_models")
    if any(model.all("version_labels") for model in models) and not allowed:
        advice = "the server stops at start: add --allow_version_labels_for_unavailable_models=true"
        yield server.fault("labels on versions that are not loaded yet", advice, line)
    for model in models:
        base = model.value("base_path")
        if base and "://" not in base:
            yield from _base_path(server, base, model.value("name"), line)
            yield from _versions(server, base, model, line)
            yield from _links(server, base, line)


def located(server: DescribedServer, base: str) -> Path | None:
    """Where the folder of a model lies here, or where it would have to; None where that cannot be known."""
    layers = server.layers(base)
    if any(mount.is_copy for mount in layers) and not server.complete:
        return None
    places = [mount.locate(base) for mount in layers]
    there = [here for here in places if here is not None and here.exists()]
    best = next((here for here in there if version_folders(here)), None)
    if best is not None:
        return best
    if server.prepares:
        return None
    is_partly_elsewhere = any(PurePosixPath(base) in PurePosixPath(m.target).parents for m in server.mounts)
    sources = [mount.source for mount in layers]
    if is_partly_elsewhere or not all(source is not None and source.exists() for source in sources):
        return None
    return next(iter([*there, *places]), None)


def _versions(server: DescribedServer, base: str, model: Node, line: int) -> Iterator[Finding]:
    """Versions that are not put into the container, where some are one by one."""
    if not server.is_closed or not STOCK_IMAGE.match(server.image) or server.mount(base) is not None:
        return
    for policy in model.all("model_version_policy"):
        for version in policy.all("specific", "versions"):
            if server.mount(f"{base}/{version.number}") is None and server.holds_part_of(base):
                message = f"nothing puts version {version.text} of {model.value('name')} into the container"
                yield server.fault(message, f"put it to {base}/{version.text}", line)


def _links(server: DescribedServer, base: str, line: int) -> Iterator[Finding]:
    """Versions that are links, which lead elsewhere in the container."""
    folder = located(server, base)
    if folder is None or not server.complete:
        return
    for number, version in version_folders(folder).items() if folder.is_dir() else ():
        if not version.is_symlink():
            continue
        link = os.readlink(version)
        if server.mount(posixpath.normpath(posixpath.join(base, link))) is None:
            message = f"version {number} is a link to {link}, which is not in the container"
            yield server.fault(message, "put the folder itself there", line)


def _base_path(server: DescribedServer, base: str, name: str, line: int) -> Iterator[Finding]:
    mount = server.mount(base)
    if server.prepares and mount is not None and mount.source and located(server, base) is None:
        message = f"whether {base} (model {name}) is there was not looked up"
        yield server.fault(message, "what runs before the server may put it there", line).as_note()
    elif mount is not None and mount.stays_empty:
        message = f"nothing puts {base} (model {name}) into the volume at {mount.target}"
        advice = "the server would wait for it without end: fill it in an init container"
        yield server.fault(message, advice, mount.line)
    elif (
        "$" not in base
        and base.startswith("/")  # another one is refused anyway
        and server.is_closed
        and STOCK_IMAGE.match(server.image)
        and mount is None
    ):
        parts = [PurePosixPath(each.target) for each in server.mounts if each.is_below(base)]
        versions = [path.relative_to(base).parts[0] for path in parts]
        if not parts:
            message = f"nothing puts {base} (model {name}) into the container"
            yield server.fault(message, "the server would wait for it without end: mount it there", line)
        elif not any(version.isdigit() for version in versions):
            message = f"no version of {name} is put into the container, {base} has {joined(versions)}"
            advice = f"the server would wait without end: name the folder by a number, such as {base}/1"
            yield server.fault(message, advice, line)
