"""Answers that are no numbers: every comparison refuses them, for no number is within a bound of them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from slimserve.export.errors import ExportError
from slimserve.export.verify.reference import answers

PLAN: Any = SimpleNamespace(options=SimpleNamespace(top_k=1), labels=SimpleNamespace(names=["cat", "dog"]))
LOGITS = np.array([[2.0, 1.0]], np.float32)
RIGHT = np.array([[0.7310586]], np.float32)


def ranking(**others: Any) -> dict[str, Any]:
    return {
        "scores": RIGHT,
        "class_ids": np.array([[0]], np.int32),
        "class_names": np.array([[b"cat"]], object),
        **others,
    }


def test_the_networks_own_ranking_is_taken() -> None:
    answers.check_ranking("classify", ranking(), LOGITS, PLAN)


@pytest.mark.parametrize(
    "wrong",
    [{"scores": RIGHT * np.nan}, {"probabilities": np.full((1, 2), np.nan, np.float32)}],
    ids=["scores", "probabilities"],
)
def test_a_ranking_of_no_numbers_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ExportError, match="the export's signature classify gives other"):
        answers.check_ranking("classify", ranking(**wrong), LOGITS, PLAN)


def test_scores_that_are_no_numbers_are_not_those_of_another_signature() -> None:
    for ours, others in ((LOGITS * np.nan, LOGITS), (LOGITS, LOGITS * np.nan)):
        with pytest.raises(ExportError, match="other scores than another signature"):
            answers.check_same("segment", ours, others, 1e-5)
