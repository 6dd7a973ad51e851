"""The serving graph: at most three instances of the network and the heads that the signatures return."""

from __future__ import annotations

import tensorflow as tf

from ..networks import Network
from ..plan.plan import Plan
from .heads.cells import WholeImages, network_logits
from .heads.crops import central_crop_logits
from .heads.ranking import ClassNames
from .images.checks import Bounds
from .images.source import ImageSource
from .kernels.portable import VariableLayers

CROP_LOGITS = "classify/logits:0"  # the tensor [N, C] that `classify` ranks, which no signature returns


def evaluation_scope(network: Network) -> str:
    """The scope of what `classify` returns: of what a server says of a model, tensors' names alone can carry it.

    The client's `metadata` reads it there.
    """
    return f"preprocessing_{network.preprocessing.name}/crop_{network.crop}"


class ServingGraph:
    """Tensors of the current graph, inputs and outputs of the signatures. N images, C classes.

    Attributes:
        source: the images.
        classes: how many there are, all_names: their names, string [C].
        whole: what is said of whole images; None where the network classifies only.
        crop_ranking: of the central crops.
        default_ranking: of whole images where it can be.
        class_ids: placeholder, int32 [ids], class_names: their names, string [ids].
        features: placeholder, float32 [N, H, W, 3], prepared images.
        network_logits: float32 [N, h, w, C] of these, by the network alone: no loop, string or assertion.
    """

    def __init__(self, plan: Plan, layers: VariableLayers) -> None:
        """Build everything in the current `tf.Graph`."""
        network, top_k = plan.network, plan.options.top_k
        names = ClassNames(plan.labels.names)
        self.classes, self.all_names = len(plan.labels.names), names.all
        self.source = ImageSource(Bounds.of(plan.options, network))
        self.whole: WholeImages | None = None
        if network.segments:
            self.whole = WholeImages(self.source, network, layers, self.classes, plan.options)
        with tf.name_scope("classify"):
            crops = tf.identity(central_crop_logits(self.source, network, layers, self.classes), "logits")
            with tf.name_scope(evaluation_scope(network)):
                self.crop_ranking = names.rank(crops, top_k)
        with tf.name_scope("dense"):
            self.default_ranking = names.rank(self.whole.means, top_k) if self.whole else self.crop_ranking
        with tf.name_scope("labels"):
            self.class_ids = tf.compat.v1.placeholder(tf.int32, shape=None, name="class_ids")
            self.class_names = names.look_up(self.class_ids)
        with tf.name_scope("network"):
            side = None if network.segments else network.crop
            self.features = tf.compat.v1.placeholder(tf.float32, [None, side, side, 3], name="features")
            logits = network_logits(self.features, network, layers.without_loops(), plan.options)
            self.network_logits = tf.identity(logits, "logits")
