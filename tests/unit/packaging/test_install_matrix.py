"""The client beside each version that applications have, in every Python of this machine, installed from the index."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.unit.packaging.conftest import HERE, PYTHONS, Answers, install_from_index, run, same_answers

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1200)]

VERSIONS = {
    "the oldest": ["-c", str(HERE / "oldest.txt")],
    "protobuf 5": ["protobuf==5.*", "numpy==2.*"],
    "protobuf 6": ["protobuf==6.*"],
    "the newest": [],
}
TENSORFLOW = ["2.16.*", "2.18.*", "2.19.*"]


@pytest.mark.parametrize("versions", VERSIONS)
@pytest.mark.parametrize("minor", PYTHONS)
def test_every_call_answers_as_here(
    minor: str, versions: str, wheel: Path, server: str, image: Path, expected: Answers, tmp_path: Path
) -> None:
    python = install_from_index(PYTHONS[minor], tmp_path / "venv", wheel, *VERSIONS[versions])
    same_answers(python, server, image, expected, tmp_path)


@pytest.mark.parametrize("version", TENSORFLOW)
def test_it_shares_a_process_with_tensorflow(
    version: str, wheel: Path, server: str, image: Path, expected: Answers, tmp_path: Path
) -> None:
    if "3.11" not in PYTHONS:
        pytest.skip("these releases of TensorFlow have wheels for Python 3.11, which this machine lacks")
    python = install_from_index(PYTHONS["3.11"], tmp_path / "venv", wheel, f"tensorflow-cpu=={version}")
    same_answers(python, server, image, expected, tmp_path, first="import tensorflow\n")


def test_an_export_is_made_with_another_distribution_of_tensorflow(
    wheel: Path, small_network: Path, tmp_path: Path
) -> None:
    what = (f"{wheel}[export-base]", "tensorflow-cpu>=2.20,<2.22")
    python = install_from_index(sys.executable, tmp_path / "venv", *what)
    end = run(python, "-m", "pip", "show", "tensorflow", cwd=tmp_path, expected=1)
    assert "not found: tensorflow" in end.stderr
    export = ("-m", "tests.support.small_network", "--net", "small", "--ckpt", small_network)
    run(python, *export, "--out", tmp_path / "small", cwd=ROOT, limit=600)
    assert (tmp_path / "small" / "1" / "saved_model.pb").exists()
