"""An export whose network is right and whose answers are not is refused: each mutant of what stands around it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import tensorflow as tf
from slimserve.export.checkpoint.contents import open_checkpoint
from slimserve.export.demo.checkpoint_writer import write_checkpoint
from slimserve.export.errors import ExportError
from slimserve.export.graph import serving_graph as graph
from slimserve.export.graph.heads import cells, chosen_classes, crops, label_map, ranking
from slimserve.export.graph.images import decoding, preprocessing, source
from slimserve.export.pipeline import export_checkpoint
from slimserve.export.plan.options import GraphOptions, Request
from slimserve.export.plan.plan import Plan
from slimserve.export.savedmodel.write import build_saved_model, with_graph_of
from slimserve.export.verify.exported import Exported
from slimserve.export.verify.labels import Labels, compare_top_1
from slimserve.export.verify.parity import Parity, compare_with_reference

from tests.support.small_network import SMALL, small_weights

Patch = Callable[[], AbstractContextManager[Any]]


def of(target: Any, name: str, change: Callable[[Any], Any]) -> AbstractContextManager[Any]:
    """Replace a function by what `change` makes of it."""
    return mock.patch.object(target, name, change(getattr(target, name)))


@contextmanager
def another_label_dtype() -> Iterator[None]:
    with ExitStack() as stack:
        for module in (cells, label_map):
            stack.enter_context(mock.patch.object(module, "label_dtype", return_value=tf.uint16))
        yield


def shifted(right: Any) -> Any:
    return lambda size, spacing, centre: right(size, spacing, centre + 2)


def stretched(right: Any) -> Any:
    return lambda size, spacing, centre: label_map.stretched_places(size, (size + spacing - 1) // spacing)


def half_pixel_centres(right: Any) -> Any:
    return lambda positions, scale, size: right(tf.cast(positions, tf.float32) + 0.5, scale, size)


def upper_left_crop(right: Any) -> Any:
    return lambda images, network: right(images[:, :-16, :-16], network)


def mirrored(right: Any) -> Any:
    return lambda values, **options: right(values[:, ::-1], **options)


def blue_first(right: Any) -> Any:
    return lambda self, file, what: tf.reverse(right(self, file, what), [-1])


def always_the_first(right: Any) -> Any:
    return lambda self, index: right(self, tf.zeros_like(index))


def mean_of_all(right: Any) -> Any:
    return lambda self, index: tf.reduce_mean(self._cells.read(index), axis=[0, 1])


def names_backwards(right: Any) -> Any:
    return lambda names: right(names[::-1])


def worst_first(right: Any) -> Any:
    def rank(self: Any, logits: Any, k: int) -> ranking.Ranking:
        found = right(self, logits, k)
        ids, names, scores = (tf.reverse(each, [-1]) for each in (found.ids, found.names, found.scores))
        return ranking.Ranking(ids, names, scores, found.probabilities)

    return rank


def last_of_all(right: Any) -> Any:
    return lambda logits: tf.argmin(logits, axis=-1, output_type=tf.int32)


def all_compete(right: Any) -> Any:
    return lambda self, logits: logits


def places_for_classes(right: Any) -> Any:
    return lambda self, best: best


def blue_features_first(right: Any) -> Any:
    return lambda features, *others: right(tf.reverse(features, [-1]), *others)


MUTANTS: dict[str, tuple[Patch, str]] = {
    "cells two pixels off": (lambda: of(cells, "aligned_places", shifted), "segment"),
    "cells divide the image evenly": (lambda: of(cells, "aligned_places", stretched), "segment"),
    "nearest cells": (
        lambda: of(cells, "bilinear_label_map", lambda right: label_map.nearest_label_map),
        "segment",
    ),
    "labels of another type": (another_label_dtype, "type uint16 instead of uint8"),
    "the worst class of a cell": (lambda: of(cells, "best_classes", last_of_all), "logits"),
    "classes that were not chosen": (
        lambda: of(chosen_classes.ChosenClasses, "scores", all_compete),
        "segment",
    ),
    "places among the chosen classes": (
        lambda: of(chosen_classes.ChosenClasses, "labels", places_for_classes),
        "segment",
    ),
    "mirrored label PNG": (lambda: of(tf.io, "encode_png", mirrored), "segment_bytes"),
    "another part cropped": (lambda: of(crops, "central_crop", upper_left_crop), "reference by"),
    "resized at pixel centres": (
        lambda: of(preprocessing, "_samples", half_pixel_centres),
        "reference by",
    ),
    "colours of files swapped": (
        lambda: of(decoding.ImageDecoder, "decode_judged", blue_first),
        "classify_bytes",
    ),
    "the first image for all": (
        lambda: of(source.ImageSource, "image", always_the_first),
        "classify_bytes",
    ),
    "classes named backwards": (lambda: of(graph, "ClassNames", names_backwards), "other names"),
    "ranked backwards": (
        lambda: of(ranking.ClassNames, "rank", worst_first),
        "other scores than the network's best",
    ),
    "colours of features swapped": (
        lambda: of(graph, "network_logits", blue_features_first),
        "network",
    ),
    "mean of padded cells too": (
        lambda: of(cells.WholeImages, "_dense_logits", mean_of_all),
        "serving_default",
    ),
}


# One of each: geometry, classes, order, colours. The rest behind `make soak`.
QUICK = (
    "cells two pixels off",
    "classes that were not chosen",
    "classes named backwards",
    "colours of features swapped",
)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of scores so small that no probability is 1: of such, a wrong mean would not show."""
    path = tmp_path_factory.mktemp("small_scores") / "small.ckpt"
    weights = small_weights()
    write_checkpoint(path, weights | {name: weights[name] / 100 for name in weights if "fc8" in name})
    return path


@pytest.fixture(scope="module")
def plan(checkpoint: Path) -> Iterator[Plan]:
    with open_checkpoint(checkpoint) as opened:
        yield Plan.of(opened, GraphOptions(), SMALL)


@pytest.fixture(scope="module")
def exported(checkpoint: Path) -> Path:
    return export_checkpoint(Request(checkpoint, checkpoint.parent / "small", network=SMALL)).path


def compared(plan: Plan, exported: Path) -> Parity:
    """The parity of the graph as it is built now, over the variables that were exported."""
    with with_graph_of(build_saved_model(plan), exported) as folder:
        return compare_with_reference(folder, plan)


def test_every_signature_is_compared(plan: Plan, exported: Path) -> None:
    found = compared(plan, exported)
    found.require()
    model = build_saved_model(plan).proto.meta_graphs[0]
    assert set(found.signatures) == set(model.signature_def)
    assert found.labels.pixels_same == found.labels.pixels_decided > 0
    assert found.labels.crops_same == found.labels.crops_decided > 0


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.soak) for name in MUTANTS]
)
def test_wrong_answers_are_refused(plan: Plan, exported: Path, name: str) -> None:
    patch, message = MUTANTS[name]
    decoding.image_decoder.cache_clear()
    with patch():
        model = build_saved_model(plan)
    decoding.image_decoder.cache_clear()
    with (
        with_graph_of(model, exported) as folder,
        pytest.raises(ExportError, match=f"{message}.*; nothing was published"),
    ):
        compare_with_reference(folder, plan).require()


def scores(*best: float, classes: int = 40) -> np.ndarray:
    """[C]: these, then zeros."""
    return np.array([*best, *[0.0] * (classes - len(best))], np.float32)


def test_bfloat16_may_lose_one_label_in_a_hundred_and_no_more() -> None:
    Labels(crops=2, crops_decided=2, crops_same=2, pixels=500, pixels_decided=400, pixels_same=396).require(
        "bfloat16"
    )
    with pytest.raises(ExportError, match=r"395 of 400 pixels .* export it with --precision float32"):
        Labels(pixels=500, pixels_decided=400, pixels_same=395).require("bfloat16")


def test_float32_may_lose_none() -> None:
    with pytest.raises(ExportError, match=r"399 of 400 pixels .*fault of the exporter"):
        Labels(pixels=500, pixels_decided=400, pixels_same=399).require("float32")


def test_large_scores_that_are_nearly_equal_leave_something_decided_in_bfloat16() -> None:
    """A network that adds 1000 to every score, of which bfloat16 keeps no digit behind the point."""
    exact = [1000 + scores(3.0, 1.0), 1000 + scores(1.0, 3.0)]
    rounded = [np.round(logits / 8) * 8 for logits in exact]
    found = compare_top_1(rounded, exact, 0.05, "bfloat16")
    assert (found.crops, found.crops_decided, found.crops_same) == (2, 2, 1)


def test_ties_are_left_out() -> None:
    found = compare_top_1([scores(1.0, 1.0001)], [scores(1.0001, 1.0)], 1e-4, "float32")
    assert (found.crops, found.crops_decided) == (1, 0)


def test_what_an_op_says_is_told_where_an_export_fails(small_models: Path) -> None:
    told = pytest.raises(ExportError, match=r"on an ordinary image: image 0 is not a JPEG, .*\); nothing was")
    with Exported(small_models / "small" / "1") as exported, told:
        exported("classify_bytes", image_bytes=[b"none"])
