"""`python -m serving_config up --engine embedded` as a process."""

import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from slimserve.serving_config.server import models_config

from tests.unit.serving_config.engine_calls import write_slow_model, write_warmup

ROOT = Path(__file__).parents[3]
AFFINE = ROOT / "tests" / "contract" / "recorded" / "models" / "affine"


def up(*arguments: object, cwd: Path = ROOT) -> subprocess.CompletedProcess:
    """Runs to its end: for a start that fails."""
    command = [sys.executable, "-m", "serving_config", "up", "--engine", "embedded", *map(str, arguments)]
    # The repository is on the path when the working directory is another one.
    return subprocess.run(
        command, cwd=cwd, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=60
    )


def last_line(run: subprocess.CompletedProcess) -> str:
    """The error, which must be the only line that is not TensorFlow's or the engine's log."""
    lines = [line for line in run.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, run.stderr
    assert "Traceback" not in run.stderr
    return lines[0]


def test_ctrl_c_ends_it_cleanly(serving: Callable) -> None:
    server = serving("--engine", "embedded", "--model", f"affine={AFFINE}", "--port", 0)
    assert server.ready["models"] == {"affine": [3]}
    assert server.ready["engine"] == "embedded"
    assert server.stop(signal.SIGINT) == 0
    assert "not for production" in server.stderr()


def test_sigterm_while_a_model_loads_ends_it_cleanly(tmp_path: Path) -> None:
    write_slow_model(tmp_path / "slow" / "1")
    write_warmup(tmp_path / "slow" / "1", "steps", 2_000_000_000)
    command = [sys.executable, "-m", "serving_config", "up", "--engine", "embedded", "--port", "0"]
    with subprocess.Popen(
        [*command, "--model", f"slow={tmp_path / 'slow'}"], cwd=ROOT, stderr=subprocess.PIPE, text=True
    ) as process:
        while "loading slow version 1" not in process.stderr.readline():
            pass
        process.terminate()
        process.stderr.read()
    assert process.returncode == 0


def test_every_folder_with_a_version_is_served_by_default_until_sigterm(tmp_path: Path) -> None:
    shutil.copytree(AFFINE / "1", tmp_path / "models" / "first" / "1")
    shutil.copytree(AFFINE / "2", tmp_path / "models" / "second" / "7")
    (tmp_path / "models" / "empty").mkdir()
    command = [sys.executable, "-m", "serving_config", "up", "--engine", "embedded", "--port", "0"]
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        lines = [process.stdout.readline().rsplit(":", 1)[0] for _ in range(2)]
        process.terminate()
    assert lines == ["ready: first version 1 on 127.0.0.1", "ready: second version 7 on 127.0.0.1"]
    assert process.returncode == 0


def test_a_port_in_use_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        run = up("--model", f"affine={AFFINE}", "--port", port)
    assert run.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port} (Address already in use)" in last_line(run)


def test_a_model_that_does_not_load_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "broken" / "1").mkdir(parents=True)
    (tmp_path / "broken" / "1" / "saved_model.pb").write_bytes(b"\x01\x02\x03")
    run = up("--model", f"broken={tmp_path / 'broken'}", "--port", 0)
    assert run.returncode == 1
    assert "1 model(s) did not become available: {{name: broken version: 1} due to error" in last_line(run)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "affine=nowhere"], "--model affine=nowhere: no such folder"),
        (["--models-config", "nowhere.config"], "nowhere.config: cannot read the models configuration"),
        (["--models-config", "bad.config"], "bad.config: not a ModelServerConfig text proto: 1:1"),
        (["--models-config", "empty.config"], "empty.config: lists no model"),
        ([], "no folder models: export a model first"),
    ],
    ids=["missing folder", "missing config", "bad config", "empty config", "no models folder"],
)
def test_a_mistake_in_the_models_is_one_line(tmp_path: Path, arguments: list[str], message: str) -> None:
    (tmp_path / "bad.config").write_text("model_list { }")
    (tmp_path / "empty.config").write_text("model_config_list { }")
    run = up(*arguments, cwd=tmp_path)
    assert run.returncode == 1
    assert message in last_line(run)


@pytest.mark.parametrize(
    "arguments", [["--model", "affine"], ["--max-requests", "0"], ["--max-queue", "-1"], ["--port", "x"]]
)
def test_a_wrong_argument_is_a_usage_error(arguments: list[str]) -> None:
    run = up(*arguments)
    assert run.returncode == 2
    assert "usage:" in run.stderr


def test_a_models_folder_without_a_version_says_what_one_looks_like(tmp_path: Path) -> None:
    (tmp_path / "models" / "vgg_16").mkdir(parents=True)
    with pytest.raises(Exception, match=r"no model with a numbered version in it \(as in .*/vgg_16/1\)"):
        models_config.discover(tmp_path / "models")
