"""Segmentation: images one by one, whole or cut into tiles, and the classification of the same pass."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from ..channels.steps import Flow
from ..errors import InvalidInput, ModelNotFound, ServerError, ServingError
from ..images.given import PreparedImage, prepare
from ..images.refused import decoded, pixel_limit
from ..limits import brief, check_whole
from ..types import Analysis, Segmentation, count_pixels
from ..wire.encoding import tensor_of_images
from ..wire.messages import Answer
from .chosen import Chosen, Classes, checked
from .model import Model
from .task import MOST_VERSIONS, Named, Task
from .tensors import (
    image_inputs,
    naming,
    read_classifications,
    read_label_map,
    read_label_png,
    read_names,
)

if TYPE_CHECKING:  # what only tiles, or only groups, need is imported with the first
    from .groups import GivenGroups
    from .stitching import Labels
    from .tiling import Progress, Tiling

_LEAST_SHARE = 0.02  # of the pixels, for a class to be one of the top classes

log = logging.getLogger("slimserve")


class Cut:
    """How images are cut: what `segment` of the clients takes, None where it follows from the model.

    `at_once` are the tiles that are sent at a time. Raises InvalidInput for arguments of the wrong type.
    """

    def __init__(
        self, tile: int | None, overlap: int | None, at_once: int, progress: Progress | None = None
    ) -> None:
        if progress is not None and not callable(progress):
            raise InvalidInput(f"progress is a function of two numbers, not {brief(progress)}")
        # As Python's numbers: numpy's small ones overflow where tiles are counted.
        self.tile = None if tile is None else check_whole("tile", tile, 1)
        self.overlap = None if overlap is None else check_whole("overlap", overlap, 0)
        if self.tile is None and self.overlap is not None:
            raise InvalidInput("an overlap is what tiles share: give tile= too, or leave out overlap=")
        self.at_once = check_whole("tiles_at_once", at_once, 1)
        self.progress = progress

    def tiling(self, model: Model, image: PreparedImage, timeout: float | None) -> Flow[Tiling | None]:
        """Decide how to cut the image; None where it goes whole."""
        if self.tile is None or max(image.size()) <= self.tile:
            return None
        from .tiling import Tiling, overlap_for

        overlap = self.overlap
        if overlap is None:
            overlap = overlap_for((yield from model.receptive_field(timeout)))
        return Tiling(self.tile, overlap, self.at_once, self.progress)


class Segment(Task[Segmentation]):
    """Finds the class of every pixel of images.

    Raises InvalidInput for what cannot be classes or groups.
    """

    def __init__(
        self,
        model: Model,
        timeout: float | None,
        cut: Cut,
        classes: Classes | Literal["top"] | None = None,
        groups: GivenGroups | None = None,
    ) -> None:
        super().__init__(model, timeout)
        self.cut = cut
        self._wants_top = isinstance(classes, str) and classes == "top"  # of an array, == would make an array
        self._classes = None if self._wants_top else checked(classes)
        self._group_of: Mapping[str, str] = {}
        if groups is not None:
            from .groups import read_groups

            self._group_of = read_groups(groups)

    def answer_one(self, named: Named) -> Flow[Segmentation]:
        """Segment an image."""
        image = prepare(*named)
        tiling = yield from self.cut.tiling(self.model, image, self.timeout)
        try:
            if self._wants_top:
                label_map, answer = yield from self._label_among_top(image, tiling)
            else:
                label_map, answer = yield from self._label(self._classes, image, tiling)
        except InvalidInput as error:
            raise naming(error, image, (yield from self._advice(error.details))) from error
        return (yield from _segmentation(self, label_map, image, answer, group_of=self._group_of))

    def _label_among_top(self, image: PreparedImage, tiling: Tiling | None) -> Flow[tuple[Labels, Answer]]:
        """Ask twice, both times the same version: another one may call other classes by these ids."""
        turns_left = MOST_VERSIONS
        while True:
            label_map, answer = yield from self._label(None, image, tiling)
            try:
                return (yield from self._label(top_classes(label_map), image, tiling, answer.version))
            except ModelNotFound as error:
                turns_left -= 1
                if not turns_left:
                    raise
                log.info("version %d went before its top classes were asked for (%s)", answer.version, error)

    def _label(
        self,
        classes: Sequence[int | str] | None,
        image: PreparedImage,
        tiling: Tiling | None,
        version: int = 0,
    ) -> Flow[tuple[Labels, Answer]]:
        chosen = Chosen(self.model, classes)
        if tiling is None:
            deadline = self.model.deadline(self.timeout)
            label_map, answer = yield from _segment_whole(chosen, image, deadline, version)
            self._check_groups(answer)
            return label_map, answer
        from .stitching import segment_tiles

        def ask(pixels: npt.NDArray[np.uint8], version: int) -> Flow[tuple[Labels, Answer]]:
            inputs = {"images": tensor_of_images([pixels])}
            deadline = self.model.deadline(self.timeout)
            answer = yield from chosen.answer("segment", inputs, deadline, version)
            self._check_groups(answer)
            return _read_map(answer, pixels), answer

        return (yield from segment_tiles(image, tiling, ask, version))

    def _check_groups(self, answer: Answer) -> None:
        """Raise InvalidInput where the groups are not of an answer's classes: of tiles, at the first one."""
        if self._group_of:
            from .groups import check_groups

            names = read_names(answer)
            if names is None:
                raise InvalidInput(
                    "this model does not name its classes with a label map: for groups, export it anew"
                )
            check_groups(names, self._group_of)

    def _advice(self, refusal: str) -> Flow[str]:
        """Say what helps an image that the model refused, if anything does."""
        limit = pixel_limit(refusal)
        if limit is None:
            return ""
        from .tiling import overlap_for, suggest_tiles

        try:
            overlap = overlap_for((yield from self.model.receptive_field(self.timeout)))
        except ServingError:  # the refusal is what its caller has to hear
            return ""
        return suggest_tiles(limit, overlap)


def top_classes(label_map: Labels) -> list[int]:
    """Choose the classes that cover enough of the pixels of [H,W], or, where none does, the one that covers most."""
    counts = count_pixels(label_map)
    return np.flatnonzero(counts >= min(_LEAST_SHARE * label_map.size, counts.max())).tolist()


def _segment_whole(
    chosen: Chosen, image: PreparedImage, deadline: float, version: int
) -> Flow[tuple[Labels, Answer]]:
    try:
        answer = yield from chosen.answer(*image_inputs("segment", [image]), deadline, version)
    except InvalidInput as error:
        pixels = decoded(image, error.details)
        if pixels is None:
            raise
        return (yield from _segment_whole(chosen, pixels, deadline, version))
    label_map = read_label_png(answer) if image.pixels is None else _read_map(answer, image.pixels)
    return label_map, answer


class Analyze(Task[Analysis]):
    """Classifies and segments images, each in one pass of the network."""

    def answer_one(self, named: Named) -> Flow[Analysis]:
        """Analyze an image."""
        image, deadline = prepare(*named), self.model.deadline(self.timeout)
        pixels = image.to_pixels()
        try:
            answer = yield from self.model.answer("", {"images": tensor_of_images([pixels])}, deadline)
        except InvalidInput as error:
            raise naming(error, image) from error
        (classification,) = read_classifications(answer, 1)
        label_map = _read_map(answer, pixels)
        segmentation = yield from _segmentation(self, label_map, image, answer, "label_names")
        return Analysis(classification, segmentation)


def _segmentation(
    task: Task[Any],
    label_map: npt.NDArray[Any],
    image: PreparedImage,
    answer: Answer,
    output: str = "class_names",
    group_of: Mapping[str, str] = MappingProxyType({}),
) -> Flow[Segmentation]:
    names = read_names(answer, output)
    if names and group_of:
        from .groups import merge

        label_map, names = merge(label_map, names, group_of)
    ids = np.flatnonzero(count_pixels(label_map)).tolist()
    if names is None:
        deadline = task.model.deadline(task.timeout)
        found = yield from task.model.class_names(ids, answer.version, deadline)
    elif ids[-1] < len(names):
        found = {id: names[id] for id in ids}
    else:
        raise ServerError(f"the label map holds class {ids[-1]}, and the answer names {len(names)} classes")
    return Segmentation(label_map, found, answer.version, image.to_pillow)


def _read_map(answer: Answer, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
    return read_label_map(answer, pixels.shape[:2])
