"""The weights that are exported of a checkpoint, and why what is left over does not matter."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from ..errors import ExportError
from ..types import WeightSet
from .contents import Checkpoint
from .look_alikes import what_else_it_is
from .outside import PRUNED, SLOT, outside
from .recognition import AVERAGE, Place
from .weight_sets import NetworkWeights, listed

# A second classifier that slim's Inception networks and NASNets have while they are trained.
_AUXILIARY = re.compile(r"(AuxLogits|aux_\d+/aux_logits)/")
_STEPS = ("global_step", "beta1_power", "beta2_power")
# What answers do not depend on, whatever lies above it: slim's evaluation does not restore it.
_RANGE = re.compile(r"(^|/)\w*_quant/(.*/)?(min|max)(/(biased|local_step))?$")  # of act_quant, weights_quant
_OF_TRAINING = re.compile(r"/renorm_(mean|stddev)(_weight)?$|/moving_(mean|variance)/(biased|local_step)$")

_OF_PRUNED = (
    ": it was pruned, and its weights count only where their masks do; multiply each layer's weights by its mask, and "
    "save the network's variables alone"
)

UNKNOWN = "variables that the network never uses"
OTHER_SET = "the other set of weights"
SLOTS = "what the optimizer keeps of each variable (Momentum, Adam, RMSProp), for training only"
BESIDE = "tensors beside the variables, of no optimizer that slim has"
AUXILIARY = "the auxiliary classifier, for training only"
MEAN = "the mean colour, which the export subtracts anyway"
RANGES = "ranges of training with quantization in mind, which float answers do not need"
NORMALIZATION = "what batch normalization keeps besides its mean and variance, for training only"
SCALARS = "single numbers in the network's scope, which none of slim's networks has"
STEP = "the step, and the optimizer's own numbers"
OUTSIDE = "variables outside of the network's scope"


def left_over(weights: NetworkWeights) -> Mapping[str, list[str]]:
    """Return the tensors that are not exported, by the reason why not."""
    prefix, starts = weights.place.prefix, weights.place.starts
    used = set(weights.names.values())
    own = weights.place.tensors
    found: dict[str, list[str]] = defaultdict(list)
    for name in weights.checkpoint.tensors:
        if name not in used:
            found[_reason(name, prefix, own, starts)].append(name)
    if scalars := _untrained_scalars(found[UNKNOWN], weights.checkpoint):
        found[SCALARS] = scalars
        found[UNKNOWN] = [name for name in found[UNKNOWN] if name not in scalars]
    return {reason: names for reason, names in found.items() if names}


def _untrained_scalars(names: Sequence[str], checkpoint: Checkpoint) -> list[str]:
    """Those of one number, such as counters; one that an optimizer keeps something of could be the network's factor."""
    kept = [name for name in names if SLOT.fullmatch(name.rpartition("/")[2]) or name.endswith(AVERAGE)]
    trained = {name.rpartition("/")[0] for name in kept}
    return [
        name
        for name in names
        if not checkpoint.tensors[name].shape and name not in kept and name not in trained
    ]


def _reason(name: str, prefix: str, own: set[str], starts: tuple[str, ...]) -> str:
    if name.removesuffix(AVERAGE) in own:
        return OTHER_SET
    if _RANGE.search(name):
        return RANGES
    if _OF_TRAINING.search(name):
        return NORMALIZATION
    if any(str(parent) in own for parent in PurePosixPath(name).parents):
        return SLOTS if SLOT.fullmatch(name.removesuffix(AVERAGE).rpartition("/")[2]) else BESIDE
    if name.startswith(prefix) and _AUXILIARY.match(name, len(prefix)):
        return AUXILIARY
    if name == f"{prefix}mean_rgb":
        return MEAN
    if name.rpartition("/")[2] in _STEPS:
        return STEP
    return UNKNOWN if name.startswith(starts) else OUTSIDE


def select(checkpoint: Checkpoint, place: Place, weights: WeightSet | None = None) -> NetworkWeights:
    """Return the weights that are meant, every variable of the network checked but not read.

    Args:
        checkpoint: open.
        place: where the network is in it.
        weights: which set of them; needed where both are complete.

    Raises:
        ExportError: the checkpoint does not hold the network, or does not hold it alone in its scope, for a variable
            that the network does not use means that it is another one; or a choice is missing.
    """
    found = NetworkWeights(checkpoint, place, weights)
    left = left_over(found)
    if RANGES in left:
        found.notes += (
            f"{len(left[RANGES])} ranges of training with quantization in mind are left out: answers are those of "
            "slim's evaluation without --quantize, and are not rounded as in that training",
        )
    if beside := left.get(BESIDE):
        found.notes += (
            f"{len(beside)} tensors that lie beside variables are not exported, such as {beside[0]}: where they are "
            "moving averages by another name, what is exported are not the averages",
        )
    if scalars := left.get(SCALARS):
        found.notes += (
            "single numbers in the network's scope are left out, as no network of slim has such variables: "
            f"{listed(scalars)}",
        )
    beyond = outside(found, left.get(OUTSIDE, []))
    found.notes += beyond.notes(found)
    found.warnings += beyond.warnings(place)
    unknown = left.get(UNKNOWN, [])
    pruned = [name for name in (*unknown, *left.get(BESIDE, []), *beyond.masks) if PRUNED.search(name)]
    if pruned or unknown:
        net = place.network.name
        raise ExportError(
            f"{checkpoint.path} is not {net} alone: it also has {listed(pruned or unknown)}, which {net} never uses"
            f"{_OF_PRUNED if pruned else _why_unknown(unknown, found)}"
        )
    return found


def _why_unknown(names: Sequence[str], weights: NetworkWeights) -> str:
    """What variables that a network lacks say of the training, and what to do."""
    own = [weights.place.tensor(variable) for variable in weights.names]
    others = [name.removesuffix(AVERAGE) for name in names]
    if said := what_else_it_is([*others, *own], own, weights.place.network.name):
        return f": {said}"
    if all(name.endswith("/gamma") for name in names):
        return (
            ": batch normalization was trained with a scale, which slim's network has not; multiply each layer's "
            "weights and moving_mean by its gamma, and save them without it"
        )
    return "; where its answers do not depend on them, save a checkpoint without them"
