"""Label maps of a network that pools globally: whole exports of a MobileNet with random weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import tensorflow as tf
from slimserve.export.checkpoint.contents import open_checkpoint
from slimserve.export.errors import ExportError
from slimserve.export.graph.heads import cells
from slimserve.export.networks import NETWORKS
from slimserve.export.pipeline import Export, export_checkpoint
from slimserve.export.plan.options import GraphOptions, Request
from slimserve.export.plan.plan import Plan
from slimserve.export.savedmodel.write import build_saved_model, with_graph_of
from slimserve.export.verify.parity import compare_with_reference

from tests.support.saved_model import SavedModel

NETWORK = NETWORKS["mobilenet_v1"]
OPTIONS = GraphOptions(upsampling="bilinear")
IMAGE = np.random.default_rng(3).integers(0, 256, (1, 150, 203, 3), np.uint8)


@pytest.fixture(scope="module")
def exported(mobilenet_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Export:
    out = tmp_path_factory.mktemp("pooling") / "mobilenet_v1"
    return export_checkpoint(Request(mobilenet_checkpoint, out, graph=OPTIONS))


@pytest.fixture(scope="module")
def plan(mobilenet_checkpoint: Path) -> Iterator[Plan]:
    with open_checkpoint(mobilenet_checkpoint) as opened:
        yield Plan.of(opened, OPTIONS)


def labels_of(cells: np.ndarray, side: int, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """The labels of pixels whose cells [h, w, C] are averaged over a window, in float64, and by how much each leads."""
    scores, reach = np.empty(cells.shape), side // 2
    for row, column in np.ndindex(cells.shape[:2]):
        rows, columns = (slice(max(at - reach, 0), at + reach + 1) for at in (row, column))
        scores[row, column] = cells[rows, columns].mean(axis=(0, 1), dtype=np.float64)
    for axis in (0, 1):
        place = np.clip(np.arange(size[axis]) / 32, 0, cells.shape[axis] - 1)
        lower = np.minimum(place.astype(int), cells.shape[axis] - 2)
        share = (place - lower).reshape((-1, 1, 1) if axis == 0 else (1, -1, 1))
        scores = scores.take(lower, axis) * (1 - share) + scores.take(lower + 1, axis) * share
    second, first = np.moveaxis(np.sort(scores)[..., -2:], -1, 0)
    return scores.argmax(-1), first - second


def test_cells_are_labelled_by_the_mean_of_a_window_as_large_as_a_crop(exported: Export) -> None:
    with SavedModel(exported.path) as model:
        logits = model("logits", images=IMAGE)["logits"][0]
        label_map = model("segment", images=IMAGE)["label_map"][0]
    labels, lead = labels_of(logits, 7, IMAGE.shape[1:3])
    clear = lead > 1e-5 * np.abs(logits).max()
    assert clear.mean() > 0.9
    np.testing.assert_array_equal(label_map[clear], labels[clear])
    alone, _ = labels_of(logits, 1, IMAGE.shape[1:3])
    assert (alone != labels).any()


def test_the_export_says_what_its_label_maps_are_made_of(exported: Export) -> None:
    assert exported.record["options"]["pooling_window"] == 7
    assert "averaged over 7x7 cells of 32 pixels" in exported.record["label_maps"]


def test_tiles_share_what_the_window_spans_too(exported: Export) -> None:
    with SavedModel(exported.path) as model:
        assert model("logits", images=IMAGE)["receptive_field"] == [NETWORK.receptive_field + 6 * 32]


def of_half(right: Callable[..., Any]) -> Callable[..., Any]:
    return lambda logits, side: right(logits, side // 2 + 1)


def border_repeated(right: Callable[..., Any]) -> Callable[..., Any]:
    """Windows at the border filled with the border's cells."""

    def pooled(logits: Any, side: int) -> Any:
        reach = side // 2
        for axis in (0, 1):
            size = tf.shape(logits)[axis]
            logits = tf.gather(
                logits, tf.clip_by_value(tf.range(-reach, size + reach), 0, size - 1), axis=axis
            )
        return right(logits, side)[reach:-reach, reach:-reach]

    return pooled


@pytest.mark.parametrize("change", [of_half, pytest.param(border_repeated, marks=pytest.mark.soak)])
def test_another_window_is_refused(plan: Plan, exported: Export, change: Any) -> None:
    with mock.patch.object(cells, "pooled", change(cells.pooled)):
        model = build_saved_model(plan)
    with (
        with_graph_of(model, exported.path) as folder,
        pytest.raises(ExportError, match="another label than their upsampled scores"),
    ):
        compare_with_reference(folder, plan)
