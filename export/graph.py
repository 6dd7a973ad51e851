"""The serving graph: at most two instances of the network and the heads that the signatures return."""

from __future__ import annotations

from dataclasses import dataclass

import tensorflow as tf

from .heads.cells import WholeImages
from .images.checks import Bounds, refuse_unless
from .images.preprocessing import central_crop
from .images.source import ImageSource
from .networks.layers import Layers
from .plan import Plan
from .types import Tensor

_CROPS_AT_ONCE = 8  # enough to fill a processor; each takes some 50 MB of feature maps
CROP_LOGITS = "classify/logits:0"  # the tensor [N, C] behind `classify`, which no signature returns


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
    """Tensors of the current graph, inputs and outputs of the signatures. N images, C classes.

    Attributes:
        source: the images.
        classes: how many there are.
        whole: what is said of whole images; None where the network classifies only.
        crop_ranking: of the central crops.
        default_ranking: of whole images where it can be.
        class_ids: placeholder, int32 [ids], class_names: their names, string [ids].
    """

    def __init__(self, plan: Plan, layers: Layers) -> None:
        """Build everything in the current `tf.Graph`."""
        self._network = network = plan.network
        self._layers = layers
        self._top_k = plan.options.top_k
        self._names = tf.constant(plan.labels.names, tf.string, name="class_names")
        self.classes = len(plan.labels.names)
        self.source = ImageSource(Bounds.of(plan.options, network))
        self.whole: WholeImages | None = None
        if network.segments:
            self.whole = WholeImages(self.source, network, layers, self.classes, plan.options)
        with tf.name_scope("classify"):
            crop_logits = tf.identity(self._crop_logits(), "logits")
            self.crop_ranking = self._rank(crop_logits)
        with tf.name_scope("dense"):
            self.default_ranking = self._rank(self.whole.means) if self.whole else self.crop_ranking
        with tf.name_scope("labels"):
            self.class_ids = tf.compat.v1.placeholder(tf.int32, shape=None, name="class_ids")
            self.class_names = self._look_up_names(self.class_ids)

    def _crop_logits(self) -> Tensor:
        """Logits [N, C] of the central crops, a few in a batch: a request may hold thousands of tiny images."""

        def step(start: Tensor, logits: tf.TensorArray) -> tuple[Tensor, tf.TensorArray]:
            stop = tf.minimum(start + _CROPS_AT_ONCE, self.source.count)
            return stop, logits.scatter(tf.range(start, stop), self._logits_of_crops(start, stop))

        logits = tf.TensorArray(
            tf.float32, self.source.count, infer_shape=False, element_shape=[self.classes]
        )
        _, logits = tf.while_loop(
            lambda start, _: start < self.source.count, step, (tf.constant(0), logits), parallel_iterations=1
        )
        return logits.stack()

    def _logits_of_crops(self, start: Tensor, stop: Tensor) -> Tensor:
        side = self._network.crop
        (crops,) = self.source.map(
            lambda index: (central_crop(self.source.image(index), self._network),),
            tf.TensorSpec([side, side, 3]),
            start=start,
            stop=stop,
        )
        batch = tf.ensure_shape(crops.stack(), [None, side, side, 3])
        logits = self._network.logits(batch, self._layers, "VALID", self._network.stride)
        return tf.reduce_mean(tf.cast(logits, tf.float32), axis=[1, 2])

    def _rank(self, logits: Tensor) -> Ranking:
        probabilities = tf.nn.softmax(tf.ensure_shape(logits, [None, self.classes]))
        scores, ids = tf.math.top_k(probabilities, k=min(self._top_k, self.classes))
        return Ranking(ids, tf.gather(self._names, ids), scores, probabilities)

    def _look_up_names(self, ids: Tensor) -> Tensor:
        known = refuse_unless(
            tf.reduce_all((ids >= 0) & (ids < self.classes)),
            f"class_ids must lie between 0 and {self.classes - 1}",
        )
        with tf.control_dependencies([known]):
            return tf.gather(self._names, tf.identity(ids))
