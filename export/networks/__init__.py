"""The networks that can be exported: a page for each family, found by name."""

import difflib
import importlib
import pkgutil

from ..errors import ExportError
from . import pages
from .network import Network

__all__ = ["NETWORKS", "Network", "find_network"]


def _networks() -> dict[str, Network]:
    """What the modules in `pages` list as NETWORKS, in the order of their names."""
    names = sorted(module.name for module in pkgutil.walk_packages(pages.__path__, f"{pages.__name__}."))
    modules = [importlib.import_module(name) for name in names]
    listed = {network.name: network for page in modules for network in getattr(page, "NETWORKS", ())}
    return dict(sorted(listed.items()))


NETWORKS = _networks()


def find_network(name: str) -> Network:
    """Return the registered network of that name.

    Raises:
        ExportError: no such network; the message lists those there are.
    """
    if name not in NETWORKS:
        near = difflib.get_close_matches(name.lower(), NETWORKS)
        what = (
            f"did you mean {' or '.join(near)}?" if near else f"choose one of {', '.join(sorted(NETWORKS))}"
        )
        raise ExportError(f"unknown network {name!r}: {what}")
    return NETWORKS[name]
