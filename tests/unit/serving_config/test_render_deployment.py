"""`python -m serving_config render`: what it writes is what is shipped, passes `check`, and is never half there."""

import json
import os
import re
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import mkdtemp

import pytest
import slimserve.serving_config
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from slimserve.serving_config.check.inspection import inspect
from slimserve.serving_config.cli import main

from tests.unit.serving_config.rendered import add_certificates, add_version, tree, written

SHIPPED = Path(slimserve.serving_config.__file__).parent
DEFAULTS = [
    "render",
    "--model",
    "vgg_16=models/vgg_16",
    "--for",
    "docker",
    "kubernetes",
    "--out",
    "serving_config",
]


@pytest.fixture(autouse=True)
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with models/vgg_16/1."""
    monkeypatch.chdir(tmp_path)
    add_version("vgg_16", 1)
    return tmp_path


def test_the_defaults_write_the_shipped_files() -> None:
    assert main(DEFAULTS) == 0
    files = written("serving_config")
    assert files.pop("slimserve.yaml").startswith("# What this deployment is to be.")
    assert files == {name: (SHIPPED / name).read_text() for name in files}
    assert len(files) == 10


def test_compose_dockerfile_and_deployment_give_the_same_flags() -> None:
    flag = re.compile(r"--[a-z_]+=[^\s\",]+")
    compose, docker, deployment = (
        set(flag.findall((SHIPPED / name).read_text().partition("HEALTHCHECK")[0]))
        for name in ("docker-compose.yml", "Dockerfile", "kubernetes/deployment.yaml")
    )
    build_options = {f for f in docker if f.startswith(("--from=", "--chown="))}
    assert compose == docker - build_options == deployment


def test_with_batching_a_server_warms_nothing_up() -> None:
    assert main([*DEFAULTS, "--batching"]) == 0
    files = written("serving_config")
    for name in ("docker-compose.yml", "Dockerfile", "kubernetes/deployment.yaml"):
        assert re.findall(r"--enable_(?:batching|model_warmup)=\w+", files[name]) == [
            "--enable_batching=true",
            "--enable_model_warmup=false",
        ], name


@pytest.mark.parametrize(
    "options",
    [
        ["--replicas", "5", "--cpu", "3500m", "--memory", "7Gi"],
        ["--model", "other.V2=models/other", "--versions", "other.V2=3,4"],
        ["--batching"],
        ["--baked", "--built-image", "registry.example:5000/team/vgg-16:2"],
        ["--claim", "--storage-class", "nfs"],
        ["--image", "tensorflow/serving:2.19.1", "--name", "street"],
        ["--tls-key", "key.pem", "--tls-cert", "cert.pem"],
        ["--tls-key", "key.pem", "--tls-cert", "cert.pem", "--client-ca", "ca.pem", "--batching"],
    ],
    ids=" ".join,
)
def test_what_it_writes_passes_check(options: list[str]) -> None:
    add_version("other", 3)
    add_version("other", 4)
    add_certificates()

    assert main([*DEFAULTS, *options]) == 0
    assert inspect([Path("serving_config")], None, []).findings == []


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    names=st.lists(st.from_regex(r"[A-Za-z][A-Za-z0-9_.-]{0,20}", fullmatch=True), min_size=1, max_size=3),
    replicas=st.integers(1, 50),
    cores=st.integers(1, 64),
)
def test_any_names_and_sizes_pass_check_or_are_refused(names: list[str], replicas: int, cores: int) -> None:
    for name in names:
        add_version(name, 7)
    models = [word for name in names for word in ("--model", f"{name}=models/{name}")]
    sizes = ["--replicas", str(replicas), "--cpu", str(cores), "--memory", f"{cores}Gi", "--force"]
    distinct = len({re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") for name in names}) == len(names)

    out = mkdtemp(dir=".")  # what an earlier example rendered would be kept beside it
    code = main(["render", *models, "--for", "docker", "kubernetes", "--out", out, *sizes])

    assert code == (0 if distinct else 1)


def test_takes_the_newest_version_when_none_is_named() -> None:
    add_version("vgg_16", 2)
    main(DEFAULTS)
    assert re.findall(r"\n +versions: (\d+)", written("serving_config")["models.config"]) == ["2"]


def test_labels_the_lowest_version_stable_and_the_highest_canary() -> None:
    add_version("vgg_16", 2)
    main([*DEFAULTS, "--versions", "2,1"])
    labels = re.findall(r'key: "(\w+)" value: (\d+)', written("serving_config")["models.config"])
    assert labels == [("stable", "1"), ("canary", "2")]


def test_sets_threads_limits_and_replicas() -> None:
    main([*DEFAULTS, "--replicas", "3", "--cpu", "4", "--memory", "8Gi"])
    service = tree("serving_config/docker-compose.yml")["services"]["serving"]
    container = tree("serving_config/kubernetes/deployment.yaml")["spec"]["template"]["spec"]["containers"][0]
    autoscaler = tree("serving_config/kubernetes/autoscaler.yaml")["spec"]
    assert service["deploy"]["resources"]["limits"] == {"cpus": "4", "memory": "8g"}
    assert container["resources"]["limits"] == {"cpu": "4", "memory": "8Gi"}
    assert {"--tensorflow_intra_op_parallelism=4", "--grpc_max_threads=33"} <= set(container["args"])
    assert (autoscaler["minReplicas"], autoscaler["maxReplicas"]) == (3, 9)


def sizes() -> tuple[str, int]:
    """The memory limit, and the calls at once."""
    service = tree("serving_config/docker-compose.yml")["services"]["serving"]
    flags = dict(word.removeprefix("--").split("=", 1) for word in service["command"])
    # tensorflow_model_server --grpc_max_threads=N was seen to answer N - 1.
    return service["deploy"]["resources"]["limits"]["memory"], int(flags["grpc_max_threads"]) - 1


@pytest.mark.parametrize(
    ("options", "memory", "calls"),
    [
        (["--cpu", "8"], "14g", 64),
        (["--cpu", "500m"], "6g", 8),
        (["--cpu", "8", "--memory", "6Gi"], "6g", 22),
        (["--cpu", "8", "--memory", "6144Mi"], "6144m", 22),
        (["--model", "other=models/other", "--memory", "6Gi"], "6g", 12),
        (["--model", "other=models/other"], "7g", 16),
        (["--cpu", "8", "--memory", "1Gi"], "1g", 8),
    ],
)
def test_versions_and_calls_fit_the_memory(options: list[str], memory: str, calls: int) -> None:
    add_version("other", 1)
    assert main([*DEFAULTS, *options]) == 0
    assert sizes() == (memory, calls)


@pytest.mark.parametrize(("size", "memory"), [(250_000_000 + 17_000_000, "6g"), (1_300_000_000, "7g")])
def test_memory_follows_what_the_export_reckons(size: int, memory: str) -> None:
    for version in (1, 2):
        add_version("vgg_16", version)
        record = Path(f"models/vgg_16/{version}/assets.extra/export.json")
        record.parent.mkdir()
        record.write_text(json.dumps({"memory_bytes": size * version}))
    assert main([*DEFAULTS, "--versions", "1,2"]) == 0
    assert sizes() == (memory, 16)


def test_the_comment_says_what_the_calls_need() -> None:
    main([*DEFAULTS, "--cpu", "8", "--memory", "6Gi"])
    for name in ("docker-compose.yml", "kubernetes/deployment.yaml"):
        text = written("serving_config")[name]
        assert "2 versions of 1 GB and 22 calls need 6.4 GB" in text


@pytest.mark.parametrize(("memory", "warned"), [("3Gi", True), ("4Gi", False)])
def test_memory_for_less_than_a_call_on_each_cpu_is_warned_about(
    memory: str, warned: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*DEFAULTS, "--cpu", "8", "--memory", memory]) == 0
    said = capsys.readouterr().err
    assert ("--memory 3Gi is less than the 3.6 GB that" in said and "give it 4Gi" in said) is warned


def test_renames_every_object_and_reference() -> None:
    main([*DEFAULTS, "--name", "street"])
    for name, text in written("serving_config").items():
        if name.startswith("kubernetes/") or name == "kustomization.yaml":
            assert not re.search(r"(name|Name): serving", text), name


def test_files_are_readable_by_the_server_whatever_the_umask() -> None:
    before = os.umask(0o077)
    try:
        main(DEFAULTS)
    finally:
        os.umask(before)
    assert all(path.stat().st_mode & 0o044 for path in Path("serving_config").rglob("*"))


def test_refuses_to_overwrite_and_leaves_what_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    Path("serving_config").mkdir()
    Path("serving_config/docker-compose.yml").write_text("services: {}\n")
    assert main(DEFAULTS) == 1
    assert written("serving_config") == {"docker-compose.yml": "services: {}\n"}
    assert "serving_config/docker-compose.yml is there: --force replaces it" in capsys.readouterr().err


def test_force_replaces_and_keeps_other_files() -> None:
    main(DEFAULTS)
    Path("serving_config/notes.txt").write_text("mine")
    assert main([*DEFAULTS, "--replicas", "9", "--force"]) == 0
    assert written("serving_config")["notes.txt"] == "mine"
    assert "minReplicas: 9" in written("serving_config")["kubernetes/autoscaler.yaml"]


def test_leaves_nothing_behind_when_it_cannot_write(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("file").write_text("not a folder")
    assert main([*DEFAULTS[:-1], "file/deploy"]) == 1
    assert "cannot write file/deploy" in capsys.readouterr().err
    assert sorted(path.name for path in work.iterdir()) == ["file", "models"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--model", "vgg_16"], "write NAME=DIR"),
        (["--model", "empty=models/empty"], "no version of empty in models/empty"),
        (["--model", "vgg-16=models/vgg_16"], "differ too little"),
        (["--versions", "9"], "models/vgg_16 has no version 9"),
        (["--versions", "one"], "write version numbers"),
        (["--replicas", "0"], "give it 1 to 1000"),
        (["--replicas", "1001"], "give it 1 to 1000"),
        (["--cpu", "lots"], "write cores"),
        (["--memory", "4GB"], "write it in Mi or Gi"),
        (["--name", "Street View"], "use lowercase letters"),
        (["--tls-key", "key.pem"], "TLS needs both"),
        (["--name", "no"], "in YAML that is no text"),
        (["--name", "y"], "in YAML that is no text"),
        (["--claim", "--size", "10G"], "--size 10G: write it in Mi, Gi or Ti, such as 10Gi"),
        (["--claim", "--storage-class", "Fast_SSD"], "--storage-class Fast_SSD: use lowercase letters"),
        (["--built-image", "example/Models"], "--built-image: example/Models is not the name of an image"),
        (["--gpus", "1"], "--gpus needs --image"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_refuses(options: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*DEFAULTS, *options]) == 1
    assert message in capsys.readouterr().err
    assert not Path("serving_config").exists()


def test_json_names_the_files_and_the_next_command(capsys: pytest.CaptureFixture[str]) -> None:
    main([*DEFAULTS, "--json"])
    answer = json.loads(capsys.readouterr().out)
    assert "kustomization.yaml" in answer["files"]
    assert answer["next"][2] == "kubectl apply --kustomize serving_config"


@pytest.fixture
def rest_server() -> Iterator[tuple[int, dict[str, str]]]:
    """What the health check asks: the REST API's answer about a model, by model name, and its port."""
    states: dict[str, str] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state = states[self.path.removeprefix("/v1/models/")]
            body = json.dumps({"model_version_status": [{"version": "1", "state": state}]}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address[1], states
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(("second", "code"), [("AVAILABLE", 0), ("LOADING", 1)])
def test_the_health_check_asks_for_every_model(
    second: str, code: int, rest_server: tuple[int, dict[str, str]]
) -> None:
    port, states = rest_server
    add_version("other", 1)
    main([*DEFAULTS, "--model", "other=models/other"])
    states.update({"vgg_16": "AVAILABLE", "other": second})
    test = tree("serving_config/docker-compose.yml")["services"]["serving"]["healthcheck"]["test"]
    script = test[3].replace("$$", "$").replace("/8501", f"/{port}")
    assert subprocess.run(["bash", "-c", script], timeout=20).returncode == code
