"""Segmentation: images one by one, whole or cut into tiles, and the classification of the same pass."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..channels.steps import Flow
from ..errors import InvalidInput, ServingError
from ..images.given import Image, PreparedImage, list_images, prepare
from ..images.refused import decoded, pixel_limit
from ..types import Analysis, Segmentation, count_pixels
from ..wire.encoding import tensor_of_images
from ..wire.messages import Answer
from .model import Model
from .stitching import Labels, segment_tiles
from .tensors import image_inputs, naming, read_classifications, read_label_map, read_label_png
from .tiling import Progress, Tiling, overlap_for, suggest_tiles


@dataclass(frozen=True)
class Cut:
    """How images are cut: what `segment` of the clients takes, None where it follows from the model.

    `at_once` are the tiles that are sent at a time.
    """

    tile: int | None
    overlap: int | None
    at_once: int
    progress: Progress | None

    def tiling(self, model: Model, image: PreparedImage, timeout: float | None) -> Flow[Tiling | None]:
        """Decide how to cut the image; None where it goes whole."""
        if self.tile is None or max(image.size()) <= self.tile:
            return None
        overlap = self.overlap
        if overlap is None:
            overlap = overlap_for((yield from model.receptive_field(timeout)))
        return Tiling(self.tile, overlap, self.at_once, self.progress)


def segment(
    model: Model, images: Image | Iterable[Image], cut: Cut, timeout: float | None
) -> Flow[Segmentation | list[Segmentation]]:
    """Segment one image, or several; `timeout` is for each request."""
    listed, single = list_images(images)
    results = []
    for name, given in listed:
        image, deadline = prepare(name, given), model.deadline(timeout)
        tiling = yield from cut.tiling(model, image, timeout)
        try:
            if tiling:
                label_map, version = yield from _segment_tiles(model, image, tiling, timeout)
                deadline = model.deadline(timeout)
            else:
                label_map, version = yield from _segment_whole(model, image, deadline)
        except InvalidInput as error:
            raise naming(error, image, (yield from _advice(model, error.details, timeout))) from error
        results.append((yield from _segmentation(model, label_map, image, version, deadline)))
    return results[0] if single else results


def _segment_whole(model: Model, image: PreparedImage, deadline: float) -> Flow[tuple[Labels, int]]:
    try:
        answer = yield from model.answer(*image_inputs("segment", [image]), deadline)
    except InvalidInput as error:
        pixels = decoded(image, error.details)
        if pixels is None:
            raise
        return (yield from _segment_whole(model, pixels, deadline))
    label_map = read_label_png(answer) if image.pixels is None else _read_map(answer, image.pixels)
    return label_map, answer.version


def analyze(
    model: Model, images: Image | Iterable[Image], timeout: float | None
) -> Flow[Analysis | list[Analysis]]:
    """Classify and segment one image, or several, each in one pass of the network."""
    listed, single = list_images(images)
    results = []
    for name, given in listed:
        image, deadline = prepare(name, given), model.deadline(timeout)
        pixels = image.to_pixels()
        try:
            answer = yield from model.answer("", {"images": tensor_of_images([pixels])}, deadline)
        except InvalidInput as error:
            raise naming(error, image) from error
        (classification,) = read_classifications(answer, 1)
        label_map = _read_map(answer, pixels)
        segmentation = yield from _segmentation(model, label_map, image, answer.version, deadline)
        results.append(Analysis(classification, segmentation))
    return results[0] if single else results


def _segment_tiles(
    model: Model, image: PreparedImage, tiling: Tiling, timeout: float | None
) -> Flow[tuple[Labels, int]]:
    def ask(pixels: npt.NDArray[np.uint8], version: int) -> Flow[tuple[Labels, int]]:
        inputs = {"images": tensor_of_images([pixels])}
        answer = yield from model.answer("segment", inputs, model.deadline(timeout), version=version)
        return _read_map(answer, pixels), answer.version

    return (yield from segment_tiles(image, tiling.cut(*image.size()), tiling, ask))


def _advice(model: Model, refusal: str, timeout: float | None) -> Flow[str]:
    """Say what helps an image that the model refused, if anything does."""
    limit = pixel_limit(refusal)
    if limit is None:
        return ""
    try:
        overlap = overlap_for((yield from model.receptive_field(timeout)))
    except ServingError:  # the refusal is what its caller has to hear
        return ""
    return suggest_tiles(limit, overlap)


def _segmentation(
    model: Model, label_map: npt.NDArray[Any], image: PreparedImage, version: int, deadline: float
) -> Flow[Segmentation]:
    ids = np.flatnonzero(count_pixels(label_map)).tolist()
    names = yield from model.class_names(ids, version, deadline)
    return Segmentation(label_map, names, version, image.to_pillow)


def _read_map(answer: Answer, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
    return read_label_map(answer, pixels.shape[:2])
