"""The statistics of batch normalization: whether a training ever moved them from what every network begins with.

slim keeps their updates in a collection, and a training loop that does not run it leaves them as they were: such a
network learns, and answers otherwise once it is evaluated.
"""

from __future__ import annotations

from .weight_sets import NetworkWeights

BEGINNINGS = {"/moving_mean": 0.0, "/moving_variance": 1.0}

NEVER_MOVED = (
    "every moving_mean is 0 and every moving_variance 1, as before training: unless it was trained with "
    "is_training=False, the network answers otherwise than in training; run the updates in tf.GraphKeys.UPDATE_OPS "
    "with every step, as slim.learning.create_train_op does, and train on"
)


def statistics_warnings(weights: NetworkWeights) -> tuple[str, ...]:
    """Return what to tell of statistics that are all as a network begins with; nothing where it has none.

    Of most checkpoints one variable is read.

    Raises:
        ExportError: one is damaged, or holds NaN, infinite values or negative variances.
    """
    begun = {
        name: value for name in weights.tensors for leaf, value in BEGINNINGS.items() if name.endswith(leaf)
    }
    for name, value in begun.items():
        if (weights.read(name) != value).any():
            return ()
    return (NEVER_MOVED,) if begun else ()
