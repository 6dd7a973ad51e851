"""The float32 network in a session, its activations counted: what 8 bits are calibrated on and compared with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType

import tensorflow as tf

from ..checkpoint.contents import Checkpoint
from ..graph import ServingGraph
from ..heads.cells import cell_logits
from ..images.decoding import ImageDecoder
from ..images.preprocessing import central_crop
from ..kernels.portable import VariableLayers
from ..networks.network import Network, Tensor
from ..options import GraphOptions
from ..weights.recipes import ModelVariables, make_variables
from .activations import Recorded, RecordingLayers


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
