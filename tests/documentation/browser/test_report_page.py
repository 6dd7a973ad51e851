"""The report of `segment`, as a browser shows it: from a file, with no network."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.select import Select
from slimserve.cli.display import Bars
from slimserve.cli.main import main
from slimserve.cli.report.page import write_report

from tests.documentation.browser.conftest import HOSTILE_FILE

HOSTILE_CLASS = "</script></style><script>document.title='taken'</script>\"'><b>&amp;\u202e\x07"


@pytest.fixture(scope="session")
def folder(photos: Path, engine: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a run over the photos leaves."""
    out = tmp_path_factory.mktemp("out")
    words = ["segment", str(photos), "-o", str(out), "--report", str(out / "report.html"), "--server", engine]
    assert main(words) == 1
    return out


@pytest.fixture
def page(folder: Path, browser: webdriver.Chrome) -> webdriver.Chrome:
    return load(browser, folder / "report.html")


def load(browser: webdriver.Chrome, path: Path) -> webdriver.Chrome:
    for kind in ("browser", "performance"):
        browser.get_log(kind)
    browser.get(path.as_uri())
    return browser


def find(page: webdriver.Chrome, selector: str) -> WebElement:
    return page.find_element(By.CSS_SELECTOR, selector)


def shown(page: webdriver.Chrome) -> list[str]:
    """The names of the pictures shown, in order."""
    cards = page.find_elements(By.CSS_SELECTOR, "article")
    return [card.find_element(By.TAG_NAME, "h2").text for card in cards if card.is_displayed()]


def areas_of(page: webdriver.Chrome, index: int) -> dict[str, float]:
    card = page.find_elements(By.CSS_SELECTOR, "article")[index]
    return {
        id: float(part) for id, part in re.findall(r"(\d+):([\d.]+)", card.get_dom_attribute("data-areas"))
    }


def pixels_of(element: WebElement) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(element.screenshot_as_png)).convert("RGB")).astype(float)


def test_it_needs_no_network_and_keeps_to_its_policy(page: webdriver.Chrome) -> None:
    messages = [json.loads(entry["message"])["message"] for entry in page.get_log("performance")]
    asked = [
        message["params"]["request"]["url"].split(":")[0]
        for message in messages
        if message["method"] == "Network.requestWillBeSent"
        and message["params"]["documentURL"].startswith("file:")  # not the empty page before it
    ]
    assert asked.count("file") == 1
    assert set(asked) <= {"file", "data"}
    assert page.get_log("browser") == []


def test_its_policy_lets_nothing_in(page: webdriver.Chrome) -> None:
    blocked = page.execute_async_script(
        """
        const done = arguments[0], blocked = [];
        document.addEventListener("securitypolicyviolation", (event) => blocked.push(event.effectiveDirective));
        const script = document.createElement("script");
        script.textContent = "document.title = 'taken'";
        const style = document.createElement("style");
        style.textContent = "body { display: none }";
        const picture = new Image();
        picture.src = "http://127.0.0.1:9/pixel.png";
        document.body.append(script, style, picture);
        fetch("http://127.0.0.1:9/").catch(() => setTimeout(() => done(blocked), 50));
        """
    )
    assert {entry.removesuffix("-elem") for entry in blocked} == {
        "script-src",
        "style-src",
        "img-src",
        "connect-src",
    }
    assert page.title == "Segmentation"


def test_it_shows_every_picture_and_lists_what_failed(page: webdriver.Chrome) -> None:
    assert shown(page) == [HOSTILE_FILE, "sky 10.png", "sky 9.png"]
    loaded = page.execute_script(
        """
        const images = [...document.images];
        for (const image of images) image.loading = "eager";
        return Promise.all(images.map((image) => image.decode().then(() => image.naturalWidth)));
        """
    )
    assert loaded == [200] * 6
    failed = find(page, "#failed").text
    assert "1 without an answer" in failed
    assert "broken.jpg" in failed


def test_names_of_files_and_classes_stay_text(
    folder: Path, browser: webdriver.Chrome, tmp_path: Path
) -> None:
    rows = read_rows(folder)
    for row in rows:
        row["areas"][0]["name"] = HOSTILE_CLASS
    rows.append({"image": HOSTILE_FILE + "\udcff", "error": HOSTILE_CLASS})
    write_report(tmp_path / "report.html", rows, HOSTILE_CLASS, Bars(None))
    page = load(browser, tmp_path / "report.html")
    visible = HOSTILE_CLASS.replace("\u202e", "\ufffd").replace("\x07", "\ufffd")
    assert visible in find(page, "article li").text
    assert visible in find(page, "#classes button").text
    assert visible in find(page, "#sort").text
    assert visible in find(page, "header").text
    assert HOSTILE_FILE + "\ufffd" in find(page, "#failed").text
    assert page.title == "Segmentation"
    assert page.find_elements(By.CSS_SELECTOR, "b, script:not(body > script:last-child), img[src=x]") == []
    assert page.get_log("browser") == []


def read_rows(folder: Path) -> list[dict[str, Any]]:
    """The rows that made the report, from what the run has written."""
    rows = []
    for line in (folder / "segmentation.jsonl").read_text().splitlines():
        entry = json.loads(line)
        overlay = str(folder / entry["name"])
        rows.append({"image": entry["image"]["path"], "overlay": overlay, **entry["answer"]})
    return rows


def test_the_slider_uncovers_the_regions(page: webdriver.Chrome, folder: Path) -> None:
    row = next(row for row in read_rows(folder) if row["image"].endswith("sky 10.png"))
    compare = page.find_elements(By.CSS_SELECTOR, ".compare")[1]
    slider = compare.find_element(By.TAG_NAME, "input")
    page.execute_script("for (const handle of document.querySelectorAll('.compare i')) handle.remove()")

    def difference(path: str) -> float:
        seen = pixels_of(compare)[8:-8, 8:-8]
        width, height = compare.size["width"], compare.size["height"]
        expected = Image.open(path).convert("RGB").crop((0, 0, 200, 150)).resize((int(width), int(height)))
        return float(
            np.abs(seen - np.asarray(expected, float)[8 : 8 + len(seen), 8 : 8 + seen.shape[1]]).mean()
        )

    slider.send_keys(Keys.HOME)
    assert difference(row["image"]) < 8 < difference(row["overlay"])
    slider.send_keys(Keys.END)
    assert difference(row["overlay"]) < 8 < difference(row["image"])


def test_one_slider_moves_all(page: webdriver.Chrome) -> None:
    find(page, "#all").send_keys(Keys.HOME, Keys.ARROW_RIGHT)
    clips = page.execute_script(
        "return [...document.querySelectorAll('.regions')].map((image) => getComputedStyle(image).clipPath)"
    )
    assert set(clips) == {"inset(0px 99% 0px 0px)"}


def test_everything_is_reached_by_keyboard_and_shows_its_focus(page: webdriver.Chrome) -> None:
    reached = []
    for _ in range(40):
        page.switch_to.active_element.send_keys(Keys.TAB)
        name, outlined = page.execute_script(
            """
            const at = document.activeElement, ring = at.closest(".compare") ?? at;
            return [at.id || at.closest("article, #classes, header")?.tagName, getComputedStyle(ring).outlineStyle];
            """
        )
        if name is None:
            break
        assert outlined != "none", name
        reached.append(name)
    assert reached[:4] == ["HEADER", "search", "sort", "all"]
    assert reached.count("ARTICLE") >= 3
    assert reached.count("DIV") == len(page.find_elements(By.CSS_SELECTOR, "#classes button"))
    labels = page.execute_script(
        """
        const fields = [...document.querySelectorAll("input, select")];
        return fields.map((field) => field.ariaLabel || field.labels[0]?.textContent);
        """
    )
    assert all(labels)


def test_search_finds_files_and_classes(page: webdriver.Chrome) -> None:
    search = find(page, "#search")
    search.send_keys("SKY 9.P")
    assert shown(page) == ["sky 9.png"]
    assert find(page, "#count").text == "1 of 3"
    search.send_keys(" nonsense")
    assert shown(page) == []
    assert find(page, "#none").is_displayed()
    search.send_keys(Keys.CONTROL + "a", Keys.DELETE)
    some = page.find_elements(By.CSS_SELECTOR, "article li bdi")[0].text
    search.send_keys(some)
    assert HOSTILE_FILE in shown(page)


def test_sorting_orders_the_pictures(page: webdriver.Chrome) -> None:
    sort = Select(find(page, "#sort"))
    sort.select_by_value("name")
    assert [name for name in shown(page) if name.startswith("sky")] == ["sky 9.png", "sky 10.png"]
    sort.select_by_value("largest")
    largest = [max(areas_of(page, index).values()) for index in range(3)]
    assert largest == sorted(largest, reverse=True)
    sort.select_by_value("classes")
    classes = [len(areas_of(page, index)) for index in range(3)]
    assert classes == sorted(classes, reverse=True)
    sort.select_by_value("")
    assert shown(page)[0] == HOSTILE_FILE


def test_a_class_shows_the_pictures_that_have_it_by_its_area(page: webdriver.Chrome) -> None:
    everywhere = [areas_of(page, index) for index in range(3)]
    for button in page.find_elements(By.CSS_SELECTOR, "#classes button"):
        id = button.get_dom_attribute("data-class")
        button.send_keys(Keys.ENTER)
        have = sorted((areas[id] for areas in everywhere if id in areas), reverse=True)
        assert find(page, "#count").text == f"{len(have)} of 3"
        assert [areas_of(page, index)[id] for index in range(len(have))] == have
        button.send_keys(Keys.SPACE)
    assert find(page, "#count").text == "3 of 3"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_in_light_and_dark(page: webdriver.Chrome, scheme: str) -> None:
    """At least 4.5 to 1 (WCAG 2.2, success criterion 1.4.3)."""
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    pairs = page.execute_script(
        """
        const behind = (element) => {
          const colour = getComputedStyle(element).backgroundColor;
          return colour === "rgba(0, 0, 0, 0)" && element.parentElement ? behind(element.parentElement) : colour;
        };
        const texts = "h1, h2, p, a, li, li span, label, output, button, button span, #search, select";
        const search = document.getElementById("search");
        const shown = [...document.querySelectorAll(texts)]
          .map((element) => [element.outerHTML.slice(0, 40), getComputedStyle(element).color, behind(element)]);
        return [...shown, ["placeholder", getComputedStyle(search, "::placeholder").color, behind(search)]];
        """
    )
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})

    def luminance(colour: str) -> float:
        channels = np.array([int(number) for number in re.findall(r"\d+", colour)[:3]]) / 255
        linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    assert len(pairs) > 20
    assert (luminance(pairs[0][2]) > 0.5) == (scheme == "light")
    for element, text, background in pairs:
        lighter, darker = sorted((luminance(text), luminance(background)), reverse=True)
        assert (lighter + 0.05) / (darker + 0.05) >= 4.5, element


def test_it_fits_a_narrow_window(page: webdriver.Chrome) -> None:
    metrics = {"width": 360, "height": 700, "deviceScaleFactor": 1, "mobile": True}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    width = page.execute_script("return document.documentElement.scrollWidth")
    page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert width <= 360
