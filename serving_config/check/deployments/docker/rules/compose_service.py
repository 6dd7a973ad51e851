"""What must hold in a service of a compose file that runs the server: ports, mounts, rights, memory."""

import difflib
import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from ....finding import Finding, joined
from ....servers import images
from ....servers.amounts import size
from ....servers.command_line import INIT
from ....servers.described_server import LEAST_MEMORY, MEMORY_ADVICE, DescribedServer
from ....servers.server_flags import FILE_FLAGS
from ...yaml_file import Document, get
from . import compose_entries
from .compose_entries import mounted

_ALIKE = 0.75
"""How alike a missing folder and one beside it are when the second is meant."""
_LOOPBACK = re.compile(r"127\.\d+\.\d+\.\d+|localhost|\[?::1\]?")


def findings(
    document: Document, name: str, service: dict[str, Any], server: DescribedServer
) -> Iterator[Finding]:
    """The faults of a service that runs the server."""
    wanted = get(service, "deploy", "resources", "limits", "cpus") or service.get("cpus")
    cores = os.cpu_count() or 1
    if wanted is not None and re.fullmatch(r"\d+(\.\d*)?", str(wanted)) and float(wanted) > cores:
        message = f"{name} wants {wanted} CPUs, and this machine has {cores}"
        yield server.fault(message, "Docker would not start it here").as_note()
    if service.get("init") is not True and server.process != INIT:
        advice = "add init: true, or `docker stop` waits and then kills it"
        yield server.fault(f"{name}: as process 1 {server.process} ignores SIGTERM", advice)
    user = str(service.get("user") or "").partition(":")[0]
    if user in ("root", "0"):
        yield document.fault("the server runs as root", 'set user: "65532:65532"', "services", name, "user")
    if service.get("privileged") is True:
        message = "the server has every right of the machine"
        yield document.fault(message, "remove privileged", "services", name, "privileged")
    yield from _sources(document, name, service, server)
    yield from _gpus(document, name, service, server)
    for index, volume in enumerate(service.get("volumes") or []):
        _, target, writable = mounted(volume)
        is_of_socket = PurePosixPath(server.flags.value("grpc_socket_path")).is_relative_to(target)
        if writable and not is_of_socket and not server.prepares:
            message, advice = f"{target} is mounted writable", "the server only reads: make it read-only"
            yield document.fault(message, advice, "services", name, "volumes", index)
    for index, entry in enumerate(service.get("ports") or []) if server.ports_are_known else ():
        port = compose_entries.port(entry)
        if port is None:
            continue
        open_ = [each for each in _every(port.target) if not (server.encrypted and each == server.port)]
        if not set(_every(port.target)) & {server.port, server.rest_port}:
            message, advice = f"{name} publishes port {port.target}", server.listens
        elif not _LOOPBACK.fullmatch(port.host) and open_:
            message = f"port {open_[0]} is open to other machines without TLS"
            advice = "publish it on 127.0.0.1 only, or configure TLS (gRPC) and keep REST inside"
        else:
            continue
        yield document.fault(message, advice, "services", name, "ports", index)
    bare = [
        kind for kind, open_ in (("gRPC", not server.encrypted), ("REST", server.rest_port != "0")) if open_
    ]
    if service.get("network_mode") == "host" and bare:
        message = f"{joined(bare)} open to other machines without TLS on the host's own network"
        advice = "remove network_mode and publish ports on 127.0.0.1"
        yield document.fault(message, advice, "services", name, "network_mode")

    yield from _limits(document, name, service, server)


def _gpus(
    document: Document, name: str, service: dict[str, Any], server: DescribedServer
) -> Iterator[Finding]:
    """GPUs for an image that has no use for them."""
    wrong = images.gpu_fault(server.image)
    devices = ("deploy", "resources", "reservations", "devices")
    is_asked = any("gpu" in (device.get("capabilities") or []) for device in get(service, *devices) or [])
    if wrong and (is_asked or service.get("gpus")):
        where = devices if is_asked else ("gpus",)
        yield document.fault(*wrong, "services", name, *where).as_note()


def _sources(
    document: Document, name: str, service: dict[str, Any], server: DescribedServer
) -> Iterator[Finding]:
    """Folders of the machine that are not there: Docker refuses to start, or makes an empty one."""
    configurations = [server.flags.value(flag) for flag in FILE_FLAGS]  # which are looked for anyway
    for index, volume in enumerate(service.get("volumes") or []):
        source, target, _ = mounted(volume)
        folder = Path(os.path.normpath(document.path.parent / Path(source).expanduser()))
        if not source.startswith((".", "~")) or folder.exists() or target in configurations:
            continue
        refused = isinstance(volume, dict) and (volume.get("bind") or {}).get("create_host_path") is False
        missing = next(path for path in (folder, *folder.parents) if path.parent.is_dir())
        beside = [entry.name for entry in missing.parent.iterdir()]
        close = difflib.get_close_matches(missing.name, beside, 1, _ALIKE)
        message = f"{source}, which is mounted at {target}, is not there"
        advice = "Docker makes an empty folder of it: write it first"
        if close:
            advice = f"did you mean {close[0]}?"
        elif refused:
            advice = "Docker does not start the container: write it first, or correct the path"
        # Where nothing of it is on this machine, this may not be the one.
        refused = refused and missing == folder
        where = ("services", name, "volumes", index, *(("source",) if isinstance(volume, dict) else ()))
        yield document.fault(message, advice, *where).as_note(not (refused or close))


def _limits(
    document: Document, name: str, service: dict[str, Any], server: DescribedServer
) -> Iterator[Finding]:
    """Memory that no server fits, and one port of the machine for several containers."""
    limit = get(service, "deploy", "resources", "limits", "memory") or service.get("mem_limit")
    amount = size(limit)
    if amount is not None and 0 < amount < LEAST_MEMORY:  # 0 is no limit
        message = f"{name}: {limit} of memory is less than the server alone takes"
        yield server.fault(message, MEMORY_ADVICE)
    replicas = (service.get("deploy") or {}).get("replicas", service.get("scale", 1))
    # A swarm's own balancer has the port of the mode ingress.
    entries = [each for each in service.get("ports") or [] if get(each, "mode") != "ingress"]
    ports = map(compose_entries.port, entries)
    if str(replicas).isdigit() and int(replicas) > 1 and any(p and p.published.isdigit() for p in ports):
        message = f"{name}: {replicas} containers cannot share one port of the machine"
        yield server.fault(message, "publish a range, or none and put a balancer in front")


def _every(target: str) -> list[str]:
    """The ports of a range such as 8500-8501; of one port, itself."""
    first, dash, last = target.partition("-")
    if not (dash and first.isdigit() and last.isdigit()):
        return [target]
    return [str(port) for port in range(int(first), min(int(last), 65535) + 1)]
