"""What a service of a compose file names elsewhere: services, networks, volumes, secrets, configs, files, ports."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ....finding import Finding, joined, meant
from ....servers.described_server import STOCK_IMAGE
from ...yaml_file import Document, Place
from . import compose_entries

_OWN = {"networks": ("default",), "volumes": (), "secrets": (), "configs": ()}


def findings(document: Document, services: dict[str, Any], is_whole: bool) -> Iterator[Finding]:
    """Names that are not there, and ports of the machine that two services publish.

    Args:
        is_whole: whether no other file is known to add to this one.
    """
    if is_whole:
        for name, service in services.items():
            yield from _services(document, ("services", name), service, services)
            yield from _top_level(document, ("services", name), service)
            yield from _health(document, ("services", name), service, services)
        yield from _circle(document, services)
        yield from _sources(document)
    for name, service in services.items():
        yield from _env_files(document, ("services", name), service)
    yield from _published_twice(document, services)


def is_whole(document: Document, documents: list[Document]) -> bool:
    """Whether nothing is known to add to the file: no `include`, and no second compose file beside it."""
    beside = [other for other in documents if other.path.parent == document.path.parent]
    return "include" not in document.data and len(beside) < 2


def _services(
    document: Document, here: Place, service: dict[str, Any], known: dict[str, Any]
) -> Iterator[Finding]:
    for name, place in _named(service):
        if name not in known:
            message = f"{place[0]} names the service {name}, which is not there"
            yield document.fault(message, meant(name, known), *here, *place)


def _named(service: dict[str, Any]) -> Iterator[tuple[str, Place]]:
    """The services that another names, and where."""
    for key in ("depends_on", "links", "volumes_from"):
        for index, entry in enumerate(service.get(key) or []):
            name = str(entry).partition(":")[0]
            if (key, name) != ("volumes_from", "container"):
                yield name, (key, entry if isinstance(service[key], dict) else index)
    for key in ("network_mode", "pid", "ipc"):
        kind, _, name = str(service.get(key) or "").partition(":")
        if kind == "service":
            yield name, (key,)
    base = service.get("extends")
    if isinstance(base, str) or (isinstance(base, dict) and "file" not in base):
        yield base if isinstance(base, str) else str(base.get("service")), ("extends",)


def _health(
    document: Document, here: Place, service: dict[str, Any], known: dict[str, Any]
) -> Iterator[Finding]:
    """Services whose health another waits for, and that have no health check of their own or of their image."""
    waited = service.get("depends_on")
    for name, given in waited.items() if isinstance(waited, dict) else ():
        other = known.get(name) or {}
        check = other.get("healthcheck") or {}
        is_off = check.get("disable") is True or check.get("test") in (["NONE"], "NONE")
        is_bare = STOCK_IMAGE.match(str(other.get("image") or "")) and not {"build", "extends"} & set(other)
        if (given or {}).get("condition") == "service_healthy" and (
            is_off or (is_bare and not check.get("test"))
        ):
            message = f"it waits for the health of {name}, which has no health check"
            advice = f"Compose would not start it: give {name} a healthcheck, or write service_started"
            yield document.fault(message, advice, *here, "depends_on", name)


def _circle(document: Document, services: dict[str, Any]) -> Iterator[Finding]:
    """The first service that waits for itself, by way of others or at once."""
    after = {
        name: [other for other, place in _named(service) if place[0] != "extends" and other in services]
        for name, service in services.items()
    }
    for name in after:
        reached: list[str] = []
        ahead = list(after[name])
        while ahead:
            other = ahead.pop()
            if other not in reached:
                reached.append(other)
                ahead += after[other]
        if name in reached:
            advice = "Compose starts neither: take one depends_on out"
            yield document.fault(f"{name} waits for itself", advice, "services", name)
            return


def _sources(document: Document) -> Iterator[Finding]:
    """Where the secrets and configs at the end of the file come from."""
    for key in ("secrets", "configs"):
        for name, setting in (document.data.get(key) or {}).items():
            given = [word for word in ("file", "environment", "content") if word in (setting or {})]
            if "external" in (setting or {}) or len(given) == 1:
                continue
            message = f"{name} has {joined(given)}" if given else f"{name} has no source"
            advice = "Compose wants one of file, environment and content"
            yield document.fault(message, advice, key, name)


def _top_level(document: Document, here: Place, service: dict[str, Any]) -> Iterator[Finding]:
    for key, own in _OWN.items():
        known = [*(document.data.get(key) or {}), *own]
        for index, entry in enumerate(service.get(key) or []):
            name = _name(key, entry)
            if name and "$" not in name and name not in known:
                at = entry if isinstance(service[key], dict) else index
                message = f"{name} is not among the {key} of the file"
                advice = f"Compose refuses it: {meant(name, known, f'add it to {key} at the end')}"
                if key == "volumes" and "/" in name:
                    advice = "Compose refuses it: a folder of the machine has the type bind, and begins with ./ or /"
                yield document.fault(message, advice, *here, key, at)


def _name(key: str, entry: Any) -> str:
    """What an entry names at the end of the file; empty where it is a folder of the machine, or has no name."""
    if key != "volumes":
        return str(entry.get("source") or "") if isinstance(entry, dict) else str(entry)
    if isinstance(entry, dict):
        return str(entry.get("source") or "") if entry.get("type") == "volume" else ""
    source, colon, _ = str(entry).partition(":")
    is_folder = source.startswith((".", "/", "~", "$")) or "\\" in str(entry)
    return "" if is_folder or not colon or len(source) == 1 else source


def _env_files(document: Document, here: Place, service: dict[str, Any]) -> Iterator[Finding]:
    for index, (path, is_required) in enumerate(compose_entries.env_files(service)):
        if "$" in path or not is_required:
            continue
        if not (document.path.parent / Path(path).expanduser()).is_file():
            message, advice = f"env_file names {path}, which is not there", "write it, or correct the name"
            # What holds passwords is seldom among the files that are checked.
            is_private = Path(path).name.startswith(".env")
            yield document.fault(message, advice, *here, "env_file", index).as_note(is_private)


def _published_twice(document: Document, services: dict[str, Any]) -> Iterator[Finding]:
    seen: dict[str, str] = {}
    for name, service in services.items():
        if service.get("profiles"):  # those of two profiles may never run together
            continue
        for index, entry in enumerate(service.get("ports") or []):
            port = compose_entries.port(entry)
            if port is None or not port.published.isdigit():
                continue
            at = f"{port.host}:{port.published}/{port.protocol}".removeprefix(":").rstrip("/")
            at = at.removesuffix("/tcp")
            if at in seen:
                message = f"port {at} of the machine is published twice, {seen[at]} has it"
                yield document.fault(message, "give each its own", "services", name, "ports", index)
            seen.setdefault(at, name)
