"""The page of `evaluate`, as a browser shows it: the worst images first, and nothing that a name could do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.select import Select
from slimserve.cli.display import Bars
from slimserve.cli.report.evaluation import MOST_IMAGES, Card, Page, write_evaluation
from slimserve.cli.report.parts import Row, compare, picture
from slimserve.cli.report.thumbnails import make_pair, shrink

HOSTILE = "</script><script>document.title='taken'</script>\"'><b>&amp;"


def draw_page(path: Path, images: int, *, regions: bool) -> None:
    """A page of so many images, called 000.png and so on; every other of one class, and one that cannot be drawn."""
    gray = Image.fromarray(np.full((30, 40, 3), 128, np.uint8))

    def draw(row: Row, most_bytes: int) -> Card:
        if row["number"] == 1:
            raise OSError("it is gone")
        shown = (
            compare(make_pair(gray, gray, most_bytes), row["image"])
            if regions
            else picture(shrink(gray, most_bytes), row["image"])
        )
        id = row["number"] % 2
        return Card(shown, f"true: {HOSTILE}", [(id, HOSTILE, "99 %"), (None, "other", "")], {id: 1.0})

    rows = [
        {"image": f"photos/{HOSTILE if each == 2 else f'{each:03d}.png'}", "number": each}
        for each in range(images)
    ]
    page = Page(
        title=f"vgg_16 version 1 on {HOSTILE}\n{images} images",
        heads=["", "value"],
        table=[["top-1", "50.00 %"], [HOSTILE, "1.00 %"]],
        notes=[HOSTILE],
        rows=rows,
        of=images,
        failed=[{"image": "photos/failed.png", "error": f"photos/failed.png: {HOSTILE}"}],
        names=lambda id: HOSTILE if id else "even",
        regions=regions,
        draw=draw,
    )
    write_evaluation(path, page, Bars(None))


@pytest.mark.parametrize("regions", [True, False])
def test_the_worst_images_stand_first_and_names_stay_text(
    browser: webdriver.Chrome, tmp_path: Path, regions: bool
) -> None:
    path = tmp_path / "made" / "page.html"
    draw_page(path, MOST_IMAGES + 5, regions=regions)
    browser.get_log("browser")
    browser.get(path.as_uri())
    assert browser.title == "Evaluation"
    assert browser.get_log("browser") == []

    def shown() -> list[str]:
        cards = browser.find_elements(By.CSS_SELECTOR, "article")
        return [card.find_element(By.TAG_NAME, "h2").text for card in cards if card.is_displayed()]

    assert shown()[:2] == ["000.png", "001.png"]
    assert len(shown()) == MOST_IMAGES
    head = browser.find_element(By.TAG_NAME, "header").text
    assert f"the {MOST_IMAGES} worst of {MOST_IMAGES + 5} images" in head
    assert HOSTILE in head
    assert browser.find_element(By.ID, "failed").text.count(HOSTILE) == 1
    assert browser.find_element(By.CSS_SELECTOR, ".missing").text == "it is gone"
    Select(browser.find_element(By.ID, "sort")).select_by_value("name")
    assert shown()[-1].startswith("059")
    browser.find_element(By.CSS_SELECTOR, '#classes button[data-class="1"]').click()
    assert len(shown()) == MOST_IMAGES // 2 - 1
