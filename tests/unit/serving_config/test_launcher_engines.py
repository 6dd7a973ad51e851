"""`up` with TensorFlow Serving as a child process: a stand-in program on PATH runs the embedded engine."""

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.serving_config.model_server import MODEL_SERVER

ROOT = Path(__file__).parents[3]
AFFINE = ROOT / "tests" / "contract" / "recorded" / "models" / "affine"

# Docker as far as this machine can fail at it.
DOCKER = f"""#!{sys.executable}
import os, signal, sys, time
with open(os.environ["DOCKER_CALLS"], "a") as calls:
    calls.write(" ".join(sys.argv[1:3]) + "\\n")
if sys.argv[1] == "version":
    if "NO_DAEMON" in os.environ:
        sys.exit("Cannot connect to the Docker daemon")
    print("28.0.0")
elif sys.argv[1] == "run" and "STUBBORN" in os.environ:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("started", file=sys.stderr, flush=True)
    time.sleep(600)
elif sys.argv[1] == "run":
    sys.exit("docker: Error response from daemon: No such image")
"""


@pytest.fixture
def path(tmp_path: Path) -> Callable[..., dict[str, str]]:
    """An environment whose PATH has the named stand-ins and no other docker or tensorflow_model_server."""

    def make(**programs: str) -> dict[str, str]:
        folder = tmp_path / "bin"
        folder.mkdir()
        for name, text in programs.items():
            (folder / name).write_text(text)
            (folder / name).chmod(0o755)
        return {
            "PATH": str(folder),
            "DOCKER_CALLS": str(tmp_path / "docker calls"),
            "XDG_CACHE_HOME": str(tmp_path / "cache"),
        }

    return make


def up(env: dict[str, str], *arguments: object) -> subprocess.CompletedProcess:
    """Runs to its end: for what does not start, or is only printed."""
    command = [sys.executable, "-m", "serving_config", "up", *map(str, arguments)]
    if "--model" not in arguments and "--models-config" not in arguments:
        command += ["--model", f"affine={AFFINE}"]
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60)


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
def test_a_signal_ends_the_child_too(path: Callable, serving: Callable, number: int) -> None:
    server = serving(
        "--engine",
        "auto",
        "--port",
        0,
        "--model",
        f"affine={AFFINE}",
        env=path(tensorflow_model_server=MODEL_SERVER),
    )
    assert server.ready["engine"] == "binary"
    assert server.ready["models"] == {"affine": [3]}
    (child,) = children(server.process.pid)
    assert server.stop(number) == 0
    assert not Path(f"/proc/{child}").exists()
    # Its own log came through, and why it was chosen is said.
    assert "serving affine version 3" in server.stderr()
    assert "engine: binary" in server.stderr()


def test_a_launcher_that_is_killed_takes_its_server_with_it(path: Callable, serving: Callable) -> None:
    server = serving(
        "--engine",
        "binary",
        "--port",
        0,
        "--model",
        f"affine={AFFINE}",
        env=path(tensorflow_model_server=MODEL_SERVER),
    )
    (child,) = children(server.process.pid)
    server.process.kill()
    server.process.wait(30)
    end = time.monotonic() + 30
    while Path(f"/proc/{child}").exists() and "State:\tZ" not in Path(f"/proc/{child}/status").read_text():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_server_that_dies_while_it_serves_is_one_line(path: Callable, serving: Callable) -> None:
    server = serving(
        "--engine",
        "binary",
        "--port",
        0,
        "--model",
        f"affine={AFFINE}",
        env=path(tensorflow_model_server=MODEL_SERVER),
    )
    (child,) = children(server.process.pid)
    os.kill(child, signal.SIGKILL)
    assert server.process.wait(30) == 1
    assert server.stderr().splitlines()[-1] == (
        "error: the server was ended by SIGKILL; its last messages stand above"
    )


def test_a_server_that_dies_at_start_is_one_line(path: Callable) -> None:
    run = up({**path(tensorflow_model_server=MODEL_SERVER), "FAIL": "1"}, "--engine", "binary", "--port", 0)
    assert run.returncode == 1
    assert "Failed to start server" in run.stderr
    assert run.stderr.splitlines()[-1] == (
        "error: the server ended with exit code 1 before it was ready; its last messages stand above"
    )


def test_what_is_printed_is_what_is_run(path: Callable, tmp_path: Path) -> None:
    words = str(tmp_path / "words")
    recorder = (
        f"#!{sys.executable}\nimport sys\nwith open({words!r}, 'w') as file: file.write(repr(sys.argv))"
    )
    env = path(tensorflow_model_server=recorder)
    arguments = ["--engine", "binary", "--port", "18500", "--threads", "2"]
    printed = shlex.split(up(env, *arguments, "--print-command").stdout)
    up(env, *arguments)
    assert (tmp_path / "words").read_text() == repr(printed)
    assert "--enable_grpc_healthcheck_service=true" in printed
    assert "--allow_version_labels_for_unavailable_models=true" in printed
    assert "--enable_serialization_as_tensor_content=true" in printed
    assert "--tensorflow_intra_op_parallelism=2" in printed


def test_docker_runs_the_server_itself_on_loopback_with_models_mounted_read_only(path: Callable) -> None:
    run = up(path(docker=DOCKER), "--engine", "docker", "--print-command")
    words = shlex.split(run.stdout)
    assert words[:2] == ["docker", "run"]
    assert "--entrypoint=/usr/bin/tensorflow_model_server" in words
    assert "--publish=127.0.0.1:8500:8500" in words
    assert f"--mount=type=bind,source={AFFINE},target={AFFINE},readonly" in words
    image = words.index("tensorflow/serving:2.20.0")
    (config,) = [word.partition("=")[2] for word in words[image:] if word.startswith("--model_config_file=")]
    assert f"--mount=type=bind,source={config},target={config},readonly" in words[:image]


def test_base_paths_of_the_container_are_found_below_the_models_root(path: Callable, tmp_path: Path) -> None:
    config = tmp_path / "models.config"
    config.write_text(
        'model_config_list { config { name: "affine" base_path: "/models/affine" model_platform: "tensorflow" } }'
    )
    arguments = ["--engine", "docker", "--models-config", config, "--print-command"]
    run = up(path(docker=DOCKER), *arguments, "--models-root", AFFINE.parent)
    assert f"--mount=type=bind,source={AFFINE},target=/models/affine,readonly" in shlex.split(run.stdout)


def test_a_missing_docker_daemon_is_one_line(path: Callable) -> None:
    run = up({**path(docker=DOCKER), "NO_DAEMON": "1"}, "--engine", "docker")
    assert run.returncode == 1
    assert run.stderr == (
        "error: the Docker daemon does not answer (Cannot connect to the Docker daemon): start it, "
        "or serve with --engine embedded\n"
    )


def test_a_container_that_does_not_start_is_one_line(path: Callable) -> None:
    run = up(path(docker=DOCKER), "--engine", "docker", "--port", 0)
    assert run.returncode == 1
    assert "No such image" in run.stderr
    assert run.stderr.splitlines()[-1].startswith(
        "error: the server ended with exit code 1 before it was ready"
    )


def test_a_container_that_outlives_its_command_is_killed(path: Callable, tmp_path: Path) -> None:
    env = {**path(docker=DOCKER), "STUBBORN": "1", "PYTHONPATH": str(ROOT)}
    impatient = "import serving_config.up.child as c; c._STOP_SECONDS = 1; from serving_config.cli import main; main()"
    command = [sys.executable, "-c", impatient, "up", "--engine", "docker", "--port", "18501"]
    with subprocess.Popen(
        [*command, "--model", f"affine={AFFINE}"], cwd=ROOT, env=env, stderr=subprocess.PIPE, text=True
    ) as process:
        while "started" not in process.stderr.readline():
            time.sleep(0.01)
        process.terminate()
        process.stderr.read()
    assert (tmp_path / "docker calls").read_text().splitlines()[-1] == "kill slimserve-18501"


@pytest.mark.parametrize("engine", ["binary", "docker"])
def test_the_real_server_takes_as_many_calls_as_the_embedded_engine(path: Callable, engine: str) -> None:
    env = path(tensorflow_model_server=MODEL_SERVER, docker=DOCKER)
    run = up(env, "--engine", engine, "--max-requests", 2, "--max-queue", 5, "--print-command")
    # tensorflow_model_server --grpc_max_threads=N was seen to answer N - 1 calls.
    assert "--grpc_max_threads=8" in shlex.split(run.stdout)


@pytest.mark.parametrize("engine", ["binary", "docker"])
def test_up_gives_up_a_version_as_fast_as_the_shipped_compose_file(path: Callable, engine: str) -> None:
    run = up(path(tensorflow_model_server=MODEL_SERVER, docker=DOCKER), "--engine", engine, "--print-command")
    flags = re.findall(
        r"--(?:num_load_threads|max_num_load_retries|load_retry_interval_micros)=\d+",
        (ROOT / "serving_config" / "docker-compose.yml").read_text(),
    )
    assert len(flags) == 3
    assert set(flags) <= set(shlex.split(run.stdout))


def test_auto_says_why_it_falls_back(path: Callable) -> None:
    run = up(path(), "--print-command")
    assert run.stderr == (
        "engine: embedded (no tensorflow_model_server on PATH, and no docker on PATH: install Docker)\n"
    )
    assert "-m serving_config up" in run.stdout


@pytest.mark.parametrize("engine", ["binary", "docker"])
def test_an_engine_that_is_not_there_is_one_line(path: Callable, engine: str) -> None:
    run = up(path(), "--engine", engine)
    assert run.returncode == 1
    assert run.stderr.startswith("error: no ")
    assert len(run.stderr.splitlines()) == 1


@pytest.mark.parametrize("engine", ["binary", "docker", "embedded"])
def test_a_base_path_that_the_real_server_would_wait_for_is_refused(
    path: Callable, tmp_path: Path, engine: str
) -> None:
    config = tmp_path / "models.config"
    config.write_text(
        'model_config_list { config { name: "a" base_path: "/nowhere/a" model_platform: "tensorflow" } }'
    )
    programs = {"tensorflow_model_server": MODEL_SERVER, "docker": DOCKER}
    run = up(path(**programs), "--engine", engine, "--models-config", config)
    assert run.returncode == 1
    assert "base path /nowhere/a does not exist here" in run.stderr


def test_a_version_that_is_not_on_disk_is_refused(path: Callable, tmp_path: Path) -> None:
    config = tmp_path / "models.config"
    config.write_text(
        f'model_config_list {{ config {{ name: "a" base_path: "{AFFINE}" model_platform: "tensorflow"'
        " model_version_policy { specific { versions: 9 } } } }"
    )
    run = up(path(tensorflow_model_server=MODEL_SERVER), "--engine", "binary", "--models-config", config)
    assert run.returncode == 1
    assert "holds no version to serve (there is [1, 2, 3])" in run.stderr


def models_config(path: Path, base_path: str) -> Path:
    path.write_text(
        f'model_config_list {{ config {{ name: "a" base_path: "{base_path}" model_platform: "tensorflow" }} }}'
    )
    return path


@pytest.mark.parametrize("engine", ["binary", "docker"])
@pytest.mark.parametrize("base_path", ["gs://bucket/a", f"file://{AFFINE}"])
def test_an_address_that_the_real_server_reads_is_served(
    path: Callable, tmp_path: Path, engine: str, base_path: str
) -> None:
    config = models_config(tmp_path / "models.config", base_path)
    env = path(tensorflow_model_server=MODEL_SERVER, docker=DOCKER)
    run = up(env, "--engine", engine, "--models-config", config, "--print-command")
    assert run.returncode == 0, run.stderr
    mounted = f"--mount=type=bind,source={AFFINE},target={AFFINE},readonly" in shlex.split(run.stdout)
    assert mounted is (engine == "docker" and base_path.startswith("file"))


@pytest.mark.parametrize(
    ("engine", "base_path", "message"),
    [
        ("binary", "s3://bucket/a", "does not exist here"),
        ("embedded", "gs://bucket/a", "the embedded engine reads folders only"),
    ],
)
def test_an_address_that_the_engine_does_not_read_is_refused(
    path: Callable, tmp_path: Path, engine: str, base_path: str, message: str
) -> None:
    config = models_config(tmp_path / "models.config", base_path)
    run = up(path(tensorflow_model_server=MODEL_SERVER), "--engine", engine, "--models-config", config)
    assert run.returncode == 1
    assert message in run.stderr
