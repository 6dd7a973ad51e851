"""Ranges for 8-bit activations and means of what filters meet, from a folder of images like those that will be served.

A range that cuts off the few largest activations leaves finer steps for all others, and one odd image cannot stretch
it. But the largest decide the label of some region: over 10 scenes of the demo checkpoint that the ranges do not come
from, the label maps of 8 bits agree with float32's in 99.1 % of the pixels at PERCENTILE (98.0 % of the worst scene's)
and in 98.6 % at 99.99 (93.5 %).
"""

from __future__ import annotations

import operator
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from ..checkpoint.contents import Checkpoint
from ..errors import ExportError
from ..graph import ServingGraph
from ..heads.cells import cell_logits
from ..images.decoding import ImageDecoder
from ..images.preprocessing import central_crop
from ..kernels.portable import VariableLayers
from ..networks import Network
from ..networks.layers import Convolution
from ..options import GraphOptions
from ..types import Array, StepProgress, Tensor
from ..weights.quantization import Statistics
from ..weights.recipes import ModelVariables, Recipe, Variables, make_variables

PERCENTILE = 99.999
_EVERY = 5  # of the images, one in so many is held out
_SUFFIXES = (".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp")
_BINS_IN_OCTAVE = 32  # a bin's edges are 2.2 % apart
_LOWEST, _HIGHEST = -24, 40  # powers of 2; what lies outside counts in the outermost bins, zero in the first
_BINS = (_HIGHEST - _LOWEST) * _BINS_IN_OCTAVE


class Images(NamedTuple):
    """The images of a folder: those that ranges come from, and those held out for the comparison."""

    calibrating: tuple[Path, ...]
    held_out: tuple[Path, ...]


def find_images(folder: Path) -> Images:
    """List the images in `folder` and below; in the order of their names, every fifth is held out.

    Raises:
        ExportError: it can't be read or holds fewer than 5.
    """
    if not folder.is_dir():
        raise ExportError(
            f"{folder} is not a folder: --calibrate takes one with images like those to be served"
        )
    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in _SUFFIXES and file.is_file())
    if len(files) < _EVERY:
        raise ExportError(
            f"{folder} holds {len(files)} images ({', '.join(_SUFFIXES)}): --calibrate takes {_EVERY} or more, "
            "better 50, like those to be served"
        )
    calibrating = tuple(file for index, file in enumerate(files, 1) if index % _EVERY)
    return Images(calibrating, tuple(files[_EVERY - 1 :: _EVERY]))


class Recorded(NamedTuple):
    """What was counted of a convolution, over one or more images; tensors or arrays.

    Attributes:
        histogram: of what it returns, int [bins].
        inputs: sum of each input channel, float [inputs].
        positions: how many were added.
    """

    histogram: Tensor
    inputs: Tensor
    positions: Tensor

    def plus(self, other: Recorded) -> Recorded:
        """Both."""
        return Recorded(*map(operator.add, self, other))


class RecordingLayers(VariableLayers):
    """Layers that count what each convolution with ReLU takes and returns.

    Attributes:
        recorded: of one run, by full scope.
    """

    def __init__(self, variables: Variables, scope: str) -> None:
        """See `VariableLayers`."""
        super().__init__(variables, scope)
        self.recorded: dict[str, Recorded] = {}

    def _convolve(self, net: Tensor, convolution: Convolution, recipes: tuple[Recipe, Recipe]) -> Tensor:
        result = super()._convolve(net, convolution, recipes)
        if convolution.relu:
            scope = f"{self._scope}/{convolution.scope}"
            positions = tf.reduce_prod(tf.cast(tf.shape(net)[:3], tf.float64))
            inputs = tf.cast(tf.reduce_mean(net, axis=[0, 1, 2]), tf.float64) * positions
            counted = Recorded(_histogram(result), inputs, positions)
            known = self.recorded.get(scope)
            self.recorded[scope] = known.plus(counted) if known else counted
        return result


def _histogram(values: Tensor) -> Tensor:
    octave = tf.math.log(tf.maximum(values, 2.0**_LOWEST)) * (_BINS_IN_OCTAVE / np.log(2))
    bins = tf.cast(tf.floor(octave), tf.int32) - _LOWEST * _BINS_IN_OCTAVE
    return tf.math.bincount(
        tf.clip_by_value(bins, 0, _BINS - 1), minlength=_BINS, maxlength=_BINS, dtype=tf.int64
    )


def statistics(recorded: Recorded, percent: float) -> Statistics:
    """The range that `percent` of the activations do not exceed, and the inputs' means."""
    return Statistics(percentile(recorded.histogram, percent), recorded.inputs / recorded.positions)


def percentile(histogram: Array, percent: float) -> float:
    """The value that `percent` of all that was counted do not exceed, rounded up to a bin's edge."""
    counted = np.cumsum(histogram, dtype=np.float64)
    index = int(np.searchsorted(counted, counted[-1] * min(percent / 100, 1.0)))
    return float(2.0 ** (_LOWEST + (min(index, _BINS - 1) + 1) / _BINS_IN_OCTAVE))


class FloatModel:
    """Stock layers over a checkpoint's tensors; a context manager.

    Attributes:
        graph: what it answers with.
        session: to run it in.
    """

    def __init__(
        self, checkpoint: Checkpoint, network: Network, class_names: Sequence[str], options: GraphOptions
    ) -> None:
        """Read the network's tensors; they stay in memory until the end."""
        shapes = {name: checkpoint.tensors[name].shape for name in network.expected_variables()}
        with tf.Graph().as_default() as graph:
            variables = ModelVariables(shapes)
            layers = VariableLayers(variables, network.scope)
            self.graph = ServingGraph(network, layers, class_names, options)
            self._image = tf.compat.v1.placeholder(tf.string, [])
            self._recorded = _recorded(self._image, variables, network, options)
        self.session = tf.compat.v1.Session(graph=graph)
        try:
            sources = {source for recipe in variables.stored.values() for source in recipe.sources}
            with graph.as_default():
                for name, value in make_variables(variables.stored, checkpoint.read_all(sources)):
                    variables.variables[name].load(value, self.session)
        except BaseException:
            self.session.close()
            raise

    def record(self, image: bytes) -> Mapping[str, Recorded]:
        """Count the activations of an encoded image, whole and cropped, by scope.

        Raises:
            tf.errors.InvalidArgumentError: it is no image that the model takes.
        """
        counted: dict[str, Recorded] = self.session.run(self._recorded, {self._image: image})
        return counted

    def __enter__(self) -> FloatModel:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.session.close()


def _recorded(
    encoded: Tensor, variables: ModelVariables, network: Network, options: GraphOptions
) -> dict[str, Recorded]:
    """Of the whole image as it is segmented, and of its crop as it is classified."""
    image = ImageDecoder(options.max_pixels).decode(encoded, "the image")
    whole, crop = (RecordingLayers(variables, network.scope) for _ in range(2))
    cell_logits(image, network, whole, options.geometry, options.output_stride)
    network.logits(central_crop(image, network)[None], crop, "VALID", network.stride)
    return {scope: recorded.plus(crop.recorded[scope]) for scope, recorded in whole.recorded.items()}


def calibrate(model: FloatModel, images: Sequence[Path], progress: StepProgress) -> dict[str, Statistics]:
    """Return what 8 bits take of each convolution, by scope; one image at a time is in memory.

    Raises:
        ExportError: an image can't be read.
    """
    totals: dict[str, Recorded] = {}
    for count, file in enumerate(images, 1):
        with refused_image(file):
            recorded = model.record(file.read_bytes())
        totals = {
            scope: totals[scope].plus(one) if scope in totals else one for scope, one in recorded.items()
        }
        progress(count / len(images))
    return {scope: statistics(total, PERCENTILE) for scope, total in totals.items()}


@contextmanager
def refused_image(file: Path) -> Iterator[None]:
    """Turn what an unreadable image causes into an ExportError that names it."""
    try:
        yield
    except OSError as error:
        raise ExportError(f"cannot read {file}: {error.strerror or error}") from error
    except tf.errors.InvalidArgumentError as error:
        raise ExportError(f"{file}: {_said(error)}: remove it from the folder") from error


def _said(error: tf.errors.OpError) -> str:
    """What an op said, of all that TensorFlow tells: it stands before the first line that names the op's node."""
    line = re.search(r"([^\n]*)\n\t \[\[", error.message)
    said = line[1] if line else error.message
    return re.sub(r"^ *\(\d+\) \w+: |assertion failed: \[|\]$", "", said)
