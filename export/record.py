"""What assets.extra/export.json says: where a version comes from, what it was made with and how it compared."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from .checkpoint.published.download import origin
from .graph.kernels.choice import runs_on
from .plan.plan import Plan
from .verify.agreement import Agreement
from .verify.calibration import PERCENTILE, Images
from .verify.parity import Parity
from .weights.quantization import Statistics


def export_record(plan: Plan, sha256: str, parity: Parity, warnings: Sequence[str]) -> dict[str, Any]:
    """What is known of every export, as JSON can carry it.

    `sha256` is the checkpoint's digest in hex, `warnings` what the user was told.
    """
    network = plan.network
    fetched = origin(plan.checkpoint.path)
    return {
        "checkpoint": plan.checkpoint.record()
        | {"sha256": sha256}
        | ({"fetched": fetched} if fetched else {}),
        "network": network.name,
        "segments": network.segments,
        "label_maps": plan.about_label_maps,
        "classes": len(plan.labels.names),
        "labels": plan.labels.source,
        "preprocessing": asdict(network.preprocessing) | {"crop": network.crop},
        "options": asdict(plan.options),
        "parity": asdict(parity),
        "versions": _versions(),
        "runs_on": runs_on(plan.options),
        "warnings": list(warnings),
        "notes": plan.notes,
    }


def file_sizes(folder: Path) -> dict[str, int]:
    """The size in bytes of every file below `folder`, by its path there, so that a copy can be told to be whole."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return {file.relative_to(folder).as_posix(): file.stat().st_size for file in files}


def calibration_record(
    images: Images, statistics: Mapping[str, Statistics], agreement: Agreement
) -> dict[str, Any]:
    """What is known of an export in 8 bits in addition."""
    return {
        "images": len(images.calibrating),
        "files_left_out": images.left_out,
        "percentile": PERCENTILE,
        "ranges": {scope: known.range for scope, known in statistics.items()},
        "agreement": agreement.record(),
    }


def _versions() -> dict[str, str]:
    """TensorFlow and NumPy are asked themselves, as TensorFlow is distributed under several names."""
    return {
        "slimserve": _checkout() or _installed("slimserve"),
        "tensorflow": tf.__version__,
        "tf-slim": _installed("tf-slim"),
        "numpy": np.__version__,
    }


def _installed(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "unknown"


def _checkout() -> str | None:
    """The version that the checkout states of which this file is a part, if it is part of one."""
    project = Path(__file__).resolve().parents[1] / "pyproject.toml"
    stated = re.search(r'^version = "(.+)"$', project.read_text("utf-8"), re.M) if project.is_file() else None
    return stated[1] if stated else None
