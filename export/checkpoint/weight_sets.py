"""The weights of a network in a checkpoint: the raw ones, or the moving averages that slim's evaluation restores.

Training with a moving average decay leaves both. slim's evaluation then restores
`ExponentialMovingAverage(...).variables_to_restore(...)`: averages of what was averaged, and as they are the statistics
of batch normalization where only trainable variables were.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from types import MappingProxyType
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt

from ..errors import ExportError
from ..types import Shape, VariableShape, WeightSet
from .contents import Checkpoint
from .formats.checked_file import Bytes, Sink, as_bytes, pieces
from .formats.tensor_spec import TensorSpec
from .incomplete import why_incomplete
from .recognition import AVERAGE, Place

_STATISTICS = ("/moving_mean", "/moving_variance")  # of batch normalization, no trainable variables
_FLOAT32 = np.dtype(np.float32)
FLOATS = tuple(np.dtype(kind) for kind in (np.float32, np.float16, ml_dtypes.bfloat16, np.float64))
_MOST_NAMES = 3
_COLOURS = 3
_LEAST_EPSILON = 1e-5  # that a network adds to variances: a value this much below zero has no root
_MOST_CLASSES = 1 << 16  # labels are uint16


@dataclass(frozen=True)
class Found:
    """What a checkpoint has of one set of weights."""

    tensors: Mapping[str, str]  # names of the tensors by the network's variables, of those that are there
    missing: tuple[str, ...]  # variables that are not there


def weight_sets(checkpoint: Checkpoint, place: Place) -> dict[WeightSet, Found]:
    """Return what there is of each set of weights; "averages" only where there is any average."""
    raw: dict[str, str | None] = {}
    averages: dict[str, str | None] = {}
    for variable in place.network.expected_variables():
        tensor = place.tensor(variable)
        raw[variable] = tensor if tensor in checkpoint.tensors else None
        averages[variable] = f"{tensor}{AVERAGE}" if f"{tensor}{AVERAGE}" in checkpoint.tensors else None
    if not any(averages.values()):
        return {"raw": _found(raw)}
    for variable, average in averages.items():
        if average is None and variable.endswith(_STATISTICS):
            averages[variable] = raw[variable]
    return {"averages": _found(averages), "raw": _found(raw)}


def _found(tensors: Mapping[str, str | None]) -> Found:
    return Found(
        {variable: tensor for variable, tensor in tensors.items() if tensor},
        tuple(variable for variable, tensor in tensors.items() if not tensor),
    )


def choose_set(checkpoint: Checkpoint, place: Place, wanted: WeightSet | None) -> tuple[WeightSet, str]:
    """Return the set of weights to export, and a sentence on why; "" where there is no other.

    Raises:
        ExportError: both are complete and none is wanted, or the wanted one is not complete.
    """
    sets = weight_sets(checkpoint, place)
    net = place.network.name
    complete = [name for name, found in sets.items() if not found.missing]
    if wanted == "averages" and "averages" not in sets:
        raise ExportError(
            f"{checkpoint.path} holds no moving averages: leave --weights out, or say --weights raw"
        )
    if wanted and wanted not in complete:
        advice = f"; --weights {complete[0]} exports the {_named(complete[0])}" if complete else ""
        raise ExportError(
            f"{checkpoint.path} lacks the {_named(wanted)} of {listed(sets[wanted].missing)}: it is no complete "
            f"{net}{advice}"
        )
    if wanted:
        return wanted, f"the {_named(wanted)} are exported, as --weights says" if len(sets) > 1 else ""
    if len(complete) > 1:
        raise ExportError(
            f"{checkpoint.path} holds two sets of weights, the raw ones and their moving averages, which slim's "
            "evaluation restores: say --weights averages or --weights raw"
        )
    if not complete:
        missing = min((found.missing for found in sets.values()), key=len)
        lacks = listed(tuple(place.tensor(variable) for variable in missing))
        raise ExportError(f"{checkpoint.path} lacks {lacks}: {why_incomplete(checkpoint, place, missing)}")
    if len(sets) == 1:
        return complete[0], ""
    other: WeightSet = "raw" if complete[0] == "averages" else "averages"
    lacking = len(sets[other].missing)
    if not sets[other].tensors:
        return complete[0], f"the {_named(complete[0])} are exported: there are no {_named(other)}"
    return complete[0], (
        f"the {_named(complete[0])} are exported: there are {_named(other)} too, but not of {lacking} of "
        f"{len(sets[other].tensors) + lacking} variables"
    )


def _named(name: WeightSet) -> str:
    return "moving averages" if name == "averages" else "raw weights"


class NetworkWeights(Checkpoint):
    """One network of an open checkpoint, as if nothing else were in it, by the network's names and in float32.

    Attributes:
        checkpoint: all of it, under the names that it has there.
        place: which network, and where in it.
        set: which set of weights.
        tensors: shapes by variable; all float32.
        names: of the checkpoint's tensors, by variable.
        notes: what was chosen, guessed and converted, a sentence each.
        warnings: what the user should know and can change, a sentence each.
    """

    warnings: tuple[str, ...] = ()

    def __init__(self, checkpoint: Checkpoint, place: Place, wanted: WeightSet | None = None) -> None:
        """Choose the weights and check every variable's shape and type; no data is read.

        Raises:
            ExportError: a variable is missing or does not fit, or it is unclear which weights are meant.
        """
        super().__init__(checkpoint.path, checkpoint.located, checkpoint.reader, checkpoint.cleanup)
        self.checkpoint, self.place = checkpoint, place
        self.set, chosen = choose_set(checkpoint, place, wanted)
        self.names = weight_sets(checkpoint, place)[self.set].tensors
        stored = {variable: checkpoint.tensors[name] for variable, name in self.names.items()}
        _check_shapes(self, stored)
        self.tensors = {variable: TensorSpec(spec.shape, _FLOAT32) for variable, spec in stored.items()}
        kinds = Counter(spec.dtype for spec in stored.values())
        converted = [
            f"{count} variables are {kind}: {'narrowed' if kind.itemsize > 4 else 'widened'} to float32"
            for kind, count in kinds.items()
            if kind != _FLOAT32
        ]
        self.notes = (*checkpoint.notes, *place.notes, *([chosen] if chosen else []), *converted)

    def record(self) -> dict[str, Any]:
        """Return what export.json says of the checkpoint, but for its digest."""
        return {
            "path": str(self.path),
            "file": str(self.read_from),
            "format": self.format,
            "bytes": self.size,
            "step": self.checkpoint.step(),
            "scope": self.place.scope,
            "weights": self.set,
        }

    def read_all(
        self,
        names: Iterable[str],
        progress: Callable[[int], None] | None = None,
        sinks: Mapping[str, Sink] = MappingProxyType({}),
    ) -> Iterator[tuple[str, npt.NDArray[np.float32]]]:
        """Yield variables, or pass them to sinks: `Checkpoint.read_all` by the network's names, in float32.

        Raises:
            ExportError: one is damaged, or holds NaN, infinite values or negative variances.
        """
        variables = {self.names[name]: name for name in names}
        stored = self.checkpoint.tensors
        bytes_read = sum(stored[tensor].nbytes for tensor in variables)
        share = sum(self.tensors[name].nbytes for name in variables.values()) / max(bytes_read, 1)
        bad: Counter[str] = Counter()
        passed = {
            tensor: _watched(tensor, sinks[name], bad)
            for tensor, name in variables.items()
            if name in sinks and stored[tensor].dtype == _FLOAT32
        }
        step = (lambda done: progress(int(done * share))) if progress else None
        for tensor, value in self.checkpoint.read_all(variables, step, passed):
            name = variables[tensor]
            with np.errstate(over="ignore"):  # what becomes infinite is told below
                array = value.astype(_FLOAT32, copy=False)
            del value
            if not np.isfinite(array).all():
                bad[tensor] += int(array.size - np.isfinite(array).sum())
                self._refuse_infinite(bad)
            if name.endswith("moving_variance"):
                self._refuse_negative(tensor, array)
            if name in sinks:
                for piece in pieces(as_bytes(array)):
                    sinks[name](piece)
            else:
                yield name, array
            del array
        self._refuse_infinite(bad)  # of the sinks, whose checksums are known to be right by now

    def _refuse_infinite(self, bad: Mapping[str, int]) -> None:
        for tensor, count in bad.items():
            spec = self.checkpoint.tensors[tensor]
            raise ExportError(
                f"{tensor} in {self.checkpoint.path} holds NaN or infinite values, {count:,} of {spec.elements:,}"
                f"{' once it is float32' if spec.dtype.itemsize > 4 else ''}: training diverged; export an earlier "
                "checkpoint"
            )

    def _refuse_negative(self, tensor: str, variances: npt.NDArray[np.float32]) -> None:
        negative = int((variances <= -_LEAST_EPSILON).sum())
        if negative:
            raise ExportError(
                f"{tensor} in {self.checkpoint.path} holds negative variances, {negative:,} of {variances.size:,}, "
                "which no training computes: something else wrote them; export the checkpoint that slim wrote"
            )


def _watched(tensor: str, sink: Sink, bad: Counter[str]) -> Sink:
    """Return the sink that also counts values that are not finite."""

    def take(piece: Bytes) -> None:
        finite = np.isfinite(piece.view(_FLOAT32))
        if not finite.all():
            bad[tensor] += int(finite.size - finite.sum())
        sink(piece)

    return take


def _check_shapes(weights: NetworkWeights, stored: Mapping[str, TensorSpec]) -> None:
    """Raise ExportError unless every variable is a float of the right shape, and the classes are some."""
    network, path = weights.place.network, weights.checkpoint.path
    expected = network.expected_variables()
    classes = {
        size
        for variable, shape in expected.items()
        for size, wanted in zip(stored[variable].shape, shape, strict=False)
        if wanted is None
    }
    if max(classes, default=0) > _MOST_CLASSES:
        raise ExportError(f"{path} has {max(classes):,} classes: label maps hold up to {_MOST_CLASSES:,}")
    for variable, shape in expected.items():
        spec, name = stored[variable], weights.names[variable]
        if spec.dtype not in FLOATS:
            raise ExportError(f"{name} in {path} is {spec.dtype}, and {network.name} needs float32")
        if not spec.fits(shape):
            raise ExportError(
                f"{name} in {path} has shape {_written(spec.shape)}, and {network.name} needs {_written(shape)}"
                f"{_reshaped(spec.shape, shape) or _of_other_images(spec.shape, shape)}"
            )
    if len(classes) > 1:
        sizes = [
            f"{weights.names[variable]} has shape {_written(stored[variable].shape)}"
            for variable, shape in expected.items()
            if None in shape
        ]
        raise ExportError(f"{path} has another number of classes from layer to layer: {listed(sizes)}")
    if classes == {1}:
        raise ExportError(
            f"{path} has one class, as a sigmoid for yes or no has: every answer would be that class; train two, "
            "background and object, whose softmax says the same"
        )


def _reshaped(stored: Shape, needed: VariableShape) -> str:
    """What to do about a matrix in place of filters, as a fully connected layer has it."""
    *sides, last = (stored[-1] if size is None else size for size in needed)
    if len(stored) != 2 or len(needed) != 4 or (prod(sides), last) != stored:
        return ""
    order = " (its rows must stand for rows, columns, channels)" if sides[0] > 1 else ""
    return f": reshape it to {_written((*sides, last))}{order}"


def _of_other_images(stored: Shape, needed: VariableShape) -> str:
    """What to do about a first filter that takes gray images, or more channels than colours."""
    if len(stored) != 4 or needed[2] != _COLOURS or (*stored[:2], _COLOURS, stored[3]) != needed:
        return ""
    if stored[2] == 1:
        return (
            ": it was trained on gray images, and images here are RGB; multiply it by 0.299, 0.587 and 0.114, which "
            f"make gray of red, green and blue, and save it as {_written(needed)}"
        )
    return f": it was trained on images of {stored[2]} channels, and images here have three, RGB; train it on RGB"


def _written(shape: tuple[int | None, ...]) -> str:
    return "[" + ", ".join("classes" if size is None else str(size) for size in shape) + "]"


def listed(names: Sequence[str]) -> str:
    """Return the first names, and how many more there are."""
    more = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
