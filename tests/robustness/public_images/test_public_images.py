"""Real files of public image test suites in the decoders of the graph: as Pillow reads them, or refused by name."""

from __future__ import annotations

import io
import re
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from slimserve.export.graph.images.checks import Bounds
from slimserve.export.graph.images.decoding import ImageDecoder
from slimserve.export.graph.images.kinds import is_decoded
from slimserve.images.orientation import orientation

from tests.robustness.public_images.fetching import Suite, fetch, files, suites

MOST_DIFFERENCE = 2  # levels of 255
_REFUSAL = re.compile(r"assertion failed: \[(image 7 (?:is|has) .*?)\]\s", re.DOTALL)
_OTHER = re.compile(r"\.(tiff?|heic|heif|avif|svg|pdf|ico|cur|psd|jp2|j2k|jxl)$", re.IGNORECASE)

pytestmark = [
    pytest.mark.soak,
    pytest.mark.timeout(1200),
    pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning"),
]


@pytest.fixture(scope="module")
def decoder() -> Callable[[bytes], np.ndarray | str]:
    """Give the pixels of a file, or the words in which it is refused."""
    session = tf.compat.v1.Session(graph=tf.Graph())
    with session.graph.as_default():
        file = tf.compat.v1.placeholder(tf.string, [])
        image = ImageDecoder(Bounds(64, 4096 * 4096, 4096 * 4096, 224 * 224)).decode(file, "image 7")

    def decode(data: bytes) -> np.ndarray | str:
        try:
            return session.run(image, {file: data})
        except tf.errors.InvalidArgumentError as error:
            refusal = _REFUSAL.search(error.message)
            return refusal[1] if refusal else f"UNNAMED: {error.message}"

    return decode


def pillow(data: bytes) -> np.ndarray | str:
    """The pixels as Pillow reads them, or what it says; of 16 bits of gray the higher eight count."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = Image.open(io.BytesIO(data))
            if image.mode.startswith("I"):
                return np.repeat(np.asarray(image).astype(np.int64)[..., None] >> 8, 3, axis=2)
            return np.asarray(image.convert("RGB")).astype(np.int64)
    except Exception as error:  # damaged files lead Pillow to errors of any kind
        return str(error)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("suites")


def judge(data: bytes, got: np.ndarray | str) -> str:
    """What became of a file: "as Pillow", "refused", "Pillow cannot say", or what is wrong."""
    if isinstance(got, str):
        return "refused by name" if got.startswith("image 7 ") else got
    expected = pillow(data)
    if isinstance(expected, str):
        return "read, and not by Pillow"
    if got.shape != expected.shape:
        return f"WRONG: of size {got.shape}, in Pillow {expected.shape}"
    difference = np.abs(got - expected).max()
    return "as Pillow" if difference <= MOST_DIFFERENCE else f"WRONG: {difference} levels from Pillow"


@pytest.mark.parametrize("suite", suites(), ids=lambda suite: suite.package)
def test_every_file_is_read_as_pillow_reads_it_or_refused_by_name(
    decoder: Callable[[bytes], np.ndarray | str], folder: Path, suite: Suite
) -> None:
    try:
        archive = fetch(suite, folder)
    except OSError as error:
        pytest.skip(str(error))
    outcomes: Counter[str] = Counter()
    wrong = []
    for name, data in files(archive):
        if not is_decoded(data[:64]) and not _OTHER.search(name):
            continue
        outcome = judge(data, decoder(data))
        outcomes[outcome.split(":")[0]] += 1
        if outcome.startswith(("WRONG", "UNNAMED")):
            wrong.append(f"{name}: {outcome}")
    print(f"{suite.package}: {dict(outcomes)}")
    assert wrong == []
    assert sum(outcomes.values()) > 0


@pytest.mark.parametrize("suite", suites(), ids=lambda suite: suite.package)
def test_every_files_orientation_is_pillows(folder: Path, suite: Suite) -> None:
    try:
        archive = fetch(suite, folder)
    except OSError as error:
        pytest.skip(str(error))
    wrong = []
    for name, data in files(archive):
        if not is_decoded(data[:64]):
            continue
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                image = Image.open(io.BytesIO(data))
                tag = image.getexif().get(0x0112, 1)
        except Exception:  # what Pillow does not read has no orientation to compare
            continue
        if orientation(data) != (tag if tag in range(1, 9) else 1):
            wrong.append(f"{name}: {orientation(data)}, in Pillow {tag}")
    assert wrong == []
