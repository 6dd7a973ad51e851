"""Segmentation: images one by one, whole or cut into tiles, and the classification of the same pass."""

from __future__ import annotations

import logging
import numbers
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

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
from .task import MOST_VERSIONS, Asked, Named, one_by_one
from .tensors import (
    decode_name,
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
        self.tile, self.overlap = _pixels("tile", tile), _pixels("overlap", overlap)
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


def _pixels(what: str, number: int | None) -> int | None:
    if number is None:
        return None
    if isinstance(number, bool) or not isinstance(number, numbers.Integral):
        raise InvalidInput(f"{what} is a whole number of pixels, not {brief(number)}")
    return int(number)  # numpy's small ones overflow where tiles are counted


class _Origin(NamedTuple):
    """Where a label map comes from: the version, and its names of all classes, bytes [C], where it sends them."""

    version: int
    names: npt.NDArray[Any] | None

    @classmethod
    def of(cls, answer: Answer, names: str = "class_names") -> _Origin:
        return cls(answer.version, read_names(answer, names))

    def all_names(self) -> list[str]:
        """Raise InvalidInput where the answer brings none."""
        if self.names is None:
            raise InvalidInput(
                "this model does not name its classes with a label map: for groups, export it anew"
            )
        return [decode_name(name) for name in self.names]


class Segment(Asked):
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

    def answer(self, images: Sequence[Named]) -> Flow[list[Segmentation | ServingError]]:
        """Segment images one by one."""
        return one_by_one(self._segment, images)

    def _segment(self, named: Named) -> Flow[Segmentation]:
        model, timeout, chosen = self.model, self.timeout, Chosen(self.model, self._classes)
        image = prepare(*named)
        tiling = yield from self.cut.tiling(model, image, timeout)
        try:
            if self._wants_top:
                label_map, origin = yield from _label_among_top(model, image, tiling, timeout)
            else:
                label_map, origin = yield from _label(model, chosen, image, tiling, timeout)
        except InvalidInput as error:
            raise naming(error, image, (yield from _advice(model, error.details, timeout))) from error
        return (yield from _segmentation(model, label_map, image, origin, timeout, self._group_of))


def _label_among_top(
    model: Model, image: PreparedImage, tiling: Tiling | None, timeout: float | None
) -> Flow[tuple[Labels, _Origin]]:
    """Ask twice, both times the same version: another one may call other classes by these ids."""
    turns_left = MOST_VERSIONS
    while True:
        label_map, origin = yield from _label(model, Chosen(model, None), image, tiling, timeout)
        top = Chosen(model, top_classes(label_map))
        try:
            return (yield from _label(model, top, image, tiling, timeout, origin.version))
        except ModelNotFound as error:
            turns_left -= 1
            if not turns_left:
                raise
            log.info("version %d went before its top classes were asked for (%s)", origin.version, error)


def _label(
    model: Model,
    chosen: Chosen,
    image: PreparedImage,
    tiling: Tiling | None,
    timeout: float | None,
    version: int = 0,
) -> Flow[tuple[Labels, _Origin]]:
    if tiling:
        return (yield from _segment_tiles(model, chosen, image, tiling, timeout, version))
    return (yield from _segment_whole(chosen, image, model.deadline(timeout), version))


def top_classes(label_map: Labels) -> list[int]:
    """Choose the classes that cover enough of the pixels of [H,W], or, where none does, the one that covers most."""
    counts = count_pixels(label_map)
    return np.flatnonzero(counts >= min(_LEAST_SHARE * label_map.size, counts.max())).tolist()


def _segment_whole(
    chosen: Chosen, image: PreparedImage, deadline: float, version: int
) -> Flow[tuple[Labels, _Origin]]:
    try:
        answer = yield from chosen.answer(*image_inputs("segment", [image]), deadline, version)
    except InvalidInput as error:
        pixels = decoded(image, error.details)
        if pixels is None:
            raise
        return (yield from _segment_whole(chosen, pixels, deadline, version))
    label_map = read_label_png(answer) if image.pixels is None else _read_map(answer, image.pixels)
    return label_map, _Origin.of(answer)


class Analyze(Asked):
    """Classifies and segments images, each in one pass of the network."""

    def answer(self, images: Sequence[Named]) -> Flow[list[Analysis | ServingError]]:
        """Analyze images one by one."""
        return one_by_one(self._analyze, images)

    def _analyze(self, named: Named) -> Flow[Analysis]:
        image, deadline = prepare(*named), self.model.deadline(self.timeout)
        pixels = image.to_pixels()
        try:
            answer = yield from self.model.answer("", {"images": tensor_of_images([pixels])}, deadline)
        except InvalidInput as error:
            raise naming(error, image) from error
        (classification,) = read_classifications(answer, 1)
        label_map = _read_map(answer, pixels)
        origin = _Origin.of(answer, "label_names")
        segmentation = yield from _segmentation(self.model, label_map, image, origin, self.timeout)
        return Analysis(classification, segmentation)


def _segment_tiles(
    model: Model,
    chosen: Chosen,
    image: PreparedImage,
    tiling: Tiling,
    timeout: float | None,
    version: int,
) -> Flow[tuple[Labels, _Origin]]:
    from .stitching import segment_tiles

    origin: _Origin | None = None

    def ask(pixels: npt.NDArray[np.uint8], version: int) -> Flow[tuple[Labels, int]]:
        nonlocal origin
        inputs = {"images": tensor_of_images([pixels])}
        answer = yield from chosen.answer("segment", inputs, model.deadline(timeout), version)
        origin = _Origin.of(answer)
        return _read_map(answer, pixels), answer.version

    label_map, _ = yield from segment_tiles(image, tiling.cut(*image.size()), tiling, ask, version)
    assert origin is not None  # there is no image without a tile
    return label_map, origin


def _advice(model: Model, refusal: str, timeout: float | None) -> Flow[str]:
    """Say what helps an image that the model refused, if anything does."""
    limit = pixel_limit(refusal)
    if limit is None:
        return ""
    from .tiling import overlap_for, suggest_tiles

    try:
        overlap = overlap_for((yield from model.receptive_field(timeout)))
    except ServingError:  # the refusal is what its caller has to hear
        return ""
    return suggest_tiles(limit, overlap)


def _segmentation(
    model: Model,
    label_map: npt.NDArray[Any],
    image: PreparedImage,
    origin: _Origin,
    timeout: float | None,
    group_of: Mapping[str, str] = MappingProxyType({}),
) -> Flow[Segmentation]:
    if group_of:
        from .groups import merge

        label_map, renamed = merge(label_map, origin.all_names(), group_of)
        ids = np.flatnonzero(count_pixels(label_map)).tolist()
        return Segmentation(label_map, {id: renamed[id] for id in ids}, origin.version, image.to_pillow)
    ids = np.flatnonzero(count_pixels(label_map)).tolist()
    if origin.names is None:
        names = yield from model.class_names(ids, origin.version, model.deadline(timeout))
    elif ids[-1] < len(origin.names):
        names = {id: decode_name(origin.names[id]) for id in ids}
    else:
        raise ServerError(
            f"the label map holds class {ids[-1]}, and the answer names {len(origin.names)} classes"
        )
    return Segmentation(label_map, names, origin.version, image.to_pillow)


def _read_map(answer: Answer, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
    return read_label_map(answer, pixels.shape[:2])
