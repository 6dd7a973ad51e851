"""The operator's commands where something is not there: TensorFlow, or what only some systems have."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.serving_config.rollout_deployment import Deployment

ROOT = Path(__file__).parents[3]
TENSORFLOW = ("tensorflow", "tensorflow_serving", "grpc_health")


def run(missing: tuple[str, ...], *words: object) -> subprocess.CompletedProcess[str]:
    """A command in a process that cannot import what is missing."""
    program = (
        f"import sys; sys.modules.update(dict.fromkeys({missing!r}))\n"
        "from serving_config.cli import main; sys.exit(main())"
    )
    command = [sys.executable, "-c", program, *map(str, words)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)


def test_versions_and_labels_move_without_tensorflow(deployment: Deployment) -> None:
    for words in (["canary", 2], ["promote", 2], ["rollback"], ["versions"]):
        done = run(TENSORFLOW, *deployment.command(*words))
        assert done.returncode == 0, done.stderr
    assert deployment.labels() == {"stable": 1, "canary": 1, "previous": 2}


def test_render_and_check_work_without_tensorflow(tmp_path: Path) -> None:
    (tmp_path / "a/1").mkdir(parents=True)
    (tmp_path / "a/1/saved_model.pb").write_bytes(b"\x12\x00")
    targets = ["--for", "docker", "kubernetes", "--out", tmp_path / "deploy"]
    done = run(TENSORFLOW, "render", "--model", f"a={tmp_path / 'a'}", *targets)
    assert done.returncode == 0, done.stderr
    assert run(TENSORFLOW, "check", tmp_path / "deploy").returncode == 0


@pytest.mark.parametrize("missing", [TENSORFLOW, ("fcntl",)], ids=["no TensorFlow", "no fcntl"])
def test_up_starts_a_real_server(
    missing: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "tensorflow_model_server").write_text("#!/bin/sh\nexit 3\n")
    (tmp_path / "tensorflow_model_server").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    model = ROOT / "tests/contract/recorded/models/affine"
    done = run(missing, "up", "--engine", "binary", "--port", 0, "--model", f"affine={model}")
    assert "the server ended with exit code 3 before it was ready" in done.stderr


def test_the_embedded_engine_names_the_install_that_it_needs() -> None:
    model = ROOT / "tests/contract/recorded/models/affine"
    done = run(TENSORFLOW, "up", "--engine", "embedded", "--port", 0, "--model", f"affine={model}")
    assert done.returncode == 1
    assert done.stderr == "error: tensorflow is not installed: pip install '.[engine]' in the clone\n"


def test_labels_move_where_folders_cannot_be_locked(deployment: Deployment) -> None:
    done = run(("fcntl",), *deployment.command("promote", 2))
    assert done.returncode == 0
    assert done.stderr == f"note: {sys.platform} cannot lock a folder: run one roll-out command at a time\n"
    assert deployment.labels()["stable"] == 2


@pytest.mark.parametrize("module", [".rollout.label_commands", ".rollout.versions", ".up.up", ".up.child"])
def test_no_module_of_a_command_needs_fcntl(module: str) -> None:
    program = (
        "import sys, importlib; sys.modules['fcntl'] = None\n"
        f"importlib.import_module({module!r}, 'serving_config')"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, timeout=60)
