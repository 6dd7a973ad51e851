"""What is exported, decided before anything is built: every later stage works from the plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .checkpoint.contents import Checkpoint, verify
from .checkpoint.recognition import network_of
from .networks import Network
from .options import GraphOptions
from .types import Shape
from .weights.labels import Labels, find_labels


@dataclass(frozen=True)
class Plan:
    """What is exported.

    Attributes:
        checkpoint: open; it holds the network whole, and no other in its scope.
        network: the one that the user named or the checkpoint holds.
        options: with the network's own where the user left one open.
        labels: names of the classes.
        shapes: of the network's variables in the checkpoint, by name.
    """

    checkpoint: Checkpoint
    network: Network
    options: GraphOptions
    labels: Labels
    shapes: Mapping[str, Shape]

    @classmethod
    def of(
        cls,
        checkpoint: Checkpoint,
        options: GraphOptions,
        network: Network | None = None,
        labels_file: str | Path | None = None,
    ) -> Plan:
        """Choose what the arguments leave open.

        Raises:
            ExportError: the checkpoint does not hold the network, the network lacks an option, or the labels don't fit.
        """
        network = network_of(checkpoint, network)
        options = options.of(network)
        expected = network.expected_variables()
        verify(checkpoint, expected, network.name, network.scope)
        shapes = {name: checkpoint.tensors[name].shape for name in expected}
        labels = find_labels(labels_file, (checkpoint.path, checkpoint.file), network.classes(shapes))
        return cls(checkpoint, network, options, labels, shapes)
