"""The client installed alone: an empty environment, no network, and the whole way to a label map."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

SCRIPT = """
import importlib.util, json, sys
others = ("tensorflow", "tf_slim", "tensorflow_serving", "PIL", "rich")
from slimserve import Client
with Client(sys.argv[1], model="vgg_16") as client:
    answer, scene = client.classify(sys.argv[2]), client.segment(sys.argv[2])
print(json.dumps({
    "others": [name for name in others if importlib.util.find_spec(name)],
    "best": answer.top.name,
    "size": scene.label_map.shape,
    "largest": scene.areas()[0].name,
}))
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment that holds slimserve without extras, and what that needs."""
    folder = tmp_path_factory.mktemp("alone")
    source = folder / "source"  # a copy: setuptools leaves its build among the sources
    for package in ("client", "export", "serving_config", "installed"):
        shutil.copytree(ROOT / package, source / package, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, source)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input"]
    build = ["wheel", "--no-index", "--no-build-isolation", "--no-deps", "-w", str(folder), str(source)]
    subprocess.run([*pip, *build], check=True, cwd=folder)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder / "venv")], check=True)
    python = folder / "venv" / "bin" / "python"
    links = ["--find-links", str(Path(sys.prefix) / "wheels"), "--find-links", str(folder)]
    subprocess.run(
        [*pip, "--python", str(python), "install", "--no-index", *links, "slimserve"], check=True, cwd=folder
    )
    return python


def test_it_classifies_and_segments_a_file(python: Path, engine: str, demo_scene: Path) -> None:
    command = [str(python), "-I", "-c", SCRIPT, engine, str(demo_scene)]
    run = subprocess.run(command, cwd=python.parent, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    answer = json.loads(run.stdout)
    assert answer["others"] == []
    assert answer["size"] == [480, 640]
    assert answer["best"]
    assert answer["largest"]


def test_its_command_line_answers_json(python: Path, engine: str, demo_scene: Path) -> None:
    command = [
        str(python),
        "-I",
        "-m",
        "slimserve",
        "classify",
        str(demo_scene),
        "--server",
        engine,
        "--json",
    ]
    run = subprocess.run(command, cwd=python.parent, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout)["predictions"]


def test_what_needs_pillow_says_so(python: Path, engine: str, demo_scene: Path, tmp_path: Path) -> None:
    command = [
        str(python),
        "-I",
        "-m",
        "slimserve",
        "segment",
        str(demo_scene),
        "-o",
        str(tmp_path),
        "--server",
        engine,
    ]
    run = subprocess.run(command, cwd=python.parent, capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert "pip install 'slimserve[images]'" in run.stderr
    assert len(run.stderr.splitlines()) == 1
