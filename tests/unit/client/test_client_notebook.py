"""How results show themselves in a notebook."""

from __future__ import annotations

import base64
import html.parser
import io
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from slimserve import Analysis, Classification, Prediction, Segmentation
from slimserve.images.given import PreparedImage

ROOT = Path(__file__).parents[3]
HOSTILE = "<script>alert('&amp;')</script>\"\udcff"


def classified(name: str = "cat") -> Classification:
    return Classification([Prediction(name, 0.75, 3), Prediction("dog", 0.25, 5)], None, 7)


def segmented(height: int, width: int, name: str = "cat", image: PreparedImage | None = None) -> Segmentation:
    label_map = np.full((height, width), 3, np.uint8)
    label_map[:, width // 4 :] = 5
    pixels = np.full((height, width, 3), 128, np.uint8)
    return Segmentation(
        label_map, {3: name, 5: "dog"}, 7, (image or PreparedImage("x", pixels=pixels)).to_pillow
    )


class Page(html.parser.HTMLParser):
    """The tags and the text of a piece of HTML."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def picture_of(png: bytes | None) -> Image.Image:
    assert png is not None
    return Image.open(io.BytesIO(png))


def test_a_classification_is_a_table_and_a_picture() -> None:
    page = Page(classified()._repr_html_())
    assert re.search(r"version 7.*cat.*75\.0 %.*dog.*25\.0 %", page.text)
    assert picture_of(classified()._repr_png_()).height > 40


def test_a_segmentation_is_its_overlay_and_its_areas() -> None:
    scene = segmented(120, 200)
    source = scene._repr_html_()
    assert re.search(r"200 × 120.*version 7.*dog.*75\.0 %.*cat.*25\.0 %", Page(source).text)
    embedded = re.search(r"data:image/png;base64,([^\"]+)", source)
    assert embedded
    picture = picture_of(base64.b64decode(embedded[1]))
    assert picture.tobytes() == scene.overlay(legend=False).tobytes()
    assert picture_of(scene._repr_png_()).tobytes() == scene.overlay().tobytes()


def test_an_analysis_shows_both() -> None:
    both = Analysis(classified("whole cat"), segmented(40, 60, "part of a cat"))
    text = Page(both._repr_html_()).text
    assert "whole cat" in text
    assert "part of a cat" in text
    assert both._repr_png_() == both.segmentation._repr_png_()


@pytest.mark.parametrize("size", [(3000, 2000), (1, 5000), (5000, 1), (1025, 1024)])
def test_the_picture_of_a_large_image_is_small(size: tuple[int, int]) -> None:
    scene = segmented(*size)
    embedded = re.search(r"data:image/png;base64,([^\"]+)", scene._repr_html_())
    assert embedded
    assert max(picture_of(base64.b64decode(embedded[1])).size) <= 1024


def test_what_a_class_is_called_stays_text() -> None:
    for result in (classified(HOSTILE), segmented(40, 60, HOSTILE)):
        page = Page(result._repr_html_())
        assert "script" not in page.tags
        assert "<script>alert('&amp;')</script>\"?" in page.text
        assert result._repr_png_()


@pytest.mark.parametrize(
    "image",
    [
        PreparedImage("broken", encoded=b"\x89PNG\r\n\x1a\n nothing"),
        PreparedImage("of another size", pixels=np.zeros((10, 10, 3), np.uint8)),
    ],
)
def test_a_picture_that_cannot_be_drawn_leaves_the_table(image: PreparedImage) -> None:
    scene = segmented(40, 60, image=image)
    page = Page(scene._repr_html_())
    assert "img" not in page.tags
    assert "75.0 %" in page.text
    assert scene._repr_png_() is None


def test_without_pillow_the_tables_are_there() -> None:
    script = (
        "import sys; sys.modules['PIL'] = None\n"
        "import importlib.util as util\n"
        "find = util.find_spec\n"
        "util.find_spec = lambda name, *rest: None if name == 'PIL' else find(name, *rest)\n"
        "import numpy as np\n"
        "from slimserve import Classification, Prediction, Segmentation\n"
        "from slimserve.images.given import PreparedImage\n"
        "image = PreparedImage('x', pixels=np.zeros((4, 4, 3), np.uint8))\n"
        "scene = Segmentation(np.zeros((4, 4), np.uint8), {0: 'cat'}, 1, image.to_pillow)\n"
        "ranking = Classification([Prediction('dog', 1.0, 0)], None, 1)\n"
        "print(scene._repr_html_(), ranking._repr_html_(), scene._repr_png_(), ranking._repr_png_())\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert re.search(r"<table>.*cat.*<table>.*dog.*None None", answer.stdout)
    assert "<img" not in answer.stdout
