"""Values of a compose file that its schema lets pass, and Compose or Docker refuse or read otherwise."""

import difflib
import re
from collections.abc import Iterator
from typing import Any

from ....finding import Finding, joined, meant
from ....servers import images
from ....servers.amounts import DURATION_ADVICE, SIZE_ADVICE, is_duration, size
from ...yaml_file import Document, Place, get
from . import compose_entries

_DURATIONS = (
    *(("healthcheck", key) for key in ("interval", "timeout", "start_period", "start_interval")),
    ("stop_grace_period",),
)
_SIZES = (
    *((key,) for key in ("mem_limit", "mem_reservation", "memswap_limit", "shm_size")),
    *(("deploy", "resources", kind, "memory") for kind in ("limits", "reservations")),
)
_CPUS = (("cpus",), *(("deploy", "resources", kind, "cpus") for kind in ("limits", "reservations")))
_SAME = {
    "scale": ("replicas",),
    "mem_limit": ("resources", "limits", "memory"),
    "mem_reservation": ("resources", "reservations", "memory"),
    "cpus": ("resources", "limits", "cpus"),
    "pids_limit": ("resources", "limits", "pids"),
}
"""Fields of a service by their older names, and what is the same below `deploy`."""
_RESTART = re.compile(r"no|always|unless-stopped|on-failure(:\d+)?")
_TESTS = ("NONE", "CMD", "CMD-SHELL")


def findings(document: Document, name: str, service: dict[str, Any]) -> Iterator[Finding]:
    """What Compose or Docker would refuse in a service that fits the schema."""
    here = ("services", name)
    wrong = images.fault(str(service.get("image") or ""))
    if wrong:
        yield document.fault(*wrong, *here, "image")
    for keys, good, advice in (
        *((keys, is_duration, DURATION_ADVICE) for keys in _DURATIONS),
        *((keys, lambda value: size(value) is not None or value == -1, SIZE_ADVICE) for keys in _SIZES),
        *((keys, _is_number, "write a number of cores, such as 2 or 0.5") for keys in _CPUS),
    ):
        value = get(service, *keys)
        if value is not None and value != "" and "$" not in str(value) and not good(value):
            yield document.fault(f"{keys[-1]} is {value!r}", advice, *here, *keys)
    restart = service.get("restart")
    if restart is not None and "$" not in str(restart) and not _RESTART.fullmatch(str(restart)):
        words = ("no", "always", "on-failure", "unless-stopped")
        advice = meant(restart, words, f"write {joined(words, 'or')}")
        yield document.fault(f"restart is {restart}", advice, *here, "restart")
    for key in ("tmpfs", "volumes"):
        given = service.get(key) or []
        for index, entry in enumerate(given if isinstance(given, list) else [given]):
            target = str(entry).partition(":")[0] if key == "tmpfs" else compose_entries.mounted(entry)[1]
            if target and not target.startswith(("/", "$")) and not re.match(r"[A-Za-z]:\\", target):
                message = f"{target} is no place in the container"
                yield document.fault(message, "write it from / on", *here, key, index)
    yield from _devices(document, here, service)
    yield from _twice(document, here, service)
    yield from _ports(document, here, service)
    yield from _health(document, here, service)


def _devices(document: Document, here: Place, service: dict[str, Any]) -> Iterator[Finding]:
    where = ("deploy", "resources", "reservations", "devices")
    devices = list(enumerate(get(service, *where) or []))
    named = [(device.get("driver"), (*here, *where, at, "driver")) for at, device in devices]
    for driver, place in [*named, (service.get("runtime"), (*here, "runtime"))]:
        if driver != "nvidia" and difflib.get_close_matches(str(driver), ["nvidia"], n=1):
            yield document.fault(f"{place[-1]} is {driver}", "did you mean nvidia?", *place)
    for at, device in devices:
        count = str(device.get("count", "all"))
        if "count" in device and "device_ids" in device:
            message, advice = "count beside device_ids", "Compose refuses both: keep one"
        elif not count.isdigit() and count != "all" and "$" not in count:
            message, advice = f"count is {count}", "write all, or a number of devices"
        else:
            continue
        yield document.fault(message, advice, *here, *where, at, "count")


def _twice(document: Document, here: Place, service: dict[str, Any]) -> Iterator[Finding]:
    """What is said in two ways, of which Compose takes two only where they agree; and one name for several."""
    for key, keys in _SAME.items():
        one, other = service.get(key), get(service, "deploy", *keys)
        if None not in (one, other) and "$" not in f"{one}{other}" and _amount(one) != _amount(other):
            message = f"{key} is {one}, and deploy.{'.'.join(keys)} is {other}"
            yield document.fault(message, "Compose refuses two that differ: keep one", *here, key)
    replicas = str(get(service, "deploy", "replicas") or service.get("scale") or 1)
    if service.get("container_name") and replicas.isdigit() and int(replicas) > 1:
        message = f"{replicas} containers of the one name {service['container_name']}"
        yield document.fault(message, "Compose refuses that: remove container_name", *here, "container_name")


def _amount(value: object) -> object:
    amount = size(value)
    return str(value) if amount is None else amount


def _is_number(value: object) -> bool:
    return bool(re.fullmatch(r"\d+(\.\d*)?|\.\d+", str(value)))


def _ports(document: Document, here: Place, service: dict[str, Any]) -> Iterator[Finding]:
    for index, entry in enumerate(service.get("ports") or []):
        port = compose_entries.port(entry)
        if "$" in str(entry):
            continue
        if port is None:
            advice = "write [address:][port of the machine:]port of the container"
            yield document.fault(f"ports has {str(entry)!r}", advice, *here, "ports", index)
            continue
        if re.search(r"[A-Za-z]", port.host) and ":" not in port.host:
            message = f"ports has the host {port.host}, which is no address"
            yield document.fault(message, "Compose refuses it: write 127.0.0.1", *here, "ports", index)
        ranges = [_width(part) for part in (port.published, port.target)]
        if ranges[0] is not None and (ranges[0] < 0 or 0 < (ranges[1] or 0) != ranges[0]):
            message = f"ports has {port.published} for {port.target}, which are not as many"
            yield document.fault(
                message, "Compose refuses it: write two ranges of one length", *here, "ports", index
            )
        for number in f"{port.published}-{port.target}".split("-"):
            if number.isdigit() and not 0 < int(number) <= 65535:
                advice = "a port is a number from 1 to 65535"
                yield document.fault(f"ports has {number}", advice, *here, "ports", index)


def _width(part: str) -> int | None:
    """How far the last port of a range is from the first; None where nothing is said."""
    first, _, last = part.partition("-")
    return int(last or first) - int(first) if first.isdigit() and (not last or last.isdigit()) else None


def _health(document: Document, here: Place, service: dict[str, Any]) -> Iterator[Finding]:
    test = get(service, "healthcheck", "test")
    if not isinstance(test, list) or not test:
        return
    where = (*here, "healthcheck", "test")
    if test[0] not in _TESTS:
        message = f"the health check begins with {str(test[0])!r}"
        yield document.fault(message, "Compose refuses it: begin with CMD or CMD-SHELL", *where)
    elif test[0] == "CMD-SHELL" and len(test) > 2:
        message = f"the health check runs {str(test[1])!r} alone, and gives the rest to the shell"
        yield document.fault(message, "begin with CMD, or write the whole line of shell as one word", *where)
    elif test[0] == "CMD" and len(test) > 1 and " " in str(test[1]).strip():
        message = f"the health check runs a program called {str(test[1])[:40]!r}"
        yield document.fault(message, "begin with CMD-SHELL, or write each word by itself", *where)
