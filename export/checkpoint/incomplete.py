"""What a checkpoint is that lacks variables of its network, and what seems to stand in their place."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import takewhile

from .contents import Checkpoint
from .look_alikes import what_else_it_is
from .recognition import AVERAGE, OBJECT_BASED, Place

_PART = re.compile(r"/part_\d+$")  # of a partitioned variable in a dict that was given to a Saver
_NEUTRAL = ("beta", "biases", "gamma")


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
    if said := what_else_it_is(
        [name.removesuffix(AVERAGE) for name in checkpoint.tensors], known, network.name
    ):
        return said
    if any(name.endswith(":0") for name in checkpoint.tensors):
        return (
            "its names end with :0, as tensors' do: save the variables by their own names (variable.op.name)"
        )
    wanted, shape = place.tensor(missing[0]), expected[missing[0]]
    alike = {
        name: _shared(name, wanted)
        for name, spec in checkpoint.tensors.items()
        if name not in known
        and name.rpartition("/")[0] not in known  # what an optimizer keeps of a variable
        and spec.fits(shape)
    }
    if len(shape) == 1:  # any vector has the shape of a bias: one of the same layer may stand for it
        alike = {name: shared for name, shared in alike.items() if shared > place.prefix.count("/")}
    if alike:
        nearest = max(alike, key=lambda name: (alike[name], _shared(name, wanted, -1)))
        of_first = f"{nearest} has the shape of the first"
        return f"it is no complete {network.name}; {of_first}, by a name that slim does not give"
    if all(name.endswith(_NEUTRAL) for name in missing):
        return (
            f"it is no complete {network.name}; where it was trained without them, save zeros (beta, biases) or ones "
            "(gamma) by these names too"
        )
    if set(missing) == {variable for variable, sides in expected.items() if None in sides}:
        return f"it is {network.name} without its last layer; export a checkpoint of the training, which has all of it"
    return f"it is no complete {network.name}"


def _shared(name: str, other: str, step: int = 1) -> int:
    """The number of scopes that two names share from their beginning, or with a step of -1 from their end."""
    pairs = zip(name.split("/")[::step], other.split("/")[::step], strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
