"""A headless browser: Debian's Chromium, driven by Selenium."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium import webdriver

PACKAGES = ("chromium", "chromium-driver")
SWITCHES = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --disable-dev-shm-usage --window-size=1400,1000"
)


def find_browser() -> tuple[str, str] | None:
    """Paths of a browser and its driver."""
    browsers = map(shutil.which, ("chromium", "google-chrome", "chromium-browser"))
    browser, driver = next(filter(None, browsers), None), shutil.which("chromedriver")
    return (browser, driver) if browser and driver else None


def install_browser() -> None:
    """Install it by apt-get where that may be."""
    if os.geteuid() or not shutil.which("apt-get"):
        return
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "--yes", "--quiet", "--no-install-recommends", *PACKAGES]
    install += ["--option", "DPkg::Lock::Timeout=120"]  # another worker may be at it
    for command in (install, ["apt-get", "update", "--quiet"], install):
        if (
            subprocess.run(command, env=environment, timeout=240, check=False).returncode == 0
            and find_browser()
        ):
            return


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    """A browser with an empty profile, which writes down what it asks of the network and what it complains about."""
    if not find_browser():
        install_browser()
    found = find_browser()
    assert found, f"the report is tested in a browser: apt-get install {' '.join(PACKAGES)}"
    options = webdriver.ChromeOptions()
    options.binary_location = found[0]
    for switch in [*SWITCHES.split(), f"--user-data-dir={tmp_path_factory.mktemp('profile')}"]:
        options.add_argument(switch)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(found[1]))
    try:
        yield driver
    finally:
        driver.quit()


@pytest.fixture(scope="session")
def photos(demo_scene: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with three parts of the demo's picture, the last with a hostile name, and a file that is broken."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("photos")
    scene = Image.open(demo_scene)
    for name, left in (("sky 10.png", 0), ("sky 9.png", 220), (HOSTILE_FILE, 440)):
        scene.crop((left, 60 + left // 3, left + 200, 210 + left // 3)).save(folder / name)
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 not much of a JPEG")
    return folder


HOSTILE_FILE = "\"><img src=x onerror=document.title='taken'>&lt;.png"
