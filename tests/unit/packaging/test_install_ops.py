"""`pip install 'slimserve[ops]'`: the operator's commands without TensorFlow, with the oldest protobuf and grpcio."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.recorded import RECORDED
from tests.support.serving import Serving
from tests.unit.packaging.conftest import HERE, environment, install, run

MODEL = f"affine={RECORDED / 'models' / 'affine'}"
CONFIG = """
model_config_list {{
  config {{
    name: "affine"
    base_path: "{base_path}"
    model_platform: "tensorflow"
    model_version_policy {{ specific {{ versions: 1 }} }}
    version_labels {{ key: "stable" value: 1 }}
  }}
}}
"""


@pytest.fixture(scope="module")
def slimserve(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command in an environment with slimserve[ops]."""
    python = environment(tmp_path_factory.mktemp("ops"))
    install(python, "-c", HERE / "oldest.txt", f"{wheel}[ops]")
    return python.with_name("slimserve")


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[list[str]]:
    """The options that name a server, of which version 1 of three is served, and its models.config."""
    shutil.copytree(RECORDED / "models" / "affine", tmp_path / "affine")
    config = tmp_path / "models.config"
    config.write_text(CONFIG.format(base_path=tmp_path / "affine"))
    serving = Serving("--engine", "embedded", "--models-config", config, "--port", 0)
    yield ["--server", serving.address, "--models-config", str(config)]
    serving.close()


def test_it_brings_no_tensorflow(slimserve: Path, tmp_path: Path) -> None:
    script = "import importlib.util as u; print([n for n in ('tensorflow', 'tensorflow_serving') if u.find_spec(n)])"
    assert run(slimserve.with_name("python"), "-c", script, cwd=tmp_path).stdout == "[]\n"


@pytest.mark.parametrize("target", ["docker", pytest.param("kubernetes", marks=pytest.mark.soak)])
def test_a_deployment_is_rendered_and_checked(target: str, slimserve: Path, tmp_path: Path) -> None:
    run(slimserve, "certificates", cwd=tmp_path)
    tls = ["--tls-key", "certificates/server.key", "--tls-cert", "certificates/server.pem"]
    run(slimserve, "render", "--model", MODEL, "--versions", "1", "--for", target, *tls, cwd=tmp_path)
    run(slimserve, "canary", "2", "--yes", "--no-server", cwd=tmp_path)
    run(slimserve, "check", "deploy", cwd=tmp_path)


def test_versions_are_rolled_out_and_back(slimserve: Path, deployment: list[str], tmp_path: Path) -> None:
    for words in (["canary", "2"], ["promote", "2"], ["rollback"]):
        run(slimserve, *words, *deployment, cwd=tmp_path)
    rows = json.loads(run(slimserve, "versions", *deployment, "--json", cwd=tmp_path).stdout)["versions"]
    labels = {label: row["version"] for row in rows for label in row["labels"]}
    assert labels["stable"] == 1
    assert labels["previous"] == 2


def test_up_names_the_extra_of_the_engine(slimserve: Path, tmp_path: Path) -> None:
    end = run(
        slimserve, "up", "--engine", "embedded", "--port", "0", "--model", MODEL, cwd=tmp_path, expected=1
    )
    assert end.stderr.splitlines()[-1].endswith("is not installed: pip install '.[engine]' in the clone")
