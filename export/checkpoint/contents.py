"""Read slim checkpoints: names, shapes and dtypes of everything first, then one tensor at a time.

TensorFlow's own reader is not used: it takes 2.5 s and three copies in memory for a V1 checkpoint of 553 MB,
where this one takes half a second and one copy, and a shape that no memory can hold ends the process there.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePosixPath
from types import MappingProxyType, TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import ExportError
from .archive import is_archive, unpack
from .checked_file import FormatError, IncompleteError, ReadError, Sink, UnsupportedError
from .foreign import refuse_address
from .locate import Format, Located, locate
from .tensor_spec import TensorSpec
from .v1 import V1Files
from .v2 import V2Bundle

__all__ = ["Checkpoint", "TensorSpec", "open_checkpoint", "verify"]

MOST_NAMES = 3
MOST_CLASSES = 1 << 16  # labels are uint16
AUXILIARY = "AuxLogits"  # a second classifier that slim's Inception networks have while they are trained
# Bytes. The hash is taken in a thread of its own, which may wait 5 ms for the interpreter after each read.
HASHED_AT_ONCE = 1 << 24
OBJECT_BASED = "/.ATTRIBUTES/VARIABLE_VALUE"


class Checkpoint:
    """An open checkpoint; a context manager, which removes what was unpacked from an archive.

    Attributes:
        path: what the user gave.
        file: the V1 file or V2 prefix that is read; in a temporary folder when `path` is an archive.
        notes: what was chosen or passed over to find it, a sentence each.
        format: "V1" or "V2".
        tensors: shape and dtype of everything in it, by name.
        size: bytes of its files.
    """

    def __init__(self, path: Path, located: Located, reader: V1Files | V2Bundle, cleanup: ExitStack) -> None:
        self.path = path
        self.format: Format = located.format
        self.file = located.file
        self.notes = located.notes
        self.tensors: Mapping[str, TensorSpec] = reader.tensors
        self.size = sum(file.stat().st_size for file in reader.files)
        self._reader = reader
        self._cleanup = cleanup

    def __enter__(self) -> Checkpoint:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the files and remove what was unpacked."""
        self._cleanup.close()

    def sha256(self) -> str:
        """Return the hex digest of the V1 file, or of the V2 index followed by its data files in order."""
        digest = hashlib.sha256()
        with _explained(self.path):
            for file in self._reader.files:
                with file.open("rb") as stream:
                    while chunk := stream.read(HASHED_AT_ONCE):
                        digest.update(chunk)
        return digest.hexdigest()

    def read(self, name: str) -> npt.NDArray[Any]:
        """Read one tensor.

        Raises:
            ExportError: there is none of that name, or it is damaged.
        """
        return next(self.read_all([name]))[1]

    def read_all(
        self,
        names: Iterable[str],
        progress: Callable[[int], None] | None = None,
        sinks: Mapping[str, Sink] = MappingProxyType({}),
    ) -> Iterator[tuple[str, npt.NDArray[Any]]]:
        """Yield the named tensors, each read once, in the order of the file, one at a time.

        In V1 files the tensors that share a block, which are a large one and small ones, are read together.

        Args:
            names: tensors of this checkpoint.
            progress: called often, with the bytes read so far of the tensors asked for.
            sinks: tensors of floats that are not yielded, by name: their bytes are passed on piece by piece as they are
                read, before their checksum is known.

        Raises:
            ExportError: there is none of that name, or it is damaged.
        """
        wanted = set(names)
        for name in wanted - self.tensors.keys():
            raise ExportError(f"{self.path} has no tensor {name}")
        done = 0

        def step(size: int) -> None:
            nonlocal done
            done += size
            if progress:
                progress(done)

        with _damage_explained(self.path):
            yield from self._reader.read(wanted, step, sinks)


def open_checkpoint(path: str | Path, progress: Callable[[int, int], None] | None = None) -> Checkpoint:
    """Open a checkpoint and read what is in it, but none of its data.

    Args:
        path: a V1 file, a .tar or .tar.gz holding a checkpoint, a V2 prefix, a V2 .index or .data file, or a
            folder with a `checkpoint` file or with one checkpoint.
        progress: called while an archive is unpacked, with the bytes done and the bytes in all.

    Raises:
        ExportError: there is no checkpoint, or it is damaged.
    """
    refuse_address(str(path))
    path = Path(path)
    if not path.exists():
        path = path.expanduser()  # the shell leaves a ~ behind --ckpt= as it is
    with _explained(path), ExitStack() as cleanup:
        located = _unpacked(path, cleanup, progress) if is_archive(path) else locate(path)
        reader = V1Files(located.shards) if located.format == "V1" else V2Bundle(located.file)
        cleanup.callback(reader.close)
        return Checkpoint(path, located, reader, cleanup.pop_all())


def verify(
    checkpoint: Checkpoint, expected: Mapping[str, tuple[int | None, ...]], net: str, scope: str = ""
) -> None:
    """Check that a checkpoint holds a network: every variable, of the right shape and float32, and no others.

    Variables outside the network's scope, `mean_rgb` and auxiliary logits in it, and what optimizers and moving
    averages keep below a variable's name are ignored.

    Args:
        checkpoint: any.
        expected: shapes of the network's variables; None stands for the number of classes, at least 1, the
            same everywhere.
        net: the network's name.
        scope: of its variables, if it is not the name.

    Raises:
        ExportError: it does not; the message names the first tensors at fault, or the network it looks like.
    """
    scope = scope or net
    missing = [name for name in expected if name not in checkpoint.tensors]
    if missing:
        raise ExportError(f"{checkpoint.path} {_what_is_missing(checkpoint, missing, net, scope)}")
    classes = {
        size
        for name, shape in expected.items()
        for size, wanted in zip(checkpoint.tensors[name].shape, shape, strict=False)
        if wanted is None
    }
    if max(classes, default=0) > MOST_CLASSES:
        raise ExportError(
            f"{checkpoint.path} has {max(classes):,} classes: label maps hold up to {MOST_CLASSES:,}"
        )
    for name, shape in expected.items():
        spec = checkpoint.tensors[name]
        if spec.dtype != np.float32:
            raise ExportError(f"{name} in {checkpoint.path} is {spec.dtype}, and {net} needs float32")
        fits = len(spec.shape) == len(shape) and all(map(_fits, spec.shape, shape))
        if not fits or (len(classes) > 1 and None in shape):
            raise ExportError(
                f"{name} in {checkpoint.path} has shape {_written(spec.shape)}, "
                f"and {net} needs {_written(shape)}{', as many classes everywhere' if fits else ''}"
            )
    _refuse_unknown(checkpoint, expected, net, scope)


def _fits(size: int, wanted: int | None) -> bool:
    return size == wanted or (wanted is None and size > 0)


def _written(shape: tuple[int | None, ...]) -> str:
    return "[" + ", ".join("classes" if size is None else str(size) for size in shape) + "]"


def _listed(names: list[str]) -> str:
    more = len(names) - MOST_NAMES
    return ", ".join(names[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


def _what_is_missing(checkpoint: Checkpoint, missing: list[str], net: str, scope: str) -> str:
    held = list(checkpoint.tensors)
    if any(name.startswith(f"{scope}/") for name in held):
        return f"lacks {_listed(missing)}: it is no complete {net}"
    if any(name.endswith(OBJECT_BASED) for name in held):
        return (
            "was written by tf.train.Checkpoint or Keras, not by slim: save it with tf.compat.v1.train.Saver"
        )
    for name in held:
        if name.endswith(f"/{missing[0]}"):
            above = name.removesuffix(missing[0])
            return f"has the variables of {net} below {above}: save them without that scope"
    scopes = Counter(name.split("/")[0] for name in held if "/" in name)
    if not scopes:
        return f"holds none of the variables of {net}, such as {missing[0]}"
    other = scopes.most_common(1)[0][0]
    return f"is not {net}: it looks like {other}, its variables start with {other}/"


def _refuse_unknown(
    checkpoint: Checkpoint, expected: Mapping[str, tuple[int | None, ...]], net: str, scope: str
) -> None:
    """A variable that the network does not use means another network; leaving it out would go unnoticed."""
    unknown = [
        name
        for name in checkpoint.tensors
        if name.startswith(f"{scope}/")
        and name not in expected
        and name != f"{scope}/mean_rgb"
        and not name.startswith(f"{scope}/{AUXILIARY}/")
        and not any(str(parent) in expected for parent in PurePosixPath(name).parents)
    ]
    if unknown:
        raise ExportError(
            f"{checkpoint.path} is not {net} alone: it also has {_listed(unknown)}, which {net} never uses"
        )


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        with _damage_explained(path):
            yield
    except OSError as error:
        raise ExportError(f"{path} cannot be read: {error.strerror or error}") from error


@contextmanager
def _damage_explained(path: Path) -> Iterator[None]:
    try:
        yield
    except FormatError as error:
        where = f"{error.tensor} in {path}" if error.tensor else f"{path}"
        if isinstance(error, UnsupportedError | ReadError):
            raise ExportError(f"{where} cannot be read: {error}") from error
        if isinstance(error, IncompleteError):
            raise ExportError(f"{path} is incomplete: {error}") from error
        raise ExportError(f"{where} is damaged: {error}; download or copy it again") from error


def _unpacked(path: Path, cleanup: ExitStack, progress: Callable[[int, int], None] | None) -> Located:
    folder = unpack(path, cleanup, progress)
    try:
        return locate(folder, unpacked=True)
    except ExportError as error:
        raise ExportError(str(error).replace(str(folder), str(path))) from error
