"""Read slim checkpoints: names, shapes and dtypes first, then one tensor at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, NamedTuple

import numpy as np

from export.errors import ExportError


class TensorSpec(NamedTuple):
    """Shape and dtype of one tensor of a checkpoint."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]


class Checkpoint:
    """An open checkpoint; a context manager."""

    def __init__(
        self, path: Path, file: Path, format: Literal["V1", "V2"], files: list[Path], reader: Any
    ) -> None:
        self.path = path
        self.file = file
        self.format = format
        self._files = files
        self._reader = reader
        shapes = reader.get_variable_to_shape_map()
        dtypes = reader.get_variable_to_dtype_map()
        self.tensors: Mapping[str, TensorSpec] = {
            name: TensorSpec(tuple(shapes[name]), np.dtype(dtypes[name].as_numpy_dtype)) for name in shapes
        }
        self.size = sum(part.stat().st_size for part in files)

    def sha256(self) -> str:
        """Hex digest of the checkpoint's data (the V1 file, or the V2 data files in order)."""
        digest = hashlib.sha256()
        for part in self._files:
            with part.open("rb") as stream:
                while chunk := stream.read(1 << 22):
                    digest.update(chunk)
        return digest.hexdigest()

    def read(self, name: str) -> np.ndarray:
        """Read one tensor; ExportError naming it and the file when it is corrupt."""
        try:
            return np.asarray(self._reader.get_tensor(name))
        except Exception as error:
            raise ExportError(f"{self.file}: tensor {name} cannot be read; the file is damaged") from error

    def read_all(
        self, names: Iterable[str], progress: Callable[[int], None] | None = None
    ) -> Iterator[tuple[str, np.ndarray]]:
        """Read `names` one at a time; `progress` gets the bytes done so far."""
        done = 0
        for name in names:
            array = self.read(name)
            done += array.nbytes
            yield name, array
            if progress:
                progress(done)

    def __enter__(self) -> Checkpoint:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass


def open_checkpoint(path: str | Path) -> Checkpoint:
    """Open a V1 file or a V2 prefix."""
    import tensorflow as tf

    path = Path(path)
    format: Literal["V1", "V2"] = "V1" if path.is_file() else "V2"
    files = [path] if format == "V1" else sorted(path.parent.glob(path.name + ".data-*"))
    try:
        reader = tf.train.load_checkpoint(str(path))
    except Exception as error:
        raise ExportError(f"{path} is not a TensorFlow checkpoint") from error
    return Checkpoint(path, path, format, files, reader)


def verify(checkpoint: Checkpoint, expected: Mapping[str, tuple[int | None, ...]], net: str) -> None:
    """Compare names, shapes and dtypes with `expected` (None matches any size)."""
    for name, shape in expected.items():
        spec = checkpoint.tensors.get(name)
        if spec is None:
            raise ExportError(f"{checkpoint.path} has no tensor {name}: it is not a {net} checkpoint")
        if len(spec.shape) != len(shape) or any(
            b not in (None, a) for a, b in zip(spec.shape, shape, strict=True)
        ):
            raise ExportError(f"{checkpoint.path}: {name} has shape {spec.shape}, {net} needs {shape}")
