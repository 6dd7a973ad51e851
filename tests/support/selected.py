"""The weights that are selected of a checkpoint of Inception v1, which tests write."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from slimserve.export.checkpoint.contents import Checkpoint, open_checkpoint
from slimserve.export.checkpoint.formats.tensor_spec import TensorSpec
from slimserve.export.checkpoint.recognition import find_network_in
from slimserve.export.checkpoint.selection import (
    left_over,
    select,
)
from slimserve.export.checkpoint.weight_sets import NetworkWeights
from slimserve.export.errors import ExportError
from slimserve.export.networks import NETWORKS, Network
from slimserve.export.types import WeightSet

from tests.support.broadcast import Tensors, variables

NET = NETWORKS["inception_v1"]


def tensors(network: Network = NET, value: float = 1.0) -> Tensors:
    return variables(network, value=value)


class Selected:
    """The weights selected of a written checkpoint; what was read of each variable is one value."""

    def __init__(
        self,
        path: Path,
        weights: WeightSet | None = None,
        scope: str | None = None,
        net: Network | None = None,
    ) -> None:
        with open_checkpoint(path) as checkpoint:
            found: NetworkWeights = select(checkpoint, find_network_in(checkpoint, net, scope), weights)
            self.values = {name: float(value.flat[0]) for name, value in found.read_all(found.tensors)}
            self.left_over, self.record = left_over(found), found.record()
        self.set = found.set
        self.notes = "; ".join(found.notes)
        self.warnings = "; ".join(found.warnings)


def refusal(
    path: Path, weights: WeightSet | None = None, scope: str | None = None, net: Network | None = None
) -> str:
    with pytest.raises(ExportError) as caught:
        Selected(path, weights, scope, net)
    return str(caught.value)


def listing(shapes: Mapping[str, tuple[int, ...]]) -> Checkpoint:
    """What stands for a checkpoint that only lists its tensors."""
    specs = {name: TensorSpec(shape, np.dtype(np.float32)) for name, shape in shapes.items()}
    return cast(Checkpoint, SimpleNamespace(path=Path("model"), tensors=specs))
