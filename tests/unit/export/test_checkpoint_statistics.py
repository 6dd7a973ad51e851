"""Statistics of batch normalization that no training has moved are told from all others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from slimserve.export.checkpoint.contents import open_checkpoint
from slimserve.export.checkpoint.recognition import find_network_in
from slimserve.export.checkpoint.selection import select
from slimserve.export.checkpoint.statistics import NEVER_MOVED, statistics_warnings
from slimserve.export.networks import NETWORKS

from tests.support.broadcast import AVERAGE, Tensors
from tests.support.checkpoints import tensorflow_v1, tensorflow_v2
from tests.support.selected import tensors
from tests.support.small_network import SMALL

VARIANCE = "InceptionV1/Conv2d_1a_7x7/BatchNorm/moving_variance"


def begun() -> Tensors:
    """The variables of a network whose statistics are as it began with them."""
    means = {name: np.zeros_like(value) for name, value in tensors().items() if "moving_mean" in name}
    return tensors(value=1.0) | means


def said(path: Path) -> tuple[str, ...]:
    with open_checkpoint(path) as checkpoint:
        return statistics_warnings(select(checkpoint, find_network_in(checkpoint)))


@pytest.mark.parametrize("write", [tensorflow_v1, tensorflow_v2])
def test_all_as_they_began_are_told_in_both_formats(write: Callable[..., Path], tmp_path: Path) -> None:
    assert said(write(tmp_path / "model", begun())) == (NEVER_MOVED,)


def test_averages_of_such_are_told_too(tmp_path: Path) -> None:
    path = tensorflow_v2(tmp_path / "model", {f"{name}/{AVERAGE}": value for name, value in begun().items()})
    assert said(path) == (NEVER_MOVED,)


def test_one_value_that_moved_is_enough(tmp_path: Path) -> None:
    variances = np.ones(64, np.float32)
    variances[-1] = 0.5
    assert said(tensorflow_v2(tmp_path / "model", begun() | {VARIANCE: variances})) == ()


def test_a_network_without_any_is_not_spoken_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(NETWORKS, SMALL.name, SMALL)
    assert said(tensorflow_v2(tmp_path / "model", tensors(SMALL))) == ()
