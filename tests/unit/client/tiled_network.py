"""A model on a scripted server that labels pixels by their place, but for those that a cut decides."""

from __future__ import annotations

import grpc
import numpy as np
from slimserve.wire.protocol import PredictRequest

from tests.unit.client.conftest import Answer, predict_answer

# Pixels: half of what a logits cell of VGG-16 sees, and the cell that interpolation reaches.
REACH = 404 // 2 + 32
UNKNOWN = 255


def chart(height: int, width: int) -> np.ndarray:
    """uint8 [H,W,3] whose pixels tell where they are: column and row over 32, and whether both are multiples."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[..., 0] = np.arange(width) // 32
    pixels[..., 1] = np.arange(height)[:, None] // 32
    pixels[::32, ::32, 2] = 1
    return pixels


def place_labels(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """A label for each pixel that depends on its place alone."""
    return (rows // 3 % 125)[:, None].astype(np.uint8) + (columns // 5 % 125).astype(np.uint8)


def labels_of(height: int, width: int) -> np.ndarray:
    return place_labels(np.arange(height), np.arange(width))


def network_with_reach(
    height: int, width: int, reach: int = REACH, version: int = 1, receptive_field: int | None = None
) -> Answer:
    """Answers tiles of a chart by place, but UNKNOWN where the label depends on what was cut away.

    `receptive_field` is what the model says of itself, if it does.
    """

    def visible(start: int, size: int, whole: int) -> np.ndarray:
        inside = np.arange(size)
        left = inside >= reach if start else np.ones(size, bool)
        right = inside < size - reach if start + size < whole else np.ones(size, bool)
        return left & right

    def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
        asked = PredictRequest.FromString(request)
        if asked.model_spec.signature_name == "labels":
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "it has no names")
        if asked.model_spec.signature_name == "logits":
            if receptive_field is None:
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, "output tensor alias not found in signature")
            return predict_answer(receptive_field=[receptive_field])
        sent = asked.inputs["images"]
        tile_height, tile_width = (dim.size for dim in sent.tensor_shape.dim[1:3])
        column, row, on_grid = sent.tensor_content[:3]
        if not on_grid:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the tile does not begin on the grid")
        rows, columns = 32 * row + np.arange(tile_height), 32 * column + np.arange(tile_width)
        seen = visible(32 * row, tile_height, height)[:, None] & visible(32 * column, tile_width, width)[None]
        labels = np.where(seen, place_labels(rows, columns), np.uint8(UNKNOWN))
        return predict_answer(version, label_map=labels[None])

    return answer
