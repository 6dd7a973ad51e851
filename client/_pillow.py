"""Pillow where it is installed: the client classifies and segments files and arrays without it."""

from __future__ import annotations

import importlib.util

from ._exceptions import InvalidInput


def require(purpose: str) -> None:
    """Raise InvalidInput, naming what to install, when Pillow is missing."""
    if importlib.util.find_spec("PIL") is None:
        raise InvalidInput(f"{purpose} needs Pillow: pip install 'slimserve[images]'")
