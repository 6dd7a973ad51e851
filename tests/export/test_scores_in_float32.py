"""Scores are float32 in every precision: of 1000 that are rounded to bfloat16, the best two are often equal."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from slimserve.export.demo.checkpoint_writer import write_checkpoint
from slimserve.export.pipeline import export_checkpoint
from slimserve.export.plan.options import GraphOptions, Request, Target

from tests.support.processor import NEEDS_BFLOAT16
from tests.support.saved_model import SavedModel
from tests.support.small_network import SMALL, small_weights

TARGETS = (
    "portable",
    pytest.param("x86", marks=NEEDS_BFLOAT16),
)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("classes") / "small.ckpt"
    write_checkpoint(path, small_weights(classes=1000))
    return path


def rounded_to_bfloat16(values: np.ndarray) -> np.ndarray:
    """float32 values, the nearest of which the last 16 bits are zero."""
    bits = values.view(np.uint32).astype(np.uint64)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000).astype(np.uint32).view(np.float32)


def ties(logits: np.ndarray) -> float:
    """Fraction of cells of [h, w, C] where more than one class has the largest score."""
    return float(np.mean((logits == logits.max(-1, keepdims=True)).sum(-1) > 1))


@pytest.mark.parametrize("target", TARGETS)
def test_bfloat16_gives_float32_scores_and_its_best_classes_do_not_tie(
    checkpoint: Path, tmp_path: Path, target: Target
) -> None:
    graph = GraphOptions(target=target, precision="bfloat16")
    export = export_checkpoint(Request(checkpoint, tmp_path / "small", network=SMALL, graph=graph))
    random = np.random.default_rng(2)
    blocks = random.integers(0, 256, (1, 20, 20, 3)).repeat(32, axis=1).repeat(32, axis=2).astype(np.uint8)
    with SavedModel(export.path) as model:
        logits = model("logits", images=blocks)["logits"][0]
    short = rounded_to_bfloat16(logits)
    assert np.mean(short == logits) < 0.01
    assert ties(short) > 0.005  # what such scores would do
    assert ties(logits) == 0
