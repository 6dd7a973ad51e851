"""Classification judged: is the true class the first, or one of the first five."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .... import Client, InvalidInput
from ...each_image import Row
from .classes import Classes
from .comparison import Numbers, Tally

_RANKED = 5
FIGURES = {"top_1": "top-1", "top_5": "top-5"}


class Classification:
    """Asks for the ranked classes of images and holds them to the true ones: a text that names a class, for each."""

    verb = "classify"
    kinds: Sequence[str] = ()
    figures = FIGURES
    columns = ("images", "top_1")

    def __init__(self, images: Sequence[Path], truth: Sequence[str]) -> None:
        self._images = images
        self._truth = truth

    def check_truth(self, classes: Classes) -> None:
        """Raise InvalidInput where no class of the truth is one of the model's: they are of another kind."""
        if all(classes.find(text) is None for text in self._truth):
            text = self._truth[0]
            raise InvalidInput(
                f"no class of the truth is one of the model's: it says {text!r}{classes.like(text)}, the model "
                f"{classes.names[0]!r} to {classes.names[-1]!r}; write the model's names or numbers, or give the "
                "identifiers by --labels, assets/labels.tsv of the export"
            )

    def ask(self, client: Client, index: int, results: Mapping[str, Path]) -> Row:
        """Rank the classes of an image: the first five, those of equal probability in the order of their ids."""
        answer = client.classify(self._images[index])
        ranking = [prediction._asdict() for prediction in answer.predictions[:_RANKED]]
        if answer.probabilities is not None and len(ranking) < _RANKED:
            best = np.argsort(-answer.probabilities, kind="stable")[:_RANKED].tolist()
            ranking = [{"id": id, "score": float(answer.probabilities[id])} for id in best]
        return {"ranking": ranking, "model_version": answer.model_version}

    def check(self, answer: Any) -> Row:
        """Give the parts of an answer as what they have to be. Raises TypeError, ValueError or KeyError."""
        ranking = [{"id": int(each["id"]), "score": float(each["score"])} for each in answer["ranking"]]
        return {"ranking": ranking, "model_version": int(answer["model_version"])}

    def judge(self, index: int, answer: Row, results: Mapping[str, Path], classes: Classes) -> Row:
        """Hold an answer to the truth."""
        text = self._truth[index]
        true = classes.find(text)
        ids = [each["id"] for each in answer["ranking"]]
        return {
            "truth": text,
            "truth_id": true,
            "ranking": [
                {"name": classes.name(each["id"]), "id": each["id"], "score": each["score"]}
                for each in answer["ranking"]
            ],
            "top_1": true is not None and ids[:1] == [true],
            "top_5": true is not None and true in ids,
        }

    def tally(self, rows: Sequence[Row], classes: Classes) -> Tally:
        """Count the images that are right.

        There is no top-5 of a model that has five classes or fewer, where it tells nothing, or that ranks fewer.
        """
        ranked = min(len(row["ranking"]) for row in rows)
        names = ("top_1", "top_5") if len(classes) > _RANKED == ranked else ("top_1",)
        totals = np.array([[*(row[name] for name in names), 1] for row in rows], np.float64)

        def figures(sums: Numbers) -> Numbers:
            return np.asarray(sums[..., :-1] / sums[..., -1:])

        return Tally(names, totals, figures)

    def by_class(self, rows: Sequence[Row], classes: Classes) -> list[Row]:
        """Give the part of each true class's images that is right."""
        texts = _by_truth(rows)
        of_class: dict[str, list[bool]] = {}
        for row in rows:
            of_class.setdefault(texts[_key(row)], []).append(row["top_1"])
        listed = [
            {"name": text, "id": classes.find(text), "images": len(right), "top_1": sum(right) / len(right)}
            for text, right in of_class.items()
        ]
        return sorted(listed, key=lambda each: (each["top_1"], -each["images"], each["name"]))

    def confused(self, rows: Sequence[Row], classes: Classes) -> list[Row]:
        """List what was taken for what, and for how many images, most first."""
        texts = _by_truth(rows)
        pairs = Counter((texts[_key(row)], row["ranking"][0]["name"]) for row in rows if not row["top_1"])
        return [
            {"truth": true, "found": found, "images": count} for (true, found), count in pairs.most_common()
        ]

    def unknown(self, rows: Sequence[Row], classes: Classes) -> dict[str, int]:
        """List the texts of the truth that name no class of the model, and how many images have them."""
        return dict(Counter(row["truth"] for row in rows if row["truth_id"] is None))

    def notes(self, rows: Sequence[Row], classes: Classes) -> list[str]:
        """Say why there is no top-5, where there is none."""
        if len(self.tally(rows, classes).names) > 1:
            return []
        if len(classes) <= _RANKED:
            return [f"no top-5: the model has {len(classes)} classes"]
        return [
            f"no top-5: the model ranks {min(len(row['ranking']) for row in rows)} classes (export --top-k)"
        ]

    def worst_first(self, row: Row) -> tuple[float, ...]:
        """Order rows: the surest mistakes first, the surest right answers last."""
        score = row["ranking"][0]["score"]
        return (0.0, -score) if not row["top_1"] else (1.0, score)


def _key(row: Row) -> int | str:
    """What tells the true class of a row: its id, or its text where the model has no such class."""
    return row["truth"] if row["truth_id"] is None else int(row["truth_id"])


def _by_truth(rows: Sequence[Row]) -> dict[int | str, str]:
    """The first text that means each true class: one table may say its name, its number and its identifier."""
    texts: dict[int | str, str] = {}
    for row in rows:
        texts.setdefault(_key(row), row["truth"])
    return texts
