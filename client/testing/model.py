"""A model whose answers are given, or computed by a function, in the signatures of an export."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from ..errors import InvalidInput, SignatureNotFound
from ..images import kinds
from ..images.given import PreparedImage
from ..images.png import encode_gray
from .answers import Specs

Array: TypeAlias = npt.NDArray[Any]
Pixels: TypeAlias = npt.NDArray[np.uint8]
Scores: TypeAlias = "npt.ArrayLike | Callable[[Pixels], npt.ArrayLike]"
Labels: TypeAlias = "npt.ArrayLike | Callable[[Pixels], npt.ArrayLike]"
Signature: TypeAlias = Callable[[dict[str, Array]], Mapping[str, npt.ArrayLike]]
"""Arrays by name in, arrays by name out; a ServingError that it raises is the status of the call."""


class Model:
    """One version of a model, for a test's server.

    Args:
        names: the names of its classes, by id.
        scores: what `classify` and `analyze` find in an image: a score for each class, 0 to 1, or a function of
            the pixels, uint8 [H,W,3], that gives them. By default each class has twice the score of the next.
        label_map: what `segment` and `analyze` find: class ids [h,w], stretched to the size of the image, or a
            function of the pixels that gives [H,W]. By default an upright band for each class, left to right.
        top_k: how many classes are ranked.
        receptive_field: pixels that decide a cell, as tiles ask for.
        signatures: further signatures by name, or others in place of these.

    A function that is given encoded images needs Pillow, and so does a label map for them; what it raises as
    `InvalidInput` is how a model refuses.
    """

    def __init__(
        self,
        names: Sequence[str] = ("cat", "dog", "grass"),
        *,
        scores: Scores | None = None,
        label_map: Labels | None = None,
        top_k: int = 5,
        receptive_field: int = 404,
        signatures: Mapping[str, Signature] | None = None,
    ) -> None:
        self._names = np.array(names, object)
        self._scores = 0.5 ** np.arange(1, len(names) + 1) if scores is None else scores
        self._label_map = np.arange(len(names))[None] if label_map is None else label_map
        self._top_k = min(top_k, len(names))
        self._receptive_field = receptive_field
        self._signatures: dict[str, Signature] = {
            "serving_default": self._analyze,
            "classify": self._classify,
            "classify_bytes": self._classify,
            "segment": self._segment,
            "segment_bytes": self._segment_bytes,
            "logits": lambda inputs: {
                "receptive_field": np.full(len(inputs["images"]), self._receptive_field, np.int32)
            },
            "labels": lambda inputs: {"class_names": self._names[inputs["class_ids"]]},
            **(signatures or {}),
        }

    def answer(self, signature: str, inputs: dict[str, Array]) -> Mapping[str, npt.ArrayLike]:
        """Answer arrays by name. Raises SignatureNotFound, and what the signature raises."""
        if signature not in self._signatures:
            raise SignatureNotFound(f'Serving signature key "{signature}" not found.')
        try:
            return self._signatures[signature](inputs)
        except KeyError as missing:
            raise InvalidInput(
                f"input size does not match signature: Missing but required: {{{missing.args[0]}}}."
            ) from missing

    def specs(self) -> dict[str, tuple[Specs, Specs]]:
        """Describe the inputs and the outputs of each signature; those of a signature of the test's own are none."""
        label = np.dtype(self._label_type())
        images: Specs = {"images": (np.uint8, (None, None, None, 3))}
        encoded: Specs = {"image_bytes": (str, (None,))}
        classes: Specs = {"classes": (np.int32, (None,))}
        ranking: Specs = {
            "class_ids": (np.int32, (None, self._top_k)),
            "class_names": (str, (None, self._top_k)),
            "scores": (np.float32, (None, self._top_k)),
        }
        ranked = {**ranking, "probabilities": (np.float32, (None, len(self._names)))}
        label_map: Specs = {"label_map": (label, (None, None, None))}
        names: Specs = {"class_names": (str, (len(self._names),))}
        known: dict[str, tuple[Specs, Specs]] = {
            "serving_default": (
                {**images, **classes},
                {**ranking, **label_map, "label_names": names["class_names"]},
            ),
            "classify": (images, ranked),
            "classify_bytes": (encoded, ranked),
            "segment": ({**images, **classes}, {**label_map, **names}),
            "segment_bytes": ({**encoded, **classes}, {"label_png": (str, (None,)), **names}),
            "logits": (images, {"receptive_field": (np.int32, (None,))}),
            "labels": ({"class_ids": (np.int32, (None,))}, {"class_names": (str, (None,))}),
        }
        return {name: known.get(name, ({}, {})) for name in self._signatures}

    def _analyze(self, inputs: dict[str, Array]) -> dict[str, npt.ArrayLike]:
        ranking = self._classify(inputs)
        del ranking["probabilities"]
        segmented = self._segment(inputs)
        return {**ranking, "label_map": segmented["label_map"], "label_names": segmented["class_names"]}

    def _classify(self, inputs: dict[str, Array]) -> dict[str, npt.ArrayLike]:
        scores = np.stack([self._scores_of(image) for image in _images(inputs)])
        ids = np.argsort(-scores, axis=1, kind="stable")[:, : self._top_k].astype(np.int32)
        return {
            "class_ids": ids,
            "class_names": self._names[ids],
            "scores": np.take_along_axis(scores, ids, axis=1),
            "probabilities": scores,
        }

    def _segment(self, inputs: dict[str, Array]) -> dict[str, npt.ArrayLike]:
        maps = [self._labels_of(image, inputs.get("classes")) for image in _images(inputs)]
        return {"label_map": np.stack(maps), "class_names": self._names}

    def _segment_bytes(self, inputs: dict[str, Array]) -> dict[str, npt.ArrayLike]:
        maps = [self._labels_of(image, inputs.get("classes")) for image in _images(inputs)]
        return {"label_png": [encode_gray(labels) for labels in maps], "class_names": self._names}

    def _scores_of(self, image: PreparedImage) -> npt.NDArray[np.float32]:
        given = self._scores
        scores = np.asarray(given(image.to_pixels()) if callable(given) else given, np.float32)
        if scores.shape != self._names.shape:
            raise ValueError(f"the test's scores have shape {scores.shape} for {len(self._names)} classes")
        return scores

    def _labels_of(self, image: PreparedImage, classes: Array | None) -> Array:
        """Give uint8 or uint16 [H,W]; where only some classes compete, the first of them stands for the others."""
        if callable(self._label_map):
            labels = np.asarray(self._label_map(image.to_pixels()))
        else:
            labels = _stretch(np.asarray(self._label_map), image.size())
        if classes is not None and np.size(classes):
            if np.ndim(classes) != 1 or not all(0 <= each < len(self._names) for each in classes):
                raise InvalidInput(
                    f"classes must be class ids, from 0 to {len(self._names) - 1}, not {classes.tolist()}"
                )
            labels = np.where(np.isin(labels, classes), labels, classes[0])
        return labels.astype(self._label_type())

    def _label_type(self) -> type[np.uint8] | type[np.uint16]:
        return np.uint8 if len(self._names) <= 256 else np.uint16


def _images(inputs: dict[str, Array]) -> list[PreparedImage]:
    """Read the images of a request, which are not decoded yet. Raises InvalidInput as an export refuses."""
    if "image_bytes" in inputs:
        encoded = inputs["image_bytes"].ravel().tolist()
        for index, data in enumerate(encoded):
            if not kinds.is_read(data):
                raise InvalidInput(f"image {index} is of a kind that is not read: {kinds.brief_name(data)}")
        return [PreparedImage(f"image {index}", encoded=data) for index, data in enumerate(encoded)]
    pixels = inputs["images"]
    if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[3] != 3:
        raise InvalidInput(f"images is {pixels.dtype} {list(pixels.shape)}, not uint8 [N,H,W,3]")
    return [PreparedImage(f"image {index}", pixels=image) for index, image in enumerate(pixels)]


def _stretch(labels: Array, size: tuple[int, int]) -> Array:
    """Scale [h,w] to a size by taking the nearest."""
    rows, columns = (np.arange(new) * old // new for new, old in zip(size, labels.shape, strict=True))
    return np.asarray(labels[rows[:, None], columns])
