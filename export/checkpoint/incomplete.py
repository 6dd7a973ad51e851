"""What a checkpoint is that lacks variables of its network, and what seems to stand in their place."""

from __future__ import annotations

import re
from collections.abc import Sequence
from os.path import commonpath

from .contents import Checkpoint
from .recognition import OBJECT_BASED, Place

_PART = re.compile(r"/part_\d+$")  # of a partitioned variable in a dict that was given to a Saver


def why_incomplete(checkpoint: Checkpoint, place: Place, missing: Sequence[str]) -> str:
    """Say what a checkpoint without these variables is, and what seems to stand in their place."""
    network = place.network
    if any(name.endswith(OBJECT_BASED) for name in checkpoint.tensors):
        return "tf.train.Checkpoint or Keras wrote it, not slim: save it with tf.compat.v1.train.Saver"
    part = next((name for name in checkpoint.tensors if _PART.search(name)), None)
    if part:
        return (
            f"it is no complete {network.name}; {part} is a part saved by a name of its own: save the variables "
            "themselves"
        )
    expected = network.expected_variables()
    known = {place.tensor(variable) for variable in expected}
    wanted, shape = place.tensor(missing[0]), expected[missing[0]]
    alike = [
        name
        for name, spec in checkpoint.tensors.items()
        if name.startswith(place.prefix)
        and name not in known
        and name.rpartition("/")[0] not in known  # what an optimizer keeps of a variable
        and len(spec.shape) == len(shape)
        and all(map(fits_shape, spec.shape, shape))
    ]
    if alike:
        nearest = max(alike, key=lambda name: len(commonpath([name, wanted])))
        of_first = f"{nearest} has the shape of the first"
        return f"it is no complete {network.name}; {of_first}, by a name that slim does not give"
    if set(missing) == {variable for variable, sides in expected.items() if None in sides}:
        return f"it is {network.name} without its last layer; export a checkpoint of the training, which has all of it"
    return f"it is no complete {network.name}"


def fits_shape(size: int, wanted: int | None) -> bool:
    """Whether a side of a shape is the wanted one; None wants any number of classes."""
    return size == wanted or (wanted is None and size > 0)
