"""A colour for each class, the same in every picture: easy to tell apart, even in lightness, none near black or white.

Hues step round the circle by the golden angle, so that any run of ids is spread as evenly as it can be; lightness and
chroma step through five levels, so that hues that come near each other again differ in those. The circle is OKLCH's
(B. Ottosson, "A perceptual color space for image processing", 2020), where equal steps look equal.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

_GOLDEN_ANGLE = np.pi * (3 - np.sqrt(5))
# Lightness and chroma. Five levels: hues come close again after 8, 13, 21 and 34 steps, none of them a multiple of 5.
_LEVELS = np.array([[0.88, 0.11], [0.60, 0.16], [0.50, 0.15], [0.70, 0.16], [0.79, 0.14]])
_FIRST_HUE = 4.1  # blue

# From OKLab to the cube roots of the cone responses, and from those responses to linear sRGB.
_TO_CONES = np.array(
    [
        [1.0, 0.3963377774, 0.2158037573],
        [1.0, -0.1055613458, -0.0638541728],
        [1.0, -0.0894841775, -1.2914855480],
    ]
)
_TO_RGB = np.array(
    [
        [4.0767416621, -3.3077115913, 0.2309699292],
        [-1.2684380046, 2.6097574011, -0.3413193965],
        [-0.0041960863, -0.7034186147, 1.7076147010],
    ]
)


def colours(ids: npt.ArrayLike) -> npt.NDArray[np.uint8]:
    """Give the colours of class ids [n] as uint8 [n,3], sRGB."""
    steps = np.asarray(ids, np.int64)
    hue = _FIRST_HUE + steps * _GOLDEN_ANGLE
    lightness, chroma = _LEVELS[steps % len(_LEVELS)].T
    # Where sRGB cannot show that much chroma at this hue, take less of it rather than another hue.
    for _ in range(20):
        rgb = _linear_rgb(lightness, chroma, hue)
        outside = (rgb < 0).any(axis=-1) | (rgb > 1).any(axis=-1)
        if not outside.any():
            break
        chroma = np.where(outside, chroma * 0.93, chroma)
    rgb = np.clip(rgb, 0, 1)
    encoded = np.where(rgb <= 0.0031308, 12.92 * rgb, 1.055 * rgb ** (1 / 2.4) - 0.055)  # IEC 61966-2-1
    result: npt.NDArray[np.uint8] = np.round(encoded * 255).astype(np.uint8)
    return result


def _linear_rgb(
    lightness: npt.NDArray[Any], chroma: npt.NDArray[Any], hue: npt.NDArray[Any]
) -> npt.NDArray[Any]:
    lab = np.stack([lightness, chroma * np.cos(hue), chroma * np.sin(hue)], axis=-1)
    rgb: npt.NDArray[Any] = (lab @ _TO_CONES.T) ** 3 @ _TO_RGB.T
    return rgb
