"""Where to cut a large image so that the label maps of its tiles, put together, are the label map of the whole.

A tile's edge is an edge that the image does not have: what lies near it is decided without its surroundings, and is
left to the neighbour. How near follows from the receptive field of the network, the pixels that one of its logits cells
sees, half of them to each side of its centre (Araujo et al., "Computing Receptive Fields of Convolutional Neural
Networks", Distill, 2019). Interpolating between the centres of cells reaches one cell, 32 pixels, further. Cells lie
on a grid of 32 pixels that begins where the tile begins, and so must the tiles.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import NamedTuple

from ..errors import InvalidInput

CELL = 32  # pixels between logits cells; a multiple of that where a network's output stride is smaller
_VGG_16 = 404  # pixels, the receptive field
_LARGEST_SUGGESTED = 1024  # more is faster, but takes more of the server's memory

Progress = Callable[[int, int], object]
"""Told after each tile: tiles done, and tiles of the image."""


class Span(NamedTuple):
    """One axis of a tile, in pixels of the image: what is sent, and the part of it whose labels are kept."""

    sent: slice
    kept: slice

    @property
    def inner(self) -> slice:
        """The part that is kept, counted from the beginning of what is sent."""
        return slice(self.kept.start - self.sent.start, self.kept.stop - self.sent.start)


class Tile(NamedTuple):
    """A rectangle to send, and the one inside it whose labels are kept."""

    rows: Span
    columns: Span


class Tiling:
    """How `segment` cuts: sides of at most `tile` pixels that share `overlap`, `at_once` requests at a time.

    Raises InvalidInput for a tile that is not larger than the overlap.
    """

    def __init__(self, tile: int, overlap: int, at_once: int, progress: Progress | None = None) -> None:
        least = _up(overlap) + CELL
        if tile < least:
            raise InvalidInput(
                f"a tile of {tile} pixels is too small: neighbours share {overlap}, so take at least "
                f"{least}, or a smaller overlap, with which labels at the seams may be others than without tiles"
            )
        self.tile, self.overlap, self.at_once, self.progress = tile, overlap, at_once, progress

    def cut(self, height: int, width: int) -> list[Tile]:
        """Cut an image of that size; one tile when neither side is longer than `tile`."""
        rows, columns = self._spans(height), self._spans(width)
        return [Tile(row, column) for row in rows for column in columns]

    def _spans(self, length: int) -> list[Span]:
        if length <= self.tile:
            return [Span(slice(0, length), slice(0, length))]
        shared = _up(self.overlap)
        # As many as have to be; then all alike, and no larger than that takes.
        count = -(-(length - shared) // (self.tile // CELL * CELL - shared))
        side = _up(-(-(length + (count - 1) * shared) // count))
        starts = range(0, length - shared, side - shared)
        cuts = [0, *(start + shared // 2 for start in starts[1:]), length]
        return [
            Span(slice(start, min(start + side, length)), slice(*kept))
            for start, kept in zip(starts, itertools.pairwise(cuts), strict=True)
        ]


def _up(pixels: int) -> int:
    """Round up to whole cells."""
    return -(-pixels // CELL) * CELL


def overlap_for(receptive_field: int | None) -> int:
    """Pixels that tiles have to share so that their seams cannot be told, for VGG-16 where the field is not known."""
    return _up(2 * (-(-(receptive_field or _VGG_16) // 2) + CELL))


def suggest_tiles(limit: int, overlap: int) -> str:
    """Say what helps where a model takes `limit` pixels; empty where no tile of that size would."""
    side = min(math.isqrt(limit) // CELL * CELL, max(_LARGEST_SUGGESTED, 2 * overlap))
    if side <= overlap:
        return ""
    return f"; or have it cut: segment(..., tile={side}), on the command line --tile {side}"
