"""A small network with batch normalization: its page, and the same in slim, trained and evaluated as slim does it.

Training is that of slim's train_image_classifier.py and evaluation that of its eval_image_classifier.py, with
`tf_slim.learning.train` for the loop and `Saver.restore` for the weights.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import tensorflow as tf
import tf_slim as slim
from slimserve.export.networks.layers import Convolution, Layers
from slimserve.export.networks.pages.vgg import VGG_16
from slimserve.export.types import Padding, Tensor
from slimserve.export.weights.folding import BatchNorm
from tf_slim.layers.utils import ops

v1 = tf.compat.v1
SCOPE = "trained"
CHANNELS = (8, 16, 16, 16, 16)
EPSILON = 1e-3
DECAY = 0.7
STEPS = 4


def _page(images: Tensor, layers: Layers, head_padding: Padding, output_stride: int) -> Tensor:
    net, norm = images, BatchNorm(EPSILON, scaled=True)
    for number, channels in enumerate(CHANNELS, 1):
        net = layers.max_pool(layers.conv(net, Convolution(f"conv{number}", channels, 3, norm=norm)))
    return layers.conv(net, Convolution("logits", None, 1, relu=False))


TRAINED = replace(
    VGG_16,
    name=SCOPE,
    scope=SCOPE,
    reference=None,
    logits=_page,
    output_strides=(32,),
    window=1,
    least_side=1,
    averaged_strides=(),
)


def in_slim(images: Tensor, classes: int, *, is_training: bool) -> Tensor:
    """Logits [N, h, w, classes] of prepared images."""
    # The statistics are updated in place: to collect the updates, tf-slim 1.1 takes a layer that Keras 3 lacks.
    norm = {
        "is_training": is_training,
        "scale": True,
        "epsilon": EPSILON,
        "decay": 0.5,
        "updates_collections": None,
    }
    with ExitStack() as stack:
        if not hasattr(ops, "Tensor"):  # which TensorFlow has moved since
            stack.enter_context(mock.patch.object(ops, "Tensor", tf.Tensor, create=True))
        stack.enter_context(v1.variable_scope(SCOPE))
        net = images
        for number, channels in enumerate(CHANNELS, 1):
            net = slim.conv2d(
                net, channels, 3, scope=f"conv{number}", normalizer_fn=slim.batch_norm, normalizer_params=norm
            )
            net = slim.max_pool2d(net, 2, scope=f"pool{number}")
        return slim.conv2d(net, classes, 1, activation_fn=None, scope="logits")


@dataclass(frozen=True)
class Training:
    """How a checkpoint is trained.

    Attributes:
        optimizer: makes it.
        averaged: what moving averages are kept of: "model" variables as slim's own script does, "trainable" ones as
            many scripts do, or "" for none.
        partitioner: of the variables.
        devices: that they are spread over, each with a shard of the checkpoint.
        version: of the checkpoint's format.
        start: a checkpoint to restore all but `excluded` scopes of, and go on from.
        excluded: see above.
        classes: of the last layer.
    """

    optimizer: Callable[[], Any] = lambda: v1.train.MomentumOptimizer(0.01, 0.9)
    averaged: str = ""
    partitioner: Any = None
    devices: int = 1
    version: int = 2
    start: Path | None = None
    excluded: tuple[str, ...] = ()
    classes: int = 4


def train(training: Training, folder: Path) -> Path:
    """Train for a few steps; return the prefix of the last checkpoint in `folder`."""
    rng = np.random.default_rng(11)
    images = rng.normal(0, 60, (8, 64, 64, 3)).astype(np.float32)
    labels = rng.integers(0, training.classes, 8)
    with tf.Graph().as_default() as graph:
        step = v1.train.get_or_create_global_step()
        places = {"trained/conv2": 1, "trained/conv4": 1, "trained/logits": 1} if training.devices > 1 else {}
        device = _placed(places)
        with graph.device(device), v1.variable_scope("", partitioner=training.partitioner):
            logits = in_slim(tf.constant(images), training.classes, is_training=True)
        loss = v1.losses.sparse_softmax_cross_entropy(labels, tf.reduce_mean(logits, [1, 2]))
        with graph.device(device):
            update = slim.learning.create_train_op(loss, training.optimizer(), step)
            if training.averaged:
                averages = v1.train.ExponentialMovingAverage(DECAY, step)
                of = slim.get_model_variables() if training.averaged == "model" else v1.trainable_variables()
                with tf.control_dependencies([update]):
                    apply = averages.apply(of)
                with tf.control_dependencies([apply]):
                    update = tf.identity(update)
        restore = None
        if training.start:
            variables = slim.get_variables_to_restore(exclude=[*training.excluded, "global_step"])
            own = [variable for variable in variables if variable in slim.get_model_variables()]
            restore = slim.assign_from_checkpoint_fn(str(training.start), own)
        slim.learning.train(
            update,
            str(folder),
            number_of_steps=STEPS,
            init_fn=restore,
            saver=v1.train.Saver(write_version=training.version, sharded=training.devices > 1),
            session_config=v1.ConfigProto(device_count={"CPU": training.devices}, allow_soft_placement=True),
            save_summaries_secs=0,
            save_interval_secs=0,  # its thread takes the step for an eager one; the end is saved anyway
            log_every_n_steps=100,
        )
    latest = v1.train.get_checkpoint_state(str(folder)).model_checkpoint_path
    return Path(latest)


def _placed(places: dict[str, int]) -> Callable[[Any], str]:
    return lambda op: next(
        (f"/device:CPU:{number}" for scope, number in places.items() if op.name.startswith(scope)),
        "/device:CPU:0",
    )


def evaluated(
    checkpoint: Path, images: Sequence[np.ndarray], classes: int, averaged: str = ""
) -> list[np.ndarray]:
    """Restore as slim's evaluation does, and return the logits [h, w, classes] of prepared images [H, W, 3]."""
    with tf.Graph().as_default(), v1.Session() as session:
        pixels = v1.placeholder(tf.float32, [1, None, None, 3])
        logits = in_slim(pixels, classes, is_training=False)
        restored: Any = slim.get_model_variables()
        if averaged:
            averages = v1.train.ExponentialMovingAverage(DECAY)
            restored = averages.variables_to_restore(restored if averaged == "model" else None)
        v1.train.Saver(restored).restore(session, str(checkpoint))
        return [session.run(logits, {pixels: image[None]})[0] for image in images]
