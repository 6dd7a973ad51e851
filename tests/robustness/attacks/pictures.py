"""The picture that hostile images are made of."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image


def picture(width: int = 48, height: int = 40) -> Image.Image:
    """Coloured blocks."""
    colours = np.random.default_rng(0).integers(0, 256, (height // 8, width // 8, 3))
    return Image.fromarray(np.kron(colours, np.ones((8, 8, 1))).astype(np.uint8))


def encoded(image: Image.Image, format: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()
