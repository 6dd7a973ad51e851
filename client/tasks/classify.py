"""Classification: images ranked in batches, and one that is refused told from its neighbours."""

from __future__ import annotations

from collections.abc import Iterable

from ..channels.calls import Flow
from ..errors import InvalidInput
from ..images.batches import batches
from ..images.given import Image, PreparedImage, list_images, prepare
from ..types import Classification
from .model import Model
from .tensors import image_inputs, naming, read_classifications


def classify(
    model: Model, images: Image | Iterable[Image], timeout: float | None
) -> Flow[Classification | list[Classification]]:
    """Classify one image, or several."""
    listed, single = list_images(images)
    results = []
    for batch in batches(prepare(name, image) for name, image in listed):
        results += yield from _classify_batch(model, batch, timeout)
    return results[0] if single else results


def _classify_batch(
    model: Model, batch: list[PreparedImage], timeout: float | None
) -> Flow[list[Classification]]:
    try:
        answer = yield from model.answer(*image_inputs("classify", batch), model.deadline(timeout))
    except InvalidInput as error:
        if len(batch) == 1:
            raise naming(error, batch[0]) from error
    else:
        return read_classifications(answer, len(batch))
    results = []  # one image fails its neighbours: find it, or answer the rest
    for image in batch:
        results += yield from _classify_batch(model, [image], timeout)
    return results
