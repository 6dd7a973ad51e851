"""Values of a compose file that its schema lets pass, and Compose or Docker refuse or read otherwise."""

import difflib
import re
from collections.abc import Iterator
from typing import Any

from ...finding import Finding, joined, meant
from ...servers import images
from ...servers.amounts import DURATION_ADVICE, SIZE_ADVICE, is_duration, size
from ..yaml_file import Document, Place, get
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
    where = ("deploy", "resources", "reservations", "devices")
    devices = enumerate(get(service, *where) or [])
    named = [(device.get("driver"), (*here, *where, at, "driver")) for at, device in devices]
    for driver, place in [*named, (service.get("runtime"), (*here, "runtime"))]:
        if driver != "nvidia" and difflib.get_close_matches(str(driver), ["nvidia"], n=1):
            yield document.fault(f"{place[-1]} is {driver}", "did you mean nvidia?", *place)
    yield from _ports(document, here, service)
    yield from _health(document, here, service)


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
        for number in f"{port.published}-{port.target}".split("-"):
            if number.isdigit() and not 0 < int(number) <= 65535:
                advice = "a port is a number from 1 to 65535"
                yield document.fault(f"ports has {number}", advice, *here, "ports", index)


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
