"""The pictures in a report: small enough for the page, and of the images that were segmented."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from slimserve import InvalidInput
from slimserve.cli.report.thumbnails import draw_pair, picture_bytes


@pytest.mark.parametrize("images", [1, 100, 10_000])
def test_pictures_in_a_report_are_bounded(images: int, tmp_path: Path) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (900, 1200, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png", compress_level=1)
    most = picture_bytes(images)
    pair = draw_pair(tmp_path / "noise.png", tmp_path / "noise.png", (900, 1200), most)
    assert max(len(pair.image), len(pair.regions)) <= most * 4 / 3 + 30
    assert most * images * 2 <= max(50e6, 12_288 * images)
    assert abs(pair.width / pair.height - 4 / 3) < 0.05


def test_an_image_that_has_changed_since_is_not_shown(tmp_path: Path) -> None:
    Image.new("RGB", (40, 30)).save(tmp_path / "a.png")
    with pytest.raises(InvalidInput, match="has changed: it is 40x30"):
        draw_pair(tmp_path / "a.png", tmp_path / "a.png", (30, 41), 10_000)
