"""Amounts with a unit: quantities of Kubernetes, sizes and durations of Compose."""

import math
import re

_QUANTITY = re.compile(r"[+-]?(?P<number>\d+\.?\d*|\.\d+)(?P<unit>[KMGTPE]i|[numkMGTPE]|[eE][+-]?\d+)?")
_UNITS = {
    **{letter: 1000.0**power for power, letter in enumerate(("", "k", "M", "G", "T", "P", "E"))},
    **{f"{letter}i": 1024.0**power for power, letter in enumerate("KMGTPE", 1)},
    **{letter: 1000.0**-power for power, letter in enumerate("mun", 1)},
}
_SIZE = re.compile(r"(?P<number>\d+(\.\d+)*) ?(?P<unit>[kmgtp]?)(i?b)?", re.IGNORECASE)
_DURATION = re.compile(r"0|([+-]?(\d+\.?\d*|\.\d+)(ns|us|µs|ms|s|m|h|d|w))+")
QUANTITY_ADVICE = "write a number and Ki, Mi, Gi, or m for thousandths, such as 6Gi or 500m"
DURATION_ADVICE = "write a number and ms, s, m or h, such as 10s or 1m30s"
SIZE_ADVICE = "write a number and b, k, m or g, such as 6g"


def quantity(value: object) -> float | None:
    """What a quantity of Kubernetes amounts to, such as `2Gi` or `500m`; None where it is none."""
    match = _QUANTITY.fullmatch(str(value))
    if match is None:
        return None
    unit = match["unit"] or ""
    return float(match["number"]) * (_UNITS[unit] if unit in _UNITS else 10.0 ** int(unit[1:]))


def of_pods(value: object, pods: int, round_up: bool) -> int | None:
    """How many of these pods a number or a share such as `25%` is; None where it is neither."""
    text = str(value)
    number = text.removesuffix("%")
    if not number.isdecimal() or (isinstance(value, str) and number == text):
        return None
    exact = pods * int(number) / 100 if number != text else int(number)
    return math.ceil(exact) if round_up else math.floor(exact)


def size(value: object) -> float | None:
    """The bytes of a size of Compose, such as `6g` or `512 MiB`; None where it is none."""
    match = _SIZE.fullmatch(str(value))
    if match is None or match["number"].count(".") > 1:
        return None
    return float(match["number"]) * 1024.0 ** " kmgtp".index(match["unit"].lower() or " ")


def is_duration(value: object) -> bool:
    """Whether Docker and Compose read it as a duration, such as `1m30s`."""
    return bool(_DURATION.fullmatch(str(value)))
