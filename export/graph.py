"""The serving graph: two instances of the network and the heads that the signatures return."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import tensorflow as tf

from export.errors import ExportError
from export.image_checks import refuse_unless
from export.image_source import ImageSource
from export.networks.network import Geometry, Layers, Network, Tensor
from export.preprocessing import central_crop
from export.segmentation import coarse_labels, label_dtype
from export.whole_image import Upsampling, cell_logits, full_size_labels

Target = Literal["portable", "x86"]
Precision = Literal["float32", "bfloat16", "int8"]
CROP_LOGITS = "classify/logits:0"  # the tensor [N, C] behind `classify`, which no signature returns


@dataclass(frozen=True)
class GraphOptions:
    """What the user chose of the graph; see `python -m export --help`."""

    geometry: Geometry = "aligned"
    upsampling: Upsampling = "bilinear"
    top_k: int = 5
    max_pixels: int = 2048 * 2048
    output_stride: int = 32
    target: Target = "portable"
    precision: Precision = "float32"

    def require(self, network: Network) -> None:
        """Raise ExportError where `network` lacks what is chosen."""
        if self.output_stride not in network.output_strides:
            choices = " or ".join(map(str, network.output_strides))
            raise ExportError(
                f"{network.name} has no output stride of {self.output_stride}: --output-stride must be {choices}"
            )
        if self.geometry not in network.geometries:
            raise ExportError(
                f"{network.name} pads its images: --geometry must be {' or '.join(network.geometries)}"
            )


@dataclass(frozen=True)
class Ranking:
    """The k best classes of each image, best first.

    Attributes:
        ids: int32 [N, k].
        names: string [N, k].
        scores: float32 [N, k], the probabilities of these classes.
        probabilities: float32 [N, C] of all classes.
    """

    ids: Tensor
    names: Tensor
    scores: Tensor
    probabilities: Tensor


class ServingGraph:
    """Tensors of the current graph, inputs and outputs of the signatures. N images, C classes."""

    def __init__(
        self,
        network: Network,
        layers: Layers,
        class_names: Sequence[str],
        options: GraphOptions,
    ) -> None:
        """Build everything in the current `tf.Graph`."""
        self._network = network
        self._layers = layers
        self._options = options
        self._names = tf.constant(list(class_names), tf.string, name="class_names")
        self._classes = len(class_names)
        self.source = ImageSource(options.max_pixels)
        with tf.name_scope("whole_images"):
            self._cells, self._sizes = self.source.map(
                self._whole_image, tf.TensorSpec([None, None, self._classes]), tf.TensorSpec([2], tf.int32)
            )
            self.logits = tf.identity(self._cells.stack(), "logits")
            self.labels = tf.identity(coarse_labels(self.logits), "labels")
        with tf.name_scope("dense"):
            (means,) = self.source.map(self._dense_logits, tf.TensorSpec([self._classes]))
            self.dense_ranking = self._rank(means.stack())
        with tf.name_scope("segment"):
            (label_maps,) = self.source.map(
                self._label_map, tf.TensorSpec([None, None], label_dtype(self._classes))
            )
            self.label_map = tf.identity(label_maps.stack(), "label_map")
            (label_pngs,) = self.source.map(
                lambda index: (tf.io.encode_png(label_maps.read(index)[..., None]),),
                tf.TensorSpec([], tf.string),
            )
            self.label_png = tf.identity(label_pngs.stack(), "label_png")
        with tf.name_scope("classify"):
            crop_logits = tf.identity(self._crop_logits(), "logits")
            self.crop_ranking = self._rank(crop_logits)
        with tf.name_scope("labels"):
            self.class_ids = tf.compat.v1.placeholder(tf.int32, shape=None, name="class_ids")
            self.class_names = self._look_up_names(self.class_ids)

    def _whole_image(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Logits [h, w, C] and size [2] of one image."""
        image = self.source.image(index)
        size = tf.shape(image)[:2]
        if self._options.geometry == "valid":
            with tf.control_dependencies([self._refuse_below_window(index, size)]):
                image = tf.identity(image)
        options = self._options
        return cell_logits(image, self._network, self._layers, options.geometry, options.output_stride), size

    def _refuse_below_window(self, index: Tensor, size: Tensor) -> tf.Operation:
        side = self._network.crop
        return refuse_unless(
            tf.reduce_all(size >= side),
            "image ", index, " is ", size[1], "x", size[0], " pixels (width x height): this model was exported with "
            f"--geometry valid and takes images of at least {side}x{side}",
        )  # fmt: skip

    def _label_map(self, index: Tensor) -> tuple[Tensor]:
        logits, size = self._cells.read(index), self._sizes.read(index)
        logits = tf.ensure_shape(logits, [None, None, self._classes])
        options = self._options
        labels = full_size_labels(
            logits, size, self._network, options.geometry, options.upsampling, options.output_stride
        )
        return (labels,)

    def _dense_logits(self, index: Tensor) -> tuple[Tensor]:
        """Mean of the logits whose fc6 window lies inside the feature map, of all where there are none: [C].

        Dense evaluation of arXiv:1409.1556, section 3.2.
        """
        logits = self._cells.read(index)
        if self._options.geometry == "aligned":
            margin = self._network.window // 2 * (self._network.stride // self._options.output_stride)
            fits = tf.reduce_all(tf.shape(logits)[:2] > 2 * margin)
            margin = tf.where(fits, margin, 0)
            size = tf.shape(logits)
            logits = logits[margin : size[0] - margin, margin : size[1] - margin]
        return (tf.reduce_mean(logits, axis=[0, 1]),)

    def _crop_logits(self) -> Tensor:
        """Logits [N, C] of the central crops, all in one batch."""
        side = self._network.crop
        (crops,) = self.source.map(
            lambda index: (central_crop(self.source.image(index), self._network),),
            tf.TensorSpec([side, side, 3]),
        )
        batch = tf.ensure_shape(crops.stack(), [None, side, side, 3])
        logits = self._network.logits(batch, self._layers, "VALID", self._network.stride)
        logits = tf.cast(logits, tf.float32)
        return tf.reduce_mean(logits, axis=[1, 2])

    def _rank(self, logits: Tensor) -> Ranking:
        probabilities = tf.nn.softmax(tf.ensure_shape(logits, [None, self._classes]))
        scores, ids = tf.math.top_k(probabilities, k=min(self._options.top_k, self._classes))
        return Ranking(ids, tf.gather(self._names, ids), scores, probabilities)

    def _look_up_names(self, ids: Tensor) -> Tensor:
        known = refuse_unless(
            tf.reduce_all((ids >= 0) & (ids < self._classes)),
            f"class_ids must lie between 0 and {self._classes - 1}",
        )
        with tf.control_dependencies([known]):
            return tf.gather(self._names, tf.identity(ids))
