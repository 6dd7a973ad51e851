"""Classification: images ranked in batches, and one that is refused told from its neighbours."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ..channels.steps import Flow
from ..errors import InvalidInput
from ..images import pillow
from ..images.batches import batches
from ..images.given import Image, PreparedImage, list_images, prepare
from ..images.refused import decoded, pixel_limit, shrunk
from ..types import Classification
from .model import Model
from .tensors import image_inputs, naming, read_classifications


def classify(
    model: Model, images: Image | Iterable[Image], timeout: float | None
) -> Flow[Classification | list[Classification]]:
    """Classify one image, or several."""
    listed, single = list_images(images)
    results = []
    for batch in batches(shrunk(prepare(name, image)) for name, image in listed):
        results += yield from _classify_batch(model, batch, timeout)
    return results[0] if single else results


def _classify_batch(
    model: Model, batch: list[PreparedImage], timeout: float | None
) -> Flow[list[Classification]]:
    try:
        answer = yield from model.answer(*image_inputs("classify", batch), model.deadline(timeout))
    except InvalidInput as error:
        if len(batch) == 1:
            return [(yield from _classify_otherwise(model, batch[0], error, timeout))]
    else:
        results = read_classifications(answer, len(batch))
        return [
            replace(result, sent_size=image.size()) if image.original_size else result
            for result, image in zip(results, batch, strict=True)
        ]
    results = []  # one image fails its neighbours: find it, or answer the rest
    for image in batch:
        results += yield from _classify_batch(model, [image], timeout)
    return results


def _classify_otherwise(
    model: Model, image: PreparedImage, error: InvalidInput, timeout: float | None
) -> Flow[Classification]:
    """Send an image that was refused in pixels, or smaller, where that helps."""
    limit = pixel_limit(error.details)
    other = decoded(image, error.details) if limit is None else shrunk(image, limit)
    if other is None or other is image:
        needs = "; with Pillow the client shrinks it: pip install 'slimserve[images]'"
        raise naming(error, image, needs if limit and not pillow.is_there() else "") from error
    (result,) = yield from _classify_batch(model, [other], timeout)
    return result
