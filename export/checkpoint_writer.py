"""Write V1 and V2 checkpoints, whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

import numpy as np


def write_checkpoint(
    path: str | Path,
    tensors: Mapping[str, np.ndarray],
    format: Literal["V1", "V2"] = "V1",
    progress: Callable[[int], None] | None = None,
) -> None:
    """Write `tensors` to `path` (V1: one file; V2: `path.index` and `path.data-00000-of-00001`)."""
    import tensorflow as tf

    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    names = list(tensors)
    data = [tf.constant(tensors[name]) for name in names]
    if format == "V1":
        tf.raw_ops.Save(filename=str(temporary), tensor_names=names, data=data)
        os.replace(temporary, path)
        return
    tf.raw_ops.SaveV2(
        prefix=str(temporary), tensor_names=names, shape_and_slices=[""] * len(names), tensors=data
    )
    for suffix in (".data-00000-of-00001", ".index"):
        os.replace(f"{temporary}{suffix}", f"{path}{suffix}")
