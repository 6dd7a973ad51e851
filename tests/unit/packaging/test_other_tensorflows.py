"""Exports by several releases of TensorFlow, each answered in the sessions of all, and in the embedded engine.

The environments take 1.4 GB each. SLIMSERVE_TENSORFLOWS names a folder that keeps them for the next run.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from slimserve import Client

from tests.conftest import ROOT
from tests.support.numpy_reference import float32_rounding
from tests.support.serving import Serving
from tests.unit.packaging.conftest import PYTHONS, install_from_index, run
from tests.unit.packaging.one_tensorflow import WAYS, image

pytestmark = [pytest.mark.soak, pytest.mark.timeout(3600)]

VERSIONS = ["2.16.2", "2.18.1", "2.20.0", "2.21.0"]
# Of the largest logit: sums of the small network's layers on two processors' orders; what else is rounded.
ROUNDING = {
    "float32": 2 * float32_rounding([27, *[72] * 4, 49 * 8, 4096]),
    "bfloat16": 0.05,
    "int8": 0.0,
}
ONE_TENSORFLOW = ("-m", "tests.unit.packaging.one_tensorflow")


@pytest.fixture(scope="module")
def pythons(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The interpreter of an environment with each release."""
    if "3.11" not in PYTHONS:
        pytest.skip("these releases of TensorFlow have wheels for Python 3.11, which this machine lacks")
    folder = Path(os.environ.get("SLIMSERVE_TENSORFLOWS") or tmp_path_factory.mktemp("tensorflows"))
    made = {}
    for version in VERSIONS:
        what = (f"{wheel}[export-base]", f"tensorflow-cpu=={version}")
        try:
            made[version] = install_from_index(PYTHONS["3.11"], folder / version, *what)
            install_from_index(PYTHONS["3.11"], folder / version, "--force-reinstall", "--no-deps", wheel)
        except subprocess.CalledProcessError:
            pytest.skip(f"the index does not give tensorflow-cpu {version}")
    return made


@pytest.fixture(scope="module")
def exports(
    pythons: dict[str, Path], small_network: Path, tmp_path_factory: pytest.TempPathFactory
) -> SimpleNamespace:
    """The folder VERSION/WAY/1 of each, and what each way is refused with."""
    photos, folder = tmp_path_factory.mktemp("photos"), tmp_path_factory.mktemp("exports")
    for seed in range(10):
        noise = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)
        Image.fromarray(np.kron(noise, np.ones((30, 30, 1), np.uint8))).save(photos / f"{seed}.png")
    refused = {
        version: json.loads(
            run(
                python,
                *ONE_TENSORFLOW,
                "export",
                small_network,
                photos,
                folder / version,
                cwd=ROOT,
                limit=1200,
            ).stdout
        )
        for version, python in pythons.items()
    }
    return SimpleNamespace(folder=folder, refused=refused)


@pytest.fixture(scope="module")
def answers(
    pythons: dict[str, Path], exports: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory
) -> SimpleNamespace:
    """Of each release, the folder with its outputs and what each export is refused with there."""
    folder = tmp_path_factory.mktemp("answers")
    refused = {}
    for version, python in pythons.items():
        (folder / version).mkdir()
        end = run(python, *ONE_TENSORFLOW, "answer", exports.folder, folder / version, cwd=ROOT, limit=1200)
        refused[version] = json.loads(end.stdout)
    return SimpleNamespace(folder=folder, refused=refused)


def test_every_release_exports_in_every_way_or_says_why_not(exports: SimpleNamespace) -> None:
    said = {
        (version, way): words
        for version, ways in exports.refused.items()
        for way, words in ways.items()
        if words
    }
    assert said.keys() == {("2.16.2", "x86_int8")}
    assert "this TensorFlow has no kernels for --target x86" in said["2.16.2", "x86_int8"]


def test_every_release_answers_every_export(answers: SimpleNamespace) -> None:
    for exports in answers.refused.values():
        assert len(exports) == len(VERSIONS) * len(WAYS) - 1
        assert set(exports.values()) == {""}


def same(answer: dict[str, np.ndarray], expected: dict[str, np.ndarray], way: str) -> None:
    assert answer.keys() == expected.keys()
    difference = np.abs(answer["logits"] - expected["logits"]).max() / np.abs(expected["logits"]).max()
    assert difference <= ROUNDING[way.split("_")[1]], f"{difference:.1e} of the largest logit"


@pytest.mark.parametrize("way", WAYS)
def test_exports_answer_alike_in_every_release(answers: SimpleNamespace, way: str) -> None:
    """As the newest release's export does there."""
    expected = dict(np.load(answers.folder / VERSIONS[-1] / f"{VERSIONS[-1]}-{way}.npz", allow_pickle=True))
    for path in sorted(answers.folder.glob(f"*/*-{way}.npz")):
        same(dict(np.load(path, allow_pickle=True)), expected, way)


@pytest.fixture(scope="module")
def engine(exports: SimpleNamespace) -> Iterator[SimpleNamespace]:
    """One that serves them all, each as VERSION-WAY."""
    models = {f"{path.parts[-3]}-{path.parts[-2]}": path.parent for path in exports.folder.glob("*/*/1")}
    options = [part for name, path in models.items() for part in ("--model", f"{name}={path}")]
    serving = Serving("--engine", "embedded", "--port", 0, *options)
    yield SimpleNamespace(address=serving.address, models=sorted(models))
    serving.close()


def test_the_engine_answers_as_a_session_does(engine: SimpleNamespace, answers: SimpleNamespace) -> None:
    for model in engine.models:
        expected = np.load(answers.folder / VERSIONS[-1] / f"{model}.npz", allow_pickle=True)
        with Client(engine.address, model=model, timeout=120) as client:
            answer = client.predict({"images": image()}, signature="logits")
        np.testing.assert_array_equal(answer["logits"], expected["logits"])
