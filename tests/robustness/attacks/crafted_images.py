"""All images made by hand to hurt a decoder."""

from __future__ import annotations

from tests.robustness.attacks.crafted_jpeg_webp import jpeg_images, webp_images
from tests.robustness.attacks.crafted_png_gif_bmp import bmp_images, gif_images, png_images


def crafted_images() -> dict[str, bytes]:
    """Their bytes by what they are."""
    makers = (png_images, jpeg_images, gif_images, bmp_images, webp_images)
    return {name: data for images in makers for name, data in images()}
