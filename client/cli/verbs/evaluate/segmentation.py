"""Segmentation judged: the label maps that a server gives beside the true ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .... import Client, InvalidInput
from ... import files
from ...each_image import Row
from .classes import Classes
from .comparison import Numbers, Tally
from .scores import Pixels, boundary_f_scores, confusion, iou, mean_iou, pixel_accuracy
from .truth.label_files import read_label_file, read_labels

FIGURES = {"mean_iou": "mean IoU", "pixel_accuracy": "pixel accuracy", "boundary_f_score": "boundary F"}


class Segmentation:
    """Asks for label maps, keeps them as files, and holds them to the true ones, a file for each image.

    Pixels of the class `ignore` in the truth are not judged; None is the largest that its file can hold, 255 or 65535.
    """

    verb = "segment"
    kinds: Sequence[str] = ("labels",)
    figures = FIGURES
    columns = ("share", "iou", "boundary_f_score")

    def __init__(
        self, images: Sequence[Path], truth: Sequence[Path], ignore: int | None, tile: int | None
    ) -> None:
        self._images = images
        self._truth = truth
        self._ignore = ignore
        self._tile = tile

    def ask(self, client: Client, index: int, results: Mapping[str, Path]) -> Row:
        """Write the label map of an image."""
        scene = client.segment(self._images[index], tile=self._tile)
        files.save(scene.label_image(), results["labels"])
        return {"model_version": scene.model_version}

    def check(self, answer: Any) -> Row:
        """Give the parts of an answer as what they have to be. Raises TypeError, ValueError or KeyError."""
        return {"model_version": int(answer["model_version"])}

    def judge(self, index: int, answer: Row, results: Mapping[str, Path], classes: Classes) -> Row:
        """Hold a label map to the truth. Raises InvalidInput for a truth that is none for this image."""
        found = read_labels(results["labels"])
        truth = read_label_file(self._truth[index], found.shape)
        ignored = np.iinfo(truth.dtype).max if self._ignore is None else self._ignore
        judged = truth != ignored
        if not judged.any():
            raise InvalidInput(
                f"all of {self._truth[index]} is {ignored}, which is ignored: nothing to judge"
            )
        confused = confusion(truth, found, judged)
        boundaries = boundary_f_scores(truth, found, judged)
        pixels = Pixels.of(confused, _ids(confused))
        return {
            "truth": str(self._truth[index]),
            "labels": str(results["labels"]),
            "height": found.shape[0],
            "width": found.shape[1],
            "ignored": float(1 - np.mean(judged)),
            "mean_iou": float(mean_iou(pixels)),
            "pixel_accuracy": float(pixel_accuracy(pixels)),
            "boundary_f_score": float(np.mean(list(boundaries.values()))),
            "pixels": confused,
            "boundaries": boundaries,
        }

    def tally(self, rows: Sequence[Row], classes: Classes) -> Tally:
        """Add up pixels by class; boundaries are scored by image, and the mean is taken over images."""
        ids = _ids(np.concatenate([row["pixels"] for row in rows]))
        totals = np.array(
            [np.concatenate([*Pixels.of(row["pixels"], ids), [row["boundary_f_score"], 1]]) for row in rows]
        )

        def figures(sums: Numbers) -> Numbers:
            counted = Pixels(*np.split(sums[..., :-2].astype(np.int64), 3, axis=-1))
            boundary = sums[..., -2] / sums[..., -1]
            return np.stack([mean_iou(counted), pixel_accuracy(counted), boundary], axis=-1)

        return Tally(tuple(FIGURES), totals, figures)

    def by_class(self, rows: Sequence[Row], classes: Classes) -> list[Row]:
        """Give the intersection over union and the boundary F-score of each true class, and its part of the pixels."""
        confused = np.concatenate([row["pixels"] for row in rows])
        ids = _ids(confused)
        pixels = Pixels.of(confused, ids)
        listed = []
        for id, true, ratio in zip(ids.tolist(), pixels.true.tolist(), iou(pixels).tolist(), strict=True):
            if true:
                scores = [row["boundaries"][id] for row in rows if id in row["boundaries"]]
                listed.append(
                    {
                        "name": classes.name(id),
                        "id": id,
                        "share": true / int(pixels.true.sum()),
                        "iou": ratio,
                        "boundary_f_score": float(np.mean(scores)),
                    }
                )
        return sorted(listed, key=lambda each: each["iou"])

    def confused(self, rows: Sequence[Row], classes: Classes) -> list[Row]:
        """List what was taken for what, and for how many pixels, most first."""
        pairs: Counter[tuple[int, int]] = Counter()
        for row in rows:
            pairs.update(
                {(true, found): pixels for true, found, pixels in row["pixels"].tolist() if true != found}
            )
        return [
            {"truth": classes.name(true), "found": classes.name(found), "pixels": pixels}
            for (true, found), pixels in pairs.most_common()
        ]

    def unknown(self, rows: Sequence[Row], classes: Classes) -> dict[str, int]:
        """List the numbers of the truth that are no class of the model, and how many images have them."""
        ids = (id for row in rows for id in row["boundaries"] if id >= len(classes))
        return {str(id): count for id, count in sorted(Counter(ids).items())}

    def notes(self, rows: Sequence[Row], classes: Classes) -> list[str]:
        """Say how many pixels are not judged."""
        sizes = np.array([row["height"] * row["width"] for row in rows])
        ignored = float(np.average([row["ignored"] for row in rows], weights=sizes))
        return [f"{ignored:.2%} of the pixels are ignored by the truth and not judged"] if ignored else []

    def worst_first(self, row: Row) -> tuple[float, ...]:
        """Order rows by mean intersection over union."""
        return (row["mean_iou"],)


def _ids(confused: Any) -> Any:
    """Which classes occur, of what `confusion` gives."""
    return np.unique(confused[:, :2])
