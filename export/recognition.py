"""Which network a checkpoint holds: slim keeps the variables of each in a scope of its own."""

from __future__ import annotations

from export.checkpoint import Checkpoint
from export.errors import ExportError
from export.networks import NETWORKS, Network, find_network


def network_of(checkpoint: Checkpoint, wanted: Network | None) -> Network:
    """Return `wanted`, else the one network that the checkpoint's variables belong to, else VGG-16.

    The last is for `verify` to complain about: nothing fits it either.

    Raises:
        ExportError: the checkpoint holds another network than the wanted one, or several and none is wanted.
    """
    scopes = {name.partition("/")[0] for name in checkpoint.tensors}
    held = sorted(
        (network for network in NETWORKS.values() if network.scope in scopes), key=lambda net: net.name
    )
    names = " and ".join(network.name for network in held)
    if wanted is None:
        if len(held) > 1:
            raise ExportError(f"{checkpoint.path} holds {names}: say which with --net")
        return held[0] if held else find_network("vgg_16")
    if held and wanted not in held:
        other = held[0]
        raise ExportError(
            f"{checkpoint.path} is not {wanted.name}: it holds {names}, its variables start with {other.scope}/; "
            f"say --net {other.name}, or leave --net out"
        )
    return wanted
