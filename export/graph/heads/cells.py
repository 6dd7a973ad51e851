"""Images of any size through a fully convolutional network, and the scores of their cells back to their sizes."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from ...networks import Network
from ...plan.options import GraphOptions
from ...types import Padding, Tensor
from ..images.checks import refuse_unless
from ..images.preprocessing import pad_border, pad_to_grid, prepare
from ..images.source import ImageSource
from ..kernels.portable import VariableLayers
from .chosen_classes import ChosenClasses
from .guided import guided_label_map
from .label_map import (
    aligned_places,
    averaged,
    best_classes,
    bilinear_label_map,
    label_dtype,
    nearest_label_map,
    pooled,
    stretched_places,
)


def cell_logits(images: Tensor, network: Network, layers: VariableLayers, options: GraphOptions) -> Tensor:
    """Logits float32 [N, h, w, C] of images uint8 [N, H, W, 3]; the valid geometry needs `least_side` pixels a side."""
    net = images if layers.takes_pixels else prepare(images, network)
    net = pad_to_grid(net, network) if options.geometry == "aligned" else net
    return _logits(net, network, layers, options)


def network_logits(
    features: Tensor, network: Network, layers: VariableLayers, options: GraphOptions
) -> Tensor:
    """The network without what is around it: logits float32 [N, h, w, C] of prepared images [N, H, W, 3].

    In the aligned geometry, their sides are multiples of `network.multiple`, with its `surplus`. A network that only
    classifies takes crops.
    """
    net = pad_border(features, network) if options.geometry == "aligned" and network.segments else features
    return _logits(net, network, layers, options)


def _logits(net: Tensor, network: Network, layers: VariableLayers, options: GraphOptions) -> Tensor:
    padding: Padding = "SAME" if options.geometry == "aligned" and network.segments else "VALID"
    return tf.cast(network.logits(net, layers, padding, options.output_stride), tf.float32)


def full_size_labels(
    logits: Tensor,
    size: Tensor,
    image: Callable[[], Tensor],
    network: Network,
    options: GraphOptions,
    chosen: ChosenClasses | None = None,
) -> Tensor:
    """Label map [H, W] of an image whose cells have `logits` [h, w, C].

    Args:
        logits: float32.
        size: of the image, int32 [2].
        image: gives its pixels, uint8 [H, W, 3]; called where the label map follows them.
        network: that the logits are of.
        options: of the export.
        chosen: only these classes compete; without them all do.
    """
    scores = chosen.scores(logits) if chosen else logits
    best = _best_at_full_size(scores, size, image, network, options)
    return tf.cast(chosen.labels(best) if chosen else best, label_dtype(logits.shape[-1]))


def _best_at_full_size(
    logits: Tensor, size: Tensor, image: Callable[[], Tensor], network: Network, options: GraphOptions
) -> Tensor:
    if options.geometry == "aligned":
        places = aligned_places(size, network.spacing(options.output_stride), network.centre)
    else:
        places = stretched_places(size, tf.shape(logits)[:2])
    if options.pooling_window > 1:
        logits = pooled(logits, options.pooled_cells(network))
    if options.upsampling == "nearest":
        return nearest_label_map(logits, places)
    if options.output_stride in network.averaged_strides:
        logits = averaged(logits)
    if options.upsampling == "guided":
        return guided_label_map(logits, image(), places, options.guided_reach(network))
    return bilinear_label_map(logits, places)


class WholeImages:
    """Tensors of the current graph. N images, C classes.

    Attributes:
        logits: float32 [N, h, w, C] of the cells, for images of one size.
        labels: label [N, h, w], the best class of each cell.
        receptive_field: int32 [N], pixels that decide a cell of the label map, a side.
        means: float32 [N, C], the logits of each image.
        chosen: the classes that compete for labels in the label maps.
        label_map: label [N, H, W].
        label_png: string [N], the label maps as PNG.
    """

    def __init__(
        self,
        source: ImageSource,
        network: Network,
        layers: VariableLayers,
        classes: int,
        options: GraphOptions,
    ) -> None:
        """Build everything for the images of `source`: one instance of the network."""
        self._source = source
        self._network = network
        self._layers = layers
        self._classes = classes
        self._options = options
        with tf.name_scope("whole_images"):
            self._cells = source.map_batches(
                source.end_of_batch, self._logits_of_batch, tf.TensorSpec([None, None, classes])
            )
            self.logits = tf.identity(self._cells.stack(), "logits")
            self.labels = tf.cast(best_classes(self.logits), label_dtype(classes), "labels")
            self.receptive_field = tf.fill(
                [source.count], options.receptive_field(network), "receptive_field"
            )
        with tf.name_scope("dense"):
            self.means = source.map(self._dense_logits, tf.TensorSpec([classes])).stack()
        with tf.name_scope("segment"):
            self.chosen = ChosenClasses(classes)
            label_maps = source.map(self._label_map, tf.TensorSpec([None, None], label_dtype(classes)))
            self.label_map = tf.identity(label_maps.stack(), "label_map")
            label_pngs = source.map(
                lambda index: tf.io.encode_png(label_maps.read(index)[..., None]),
                tf.TensorSpec([], tf.string),
            )
            self.label_png = tf.identity(label_pngs.stack(), "label_png")

    def _logits_of_batch(self, start: Tensor, stop: Tensor) -> Tensor:
        """Logits [n, h, w, C] of images of one size."""
        images = self._source.batch(start, stop, tf.TensorSpec([None, None, 3], tf.uint8))
        if self._options.geometry == "valid":
            with tf.control_dependencies([self._refuse_below_window(start, self._source.sizes[start])]):
                images = tf.identity(images)
        return cell_logits(images, self._network, self._layers, self._options)

    def _refuse_below_window(self, index: Tensor, size: Tensor) -> tf.Operation:
        """Without padding, fc6 needs its whole window; a network without such a layer takes any image."""
        side = self._network.least_side
        return refuse_unless(
            tf.reduce_all(size >= side),
            "image ", index, " is ", size[1], "x", size[0], " pixels (width x height): this model was exported with "
            f"--geometry valid and takes images of at least {side}x{side}",
        )  # fmt: skip

    def _label_map(self, index: Tensor) -> Tensor:
        logits, size = self._cells.read(index), self._source.sizes[index]
        logits = tf.ensure_shape(logits, [None, None, self._classes])

        def image() -> Tensor:
            return self._source.batch(index, index + 1, tf.TensorSpec([None, None, 3], tf.uint8))[0]

        return full_size_labels(logits, size, image, self._network, self._options, self.chosen)

    def _dense_logits(self, index: Tensor) -> Tensor:
        """Mean of the logits whose fc6 window lies inside the feature map, of all where there are none: [C].

        Dense evaluation of arXiv:1409.1556, section 3.2. Without such a window, it is what pooling the features of all
        positions before the last layer gives.
        """
        logits = self._cells.read(index)
        if self._options.geometry == "aligned":
            outside = (self._network.window - 1) * (self._network.stride // self._options.output_stride)
            size = tf.shape(logits)
            fits = tf.reduce_all(size[:2] > outside)
            before, behind = (tf.where(fits, cells, 0) for cells in (outside // 2, outside - outside // 2))
            logits = logits[before : size[0] - behind, before : size[1] - behind]
        return tf.reduce_mean(logits, axis=[0, 1])
