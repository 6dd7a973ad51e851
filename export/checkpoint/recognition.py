"""Which network a checkpoint holds, and below which scope: slim keeps the variables of each in a scope of its own."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from ..errors import ExportError
from ..networks import NETWORKS, Network
from .contents import Checkpoint
from .look_alikes import what_else_it_is

AVERAGE = "/ExponentialMovingAverage"  # behind the name of a variable: tf.train.ExponentialMovingAverage
OBJECT_BASED = "/.ATTRIBUTES/VARIABLE_VALUE"


@dataclass(frozen=True)
class Place:
    """A network in a checkpoint."""

    network: Network
    prefix: str  # of its variables' names, in place of its own scope: "tower_0/vgg_16/"
    notes: tuple[str, ...] = ()  # what was guessed or left out, a sentence each

    def tensor(self, variable: str) -> str:
        """Return the name that a variable of the network has in the checkpoint."""
        return self.prefix + variable.removeprefix(self.network.prefix)

    @property
    def scope(self) -> str:
        """What `--scope` says to mean this place."""
        return self.prefix.removesuffix("/").removesuffix(self.network.scope).removesuffix("/")

    @property
    def tensors(self) -> set[str]:
        """The names that all variables of the network have in the checkpoint."""
        return {self.tensor(variable) for variable in self.network.expected_variables()}

    @property
    def starts(self) -> tuple[str, ...]:
        """What the names of all tensors in its scope, or in its several scopes, start with."""
        owned = self.network.owned
        return (
            (self.prefix,) if self.prefix and not owned else tuple(f"{self.prefix}{start}" for start in owned)
        )

    @property
    def output_stride(self) -> int:
        """What tf-image-segmentation trained at, which it says in a scope above: resnet_v1_50_8s; 0 elsewhere."""
        stride = re.fullmatch(rf"{self.network.name}_(8|16|32)s", self.scope.rpartition("/")[2])
        return int(stride[1]) if stride else 0


def find_network_in(checkpoint: Checkpoint, wanted: Network | None = None, scope: str | None = None) -> Place:
    """Return the network that a checkpoint holds, which is whole where the scope had to be guessed.

    One that comes in several variants is that of the checkpoint's variables.

    Args:
        checkpoint: any.
        wanted: the network that it shall be.
        scope: below which its variables are, with the network's own scope behind it or in its place.

    Raises:
        ExportError: the checkpoint holds another network than the wanted one, none, or several and none is wanted.
    """
    place = _found(checkpoint, wanted, scope)
    _require_own_head(checkpoint, place)
    return _as_stored(checkpoint, place)


def whole_networks(checkpoint: Checkpoint) -> list[Place]:
    """Return where all variables of a network are, or their averages; none that is a part of another network."""
    return _places(checkpoint, _variables(checkpoint), NETWORKS.values())


def _variables(checkpoint: Checkpoint) -> set[str]:
    """The names of all tensors; of moving averages those of their variables."""
    return {name.removesuffix(AVERAGE) for name in checkpoint.tensors}


def _require_own_head(checkpoint: Checkpoint, place: Place) -> None:
    """Refuse a network whose features another network's last layer scores.

    That is DeepLab's, whose last layer lies outside of its backbone's scope: the backbone may have kept one of its own,
    which what came later was not trained with.
    """
    names, net, starts = _variables(checkpoint), place.network.name, place.starts
    behind_backbones: dict[str, list[Network]] = {}
    for network in NETWORKS.values():
        if not (network.known_by and network.segments):
            continue
        head = next(name for name, shape in network.expected_variables().items() if None in shape)
        if head not in place.network.expected_variables():
            behind_backbones.setdefault(head, []).append(network)
    for head, networks in behind_backbones.items():
        for name in sorted(name for name in names if f"/{name}".endswith(f"/{head}")):
            base = name.removesuffix(head)
            firsts = [base + network.known_by[0] for network in networks]
            elsewhere = any(first in names and not first.startswith(starts) for first in firsts)
            if elsewhere or name.startswith(starts):
                continue
            said = f"{checkpoint.path} is not {net} alone: {name} scores its features"
            for network in networks:
                if all(base + variable in names for variable in network.known_by):
                    other = network.name
                    raise ExportError(
                        f"{said}, as the last layer of {other} does; say --net {other}, or leave --net out"
                    )
            raise ExportError(
                f"{said}, and {what_else_it_is(names, place.tensors, net)}; train a network that is exported, or, to "
                "classify, give the checkpoint that this training began with"
            )


def _as_stored(checkpoint: Checkpoint, place: Place) -> Place:
    if place.network.as_stored is None:
        return place
    below = [name for name in checkpoint.tensors if name.startswith(place.prefix)]
    shapes = {
        name.removeprefix(place.prefix).removesuffix(AVERAGE): checkpoint.tensors[name].shape
        # The raw ones come last, and count.
        for name in sorted(below, key=lambda name: not name.endswith(AVERAGE))
    }
    network = place.network.as_stored(shapes)
    note = f"the variables are those of a {network.name} {network.variant}"
    return replace(place, network=network, notes=(*place.notes, note))


def _found(checkpoint: Checkpoint, wanted: Network | None, scope: str | None) -> Place:
    names = _variables(checkpoint)
    networks = [wanted] if wanted else list(NETWORKS.values())
    if scope is not None:
        return _below(checkpoint, names, networks, scope.strip("/"))
    scopes = Counter(name.partition("/")[0] for name in names if "/" in name)
    known = NETWORKS.values()
    held = [network for network in known if network.known_by and names.issuperset(network.known_by)]
    held = held or [network for network in known if network.scope in scopes]
    if wanted and (wanted in held or wanted.scope in scopes):
        held = [wanted]
    if not held:
        return _guessed(checkpoint, names, networks, scopes)
    if len(held) > 1 and not wanted:
        called = " and ".join(network.name for network in held)
        raise ExportError(f"{checkpoint.path} holds {called}: say which with --net")
    if wanted and wanted not in held:
        if any(place.network is wanted for place in whole_networks(checkpoint)):
            return _guessed(checkpoint, names, networks, scopes)
        called = " and ".join(network.name for network in held)
        raise ExportError(
            f"{checkpoint.path} is not {wanted.name}: it holds {called}, its variables {_begin(held[0])}; "
            f"say --net {held[0].name}, or leave --net out"
        )
    network = held[0]
    others = [place for place in _places(checkpoint, names, held) if place.prefix != network.prefix]
    if len(others) == 1 and names.isdisjoint(
        network.expected_variables()
    ):  # of its scope only the name is there
        return _guessed(checkpoint, names, held, scopes)
    return Place(network, network.prefix)


def _below(checkpoint: Checkpoint, names: Collection[str], networks: list[Network], scope: str) -> Place:
    """The network whose variables, or whose own scope, are below `scope`."""
    above = f"{scope}/" if scope else ""
    places = [
        place
        for place in _places(checkpoint, names, networks)
        if place.prefix in (above, f"{above}{place.network.prefix}")
    ]
    begun = [
        network for network in networks if any(name.startswith(f"{above}{network.scope}/") for name in names)
    ]
    if places or begun:
        return places[0] if places else Place(begun[0], f"{above}{begun[0].scope}/")
    known = _places(checkpoint, names, networks)
    hint = f"; {_choices(known)}" if known else ""
    raise ExportError(f"{checkpoint.path} holds no network below {scope or 'no scope'}/{hint}")


def _guessed(
    checkpoint: Checkpoint, names: Collection[str], networks: list[Network], scopes: Counter[str]
) -> Place:
    """The only network that is whole below another scope than its own."""
    places = _places(checkpoint, names, networks)
    if len(places) == 1:
        place = places[0]
        said = f"the variables of {place.network.name} are below {place.prefix or 'no scope'}"
        return Place(place.network, place.prefix, (f"{said}, as --scope {place.scope or repr('')} says",))
    if places:
        raise ExportError(f"{checkpoint.path} holds {len(places)} networks: {_choices(places)}")
    for network in networks:
        for name in names:
            if f"/{network.scope}/" in name:  # not whole, which will be told
                return Place(network, f"{name.partition(f'/{network.scope}/')[0]}/{network.scope}/")
    if any(name.endswith(OBJECT_BASED) for name in names):
        raise ExportError(
            f"{checkpoint.path} was written by tf.train.Checkpoint or Keras, not by slim: save it with "
            "tf.compat.v1.train.Saver"
        )
    example = (
        f"start with {scopes.most_common(1)[0][0]}/" if scopes else f"are such as {min(names, default='')}"
    )
    if len(networks) == 1:
        others = _places(checkpoint, names, NETWORKS.values())
        called = f"it holds {others[0].network.name}, " if others else ""
        raise ExportError(f"{checkpoint.path} is not {networks[0].name}: {called}its variables {example}")
    raise ExportError(
        f"{checkpoint.path} holds none of the networks that can be exported, which `python -m export --help` lists: "
        f"its variables {example}"
    )


def _begin(network: Network) -> str:
    return f"start with {network.scope}/" if network.scope else f"are such as {network.known_by[0]}"


def _choices(places: Iterable[Place]) -> str:
    return "say " + " or ".join(
        f"--scope {place.scope or repr('')} for {place.network.name}" for place in places
    )


def _places(checkpoint: Checkpoint, names: Collection[str], networks: Iterable[Network]) -> list[Place]:
    """Where all variables of a network are, below whatever scope; none inside another network, as VGG-16 in an FCN."""
    best: dict[str, tuple[tuple[int, bool, int], Place]] = {}
    for network in networks:
        expected = network.expected_variables()
        variables = [variable.removeprefix(network.prefix) for variable in expected]
        last = variables[-1]
        for name in names:
            prefix = name.removesuffix(last)
            if prefix == name or not (prefix == "" or prefix.endswith("/")):
                continue
            if all(prefix + variable in names for variable in variables):
                own = f"/{prefix}".endswith(f"/{network.prefix}")
                place = Place(network, prefix)
                shapes = sum(
                    place.tensor(variable) in checkpoint.tensors
                    and checkpoint.tensors[place.tensor(variable)].fits(shape)
                    for variable, shape in expected.items()
                )
                rank = (len(variables), own, shapes)
                best[prefix] = max(best.get(prefix, (rank, place)), (rank, place), key=lambda item: item[0])
    places = [place for _, place in best.values()]
    outermost = [place for place in places if not any(place.tensors < other.tensors for other in places)]
    return sorted(outermost, key=lambda place: place.prefix)
