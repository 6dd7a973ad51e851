"""The files of a V1 checkpoint that was saved in shards, as `Saver(sharded=True)` writes and names them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from ...errors import ExportError
from ..formats.checked_file import COPY_IT
from .tables import require_table

_SHARD = re.compile(r"(.+)(?<!\.data)-(?:\d{5}|\?{5})-of-(\d{5})")


class Shard(NamedTuple):
    """What the name of a shard, or TensorFlow's pattern of all (`model.ckpt-?????-of-00002`), says."""

    prefix: str  # the name of the checkpoint
    total: int  # how many shards it has


def shard_named(name: str) -> Shard | None:
    """Return what a file's name says; None for one that is no shard's."""
    found = _SHARD.fullmatch(name)
    return Shard(found[1], int(found[2])) if found else None


def pattern_of(prefix: str, count: int) -> str:
    """Return TensorFlow's pattern of all shards."""
    return f"{prefix}-?????-of-{count:05d}"


def shard_counts(prefix: Path) -> list[int]:
    """Return how many shards each checkpoint of this prefix has, the fewest first; more than one for several runs."""
    named = (shard_named(entry.name) for entry in prefix.parent.iterdir())
    return sorted({shard.total for shard in named if shard and shard.prefix == prefix.name})


def shards_of(prefix: Path, count: int) -> tuple[Path, ...]:
    """Return the files in their order.

    Raises:
        ExportError: one is missing, or is no table.
    """
    files = [prefix.with_name(f"{prefix.name}-{number:05d}-of-{count:05d}") for number in range(count)]
    for file in files:
        if not file.is_file():
            raise ExportError(
                f"{prefix} is incomplete: {file.name} is missing, one of its {count:,} files; {COPY_IT}"
            )
        require_table(file)
    return tuple(files)
