"""The scores of pixels, given those of cells: as each `--upsampling` makes them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...networks import Network
from ...plan.options import GraphOptions
from ...types import Array
from . import expected
from .guided import Filter
from .pixel_scores import PixelScores


def rows_of_scores(
    cells: Array, image: Array, axes: expected.Axes, network: Network, options: GraphOptions, margin: float
) -> Callable[[int], PixelScores]:
    """Return what gives the scores, or filtered probabilities, of a row of pixels.

    Args:
        cells: scores [h, w, C].
        image: uint8 [H, W, 3].
        axes: where its pixels lie among the cells.
        network: that the scores are of.
        options: of the export.
        margin: by which the best class of a cell must lead, so that rounding leaves it the best.
    """
    rows, columns = axes
    if options.upsampling == "guided":
        return Filter(cells, image, axes, options.guided_reach(network), margin)
    of_row = expected.nearest if options.upsampling == "nearest" else expected.interpolated
    return lambda row: PixelScores.of_all(np.asarray(of_row(cells, float(rows[row]), columns)))
