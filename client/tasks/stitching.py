"""A label map put together from the answers for an image's tiles."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..channels.steps import Flow, Together
from ..errors import ModelNotFound, ServerError
from ..images.given import PreparedImage
from ..wire.messages import Answer
from .task import MOST_VERSIONS
from .tiling import Tile, Tiling

log = logging.getLogger("slimserve")

Labels = npt.NDArray[Any]
Ask = Callable[[npt.NDArray[np.uint8], int], Flow[tuple[Labels, Answer]]]
"""Segment pixels [h,w,3] by a version of the model, 0 for any: the label map [h,w] and the answer that it came in."""


def segment_tiles(
    image: PreparedImage, tiling: Tiling, ask: Ask, version: int = 0
) -> Flow[tuple[Labels, Answer]]:
    """Segment each tile and put the labels together: uint8 or uint16 [H,W], and the answer for the first tile.

    The first tile is asked alone, of `version` where that is not 0; the version that answers it has to answer the
    others. Where no replica has that version any more, all of them are asked anew, of the version that there is then.
    Raises what `ask` raises.
    """
    tiles = tiling.cut(*image.size())
    for turns_left in reversed(range(MOST_VERSIONS)):
        stitching = _Stitching(image, ask)
        try:
            yield from _ask_all(stitching, tiles, tiling, version)
        except ModelNotFound as error:
            if not stitching.version or not turns_left:
                raise
            log.info("version %d went while its tiles were asked (%s): begun anew", stitching.version, error)
        else:
            break
    return stitching.label_map, stitching.first


def _ask_all(stitching: _Stitching, tiles: Sequence[Tile], tiling: Tiling, version: int) -> Flow[None]:
    done = itertools.count(1)

    def report() -> None:
        if tiling.progress:
            tiling.progress(next(done), len(tiles))

    first, *others = tiles
    yield Together([stitching.begin(first, version)], 1, report)
    yield Together(map(stitching.go_on, others), tiling.at_once, report)


class _Stitching:
    """An image's label map while it grows."""

    label_map: Labels
    first: Answer
    version = 0

    def __init__(self, image: PreparedImage, ask: Ask) -> None:
        self._read = image.window_reader()
        self._size = image.size()
        self._ask = ask

    def begin(self, tile: Tile, version: int) -> Flow[None]:
        """Segment the first tile, whose answer tells the labels' type and the version."""
        labels, self.first = yield from self._ask(self._read(tile.rows.sent, tile.columns.sent), version)
        self.version = self.first.version
        self.label_map = np.empty(self._size, labels.dtype)
        self._place(labels, tile)

    def go_on(self, tile: Tile) -> Flow[None]:
        """Segment another tile."""
        labels, answer = yield from self._ask(self._read(tile.rows.sent, tile.columns.sent), self.version)
        if answer.version != self.version or labels.dtype != self.label_map.dtype:
            raise ServerError(
                f"a tile was answered by version {answer.version} with {labels.dtype} labels, the first one by "
                f"version {self.version} with {self.label_map.dtype} labels"
            )
        self._place(labels, tile)

    def _place(self, labels: Labels, tile: Tile) -> None:
        self.label_map[tile.rows.kept, tile.columns.kept] = labels[tile.rows.inner, tile.columns.inner]
