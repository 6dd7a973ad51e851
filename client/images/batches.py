"""Images grouped into requests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from .given import PreparedImage

# Crops in one classify request: enough to fill a processor, few enough for any server's limit.
MOST_IMAGES = 8
_MOST_BYTES = 32 << 20


def batches(images: Iterable[PreparedImage]) -> Iterator[list[PreparedImage]]:
    """Group neighbours that fit in one request: encoded images, or pixels of one size. Reads no further than needed."""
    batch: list[PreparedImage] = []
    for image in images:
        full = len(batch) == MOST_IMAGES or sum(other.nbytes for other in batch) + image.nbytes > _MOST_BYTES
        if batch and (full or _kind(image) != _kind(batch[0])):
            yield batch
            batch = []
        batch.append(image)
    if batch:
        yield batch


def _kind(image: PreparedImage) -> object:
    return image.pixels.shape if image.pixels is not None else "encoded"
