"""Which network a checkpoint holds: slim keeps the variables of each in a scope of its own."""

from __future__ import annotations

from collections import Counter

from ..errors import ExportError
from ..networks import NETWORKS, Network, find_network
from .contents import OBJECT_BASED, Checkpoint


def network_of(checkpoint: Checkpoint, wanted: Network | None) -> Network:
    """Return `wanted`, else the one network that the checkpoint's variables belong to.

    Where nothing tells, and something else than the network is wrong, VGG-16 is returned for `verify` to complain.

    Raises:
        ExportError: the checkpoint holds another network than the wanted one, none, or several and none is wanted.
    """
    scopes = Counter(name.partition("/")[0] for name in checkpoint.tensors if "/" in name)
    held = [network for _, network in sorted(NETWORKS.items()) if network.scope in scopes]
    names = " and ".join(network.name for network in held)
    if wanted is None:
        if len(held) > 1:
            raise ExportError(f"{checkpoint.path} holds {names}: say which with --net")
        return held[0] if held else _hidden_network(checkpoint, scopes)
    if held and wanted not in held:
        other = held[0]
        raise ExportError(
            f"{checkpoint.path} is not {wanted.name}: it holds {names}, its variables start with {other.scope}/; "
            f"say --net {other.name}, or leave --net out"
        )
    return wanted


def _hidden_network(checkpoint: Checkpoint, scopes: Counter[str]) -> Network:
    """One whose scope lies below another; without one, VGG-16 where the variables have no scopes of slim's at all."""
    for network in NETWORKS.values():
        if any(f"/{network.scope}/" in name for name in checkpoint.tensors):
            return network
    if scopes and not any(name.endswith(OBJECT_BASED) for name in checkpoint.tensors):
        raise ExportError(
            f"{checkpoint.path} holds none of the networks that can be exported, which `python -m export --help` "
            f"lists: its variables start with {scopes.most_common(1)[0][0]}/"
        )
    return find_network("vgg_16")
