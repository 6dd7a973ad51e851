"""The networks that can be exported: one page each, found by name."""

from export.errors import ExportError
from export.networks import vgg
from export.networks.network import Layers, Network

__all__ = ["NETWORKS", "Layers", "Network", "find_network"]

NETWORKS: dict[str, Network] = {network.name: network for network in (vgg.VGG_16,)}


def find_network(name: str) -> Network:
    """Return the registered network of that name.

    Raises:
        ExportError: no such network; the message lists those there are.
    """
    if name not in NETWORKS:
        raise ExportError(f"unknown network {name!r}: choose one of {', '.join(sorted(NETWORKS))}")
    return NETWORKS[name]
