"""What lies outside of a network's scope in a checkpoint, and what it means for what is exported.

A training may have a second network there, a new last layer, averages or masks of the network's own variables.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Container, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from .contents import Checkpoint
from .recognition import AVERAGE, Place, whole_networks
from .weight_sets import FLOATS, NetworkWeights, listed

# tf.train's optimizers name what they keep of a variable after themselves. These are all that slim's training offers.
SLOT = re.compile(r"(Adadelta|Adagrad|Adam|Ftrl|Momentum|RMSProp)(_\d+)?")
PRUNED = re.compile(r"(^|/)(\w*_)?(mask|threshold)$")  # what model_pruning keeps of a layer


@dataclass(frozen=True)
class Outside:
    """What means something of the tensors outside."""

    networks: tuple[Place, ...]  # that are whole
    averages: tuple[str, ...]  # moving averages by TensorFlow's name, of no such network
    copies: tuple[str, ...]  # named after variables of the exported network, and of their shapes
    masks: tuple[str, ...]  # of the shapes of its filters
    weights: tuple[str, ...]  # of none of these, such as another last layer

    def notes(self, weights: NetworkWeights) -> tuple[str, ...]:
        """What is said of it, a sentence each."""
        notes = [_left_out(other, weights.place) for other in self.networks]
        if self.averages and weights.set == "raw":
            notes.append(
                f"{len(self.averages)} moving averages lie outside of the network's scope, such as {self.averages[0]}: "
                "the raw weights are exported"
            )
        if self.copies:
            notes.append(
                f"{len(self.copies)} tensors outside of the network's scope are named after its variables, such as "
                f"{self.copies[0]}: where they are moving averages by another name, what is exported are not the "
                "averages"
            )
        return tuple(notes)

    def warnings(self, place: Place) -> tuple[str, ...]:
        """What the user should know and can change, a sentence each."""
        if not self.weights:
            return ()
        net, expected = place.network.name, place.network.expected_variables()
        last = place.tensor(next(name for name, shape in expected.items() if None in shape))
        return (
            f"{len(self.weights)} variables outside of {net}'s scope are not exported ({listed(self.weights)}): "
            f"answers are those of its own last layer, {last.rpartition('/')[0]}; where another was trained in its "
            "place, save that one by this name",
        )


def outside(weights: NetworkWeights, names: Sequence[str]) -> Outside:
    """Tell what these tensors outside of the network's scope are, by their names, shapes and dtypes."""
    checkpoint, place = weights.checkpoint, weights.place
    own = place.tensors
    networks = tuple(
        other for other in (whole_networks(checkpoint) if names else []) if own.isdisjoint(other.tensors)
    )
    others = tuple(start for other in networks for start in (*other.starts, *other.tensors))
    variables = {name: weights.tensors[name].shape for name in weights.tensors}
    variables |= {place.tensor(name): shape for name, shape in variables.items()}
    lengths = {name.count("/") + 1 for name in variables}
    filters = {shape for shape in variables.values() if len(shape) > 1}
    averages, copies, masks, left = [], [], [], []
    for name in names:
        spec, base = checkpoint.tensors[name], name.removesuffix(AVERAGE)
        if name.startswith(others) or not spec.shape or spec.dtype not in FLOATS:
            continue
        original = _named_after(base, variables, lengths)
        if name != base:
            averages.append(name)
        elif PRUNED.search(name) and spec.shape in filters:
            masks.append(name)
        elif original and spec.shape == variables[original] and not SLOT.fullmatch(name.rpartition("/")[2]):
            copies.append(name)
        elif not original and not _is_kept_of_another(name, checkpoint):
            left.append(name)
    return Outside(networks, tuple(averages), tuple(copies), tuple(masks), tuple(left))


def _named_after(name: str, variables: Container[str], lengths: Collection[int]) -> str | None:
    """The variable, of a name of so many parts, whose name is a part of this one: avg/InceptionV1/Conv/weights/avg."""
    parts = name.split("/")
    inner = ("/".join(parts[at : at + length]) for at in range(len(parts)) for length in lengths)
    return next((part for part in inner if part in variables), None)


def _is_kept_of_another(name: str, checkpoint: Checkpoint) -> bool:
    """Whether it is what an optimizer, or whoever, keeps of another variable: new_fc/weights/Momentum."""
    return any(str(parent) in checkpoint.tensors for parent in PurePosixPath(name).parents)


def _left_out(other: Place, place: Place) -> str:
    """What is said of another network, with the options that mean it."""
    named = other.network.name != place.network.name
    options = [f"--net {other.network.name}"] if named else []
    if other.scope or not named:
        options.append(f"--scope {other.scope or repr('')}")
    where = f"below {other.scope}/ " if other.scope else ""
    return (
        f"{other.network.name} is there {where}too, which is left out: {' '.join(options)} exports that one"
    )
