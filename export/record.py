"""What assets.extra/export.json says: where a version comes from, what it was made with and how it compared."""

from __future__ import annotations

from dataclasses import asdict
from importlib import metadata
from typing import Any

from .checkpoint.contents import Checkpoint
from .kernels.choice import runs_on
from .networks import Network
from .options import GraphOptions
from .verify.parity import Parity
from .weights.labels import Labels

_LIBRARIES = ("slimserve", "tensorflow", "tf-slim", "numpy")


def export_record(
    checkpoint: Checkpoint,
    sha256: str,
    network: Network,
    labels: Labels,
    options: GraphOptions,
    parity: Parity,
    warning: str | None,
) -> dict[str, Any]:
    """The record of an export in float32 or bfloat16, as JSON can carry it.

    `sha256` is the checkpoint's digest in hex, `warning` what the user was told.
    """
    return {
        "checkpoint": {
            "path": str(checkpoint.path),
            "format": checkpoint.format,
            "bytes": checkpoint.size,
            "sha256": sha256,
        },
        "network": network.name,
        "segments": network.segments,
        "classes": len(labels.names),
        "labels": labels.source,
        "options": asdict(options),
        "parity": asdict(parity),
        "versions": {name: metadata.version(name) for name in _LIBRARIES},
        "runs_on": runs_on(options),
        "warning": warning,
    }
