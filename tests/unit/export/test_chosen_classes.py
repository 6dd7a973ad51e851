"""Which classes compete for labels: against the argmax of a dense resize over these classes alone."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from slimserve.export.graph.heads.chosen_classes import ChosenClasses
from slimserve.export.graph.heads.label_map import bilinear_label_map, stretched_places

from tests.conftest import ROOT

CLASSES = 40
SIZE = (150, 203)


@pytest.fixture(scope="module")
def head() -> Iterator[Any]:
    """Takes scores and classes; gives our labels, and what a dense resize of all scores gives for each class."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        chosen = ChosenClasses(CLASSES)
        logits = tf.compat.v1.placeholder(tf.float32, [None, None, CLASSES])
        size = tf.compat.v1.placeholder(tf.int32, [2])
        scores = chosen.scores(logits)
        labels = chosen.labels(bilinear_label_map(scores, stretched_places(size, tf.shape(logits)[:2])))
        dense = tf.image.resize(logits[None], size)[0]

        def run(values: np.ndarray, classes: object = None) -> Any:
            fed = {} if classes is None else {chosen.given: np.array(classes, np.int32)}
            return session.run((labels, dense), {logits: values, size: SIZE, **fed})

        yield run


def random_scores(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 1, (5, 7, CLASSES)).astype(np.float32)


def ties(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 3, (5, 7, CLASSES)).astype(np.float32)


@pytest.mark.parametrize("scores", [random_scores, ties])
@pytest.mark.parametrize(
    "classes", [[39], [7, 3], [3, 7, 7, 3, 12, 38], range(0, CLASSES, 2), range(CLASSES)]
)
def test_only_the_classes_chosen_compete_whatever_their_order(head: Any, scores: Any, classes: Any) -> None:
    labels, dense = head(scores(1), list(classes))
    among = np.unique(list(classes))
    np.testing.assert_array_equal(labels, among[dense[..., among].argmax(-1)])


def test_all_classes_compete_where_none_are_chosen(head: Any) -> None:
    labels, dense = head(random_scores(2))
    np.testing.assert_array_equal(labels, dense.argmax(-1))


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ([], "classes is empty: name one class or more, or leave classes out for all"),
        ([3, 40], "classes must be class ids, from 0 to 39, not 40"),
        ([-1], "classes must be class ids, from 0 to 39, not -1"),
        ([[1, 2]], r"classes must be a list of class ids, int32 \[K\], not \[1, 2\]"),
        (3, r"not \[\]"),
    ],
)
def test_what_names_no_class_is_refused(head: Any, classes: object, message: str) -> None:
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        head(random_scores(3), classes)


_HALF_OF_1000 = """
import numpy as np, tensorflow as tf
from slimserve.export.graph.heads.chosen_classes import ChosenClasses
from slimserve.export.graph.heads.label_map import bilinear_label_map, stretched_places
from tests.support.memory import peak
with tf.Graph().as_default(), tf.compat.v1.Session() as session:
    chosen = ChosenClasses(1000)
    logits = tf.compat.v1.placeholder(tf.float32, [None, None, 1000])
    scores = chosen.scores(logits)
    label_map = chosen.labels(bilinear_label_map(scores, stretched_places((512, 512), tf.shape(logits)[:2])))
    half = {chosen.given: np.arange(0, 1000, 2)}
    session.run(label_map, {logits: np.zeros((2, 2, 1000), np.float32), **half})
    before = peak()
    noise = np.random.default_rng(0).normal(0, 1, (16, 16, 1000)).astype(np.float32)
    session.run(label_map, {logits: noise, **half})
    print(peak() - before)
"""


@pytest.mark.soak
def test_memory_stays_bounded_where_every_chosen_class_may_win() -> None:
    # All scores of these classes at once are 0.5 GB.
    result = subprocess.run(
        [sys.executable, "-c", _HALF_OF_1000], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert int(result.stdout) < 150e6
