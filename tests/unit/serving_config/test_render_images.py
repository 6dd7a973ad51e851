"""What `render` makes of the server's image."""

from pathlib import Path

import pytest
from ruamel.yaml import YAML
from slimserve.serving_config.cli import main


@pytest.fixture(autouse=True)
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working directory with models/vgg_16/1."""
    monkeypatch.chdir(tmp_path)
    graph = tmp_path / "models/vgg_16/1/saved_model.pb"
    graph.parent.mkdir(parents=True)
    graph.write_bytes(b"\x12\x00")


def service(*options: str) -> dict:
    """The service that is written with these options."""
    targets = ["--for", "docker", "kubernetes", "--out", "deploy"]
    assert main(["render", "--model", "vgg_16=models/vgg_16", *options, *targets]) == 0
    (found,) = YAML(typ="safe").load(Path("deploy/docker-compose.yml"))["services"].values()
    return found


@pytest.mark.parametrize(
    "image",
    [
        "tensorflow/serving:2.19.1",
        f"tensorflow/serving@sha256:{'0' * 64}",
        f"tensorflow/serving:2.20.0@sha256:{'0' * 64}",
        "registry.example:5000/team/serving:1",
    ],
)
def test_an_image_is_written_as_it_is_named_and_none_is_guessed_for_gpus(image: str) -> None:
    assert service("--image", image)["image"] == image
    assert "gpu" not in Path("deploy/docker-compose.yml").read_text()


def test_gpus_are_asked_for_where_an_image_for_them_is_named() -> None:
    found = service("--image", "registry.example/serving-gpu:1", "--gpus", "2")
    (device,) = found["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "count": 2, "capabilities": ["gpu"]}
    deployment = YAML(typ="safe").load(Path("deploy/kubernetes/deployment.yaml"))
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == 2


@pytest.mark.parametrize(
    ("option", "value", "reason"),
    [
        ("--image", "tensorflow/serving:2.18.0", "sets flags that TensorFlow Serving has since 2.19"),
        ("--image", "tensorflow/serving", "it would change under you"),
        ("--image", "registry.example:5000/serving:latest-gpu", "it would change under you"),
        ("--built-image", "serving-models:latest", "it would change under you"),
        ("--memory", "127Mi", "the server alone takes more"),
    ],
)
def test_what_check_would_refuse_is_not_written(
    option: str, value: str, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    targets = ["--for", "docker", "kubernetes"]
    assert main(["render", "--model", "vgg_16=models/vgg_16", option, value, *targets]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {option} {value}: ")
    assert reason in line
    assert not Path("deploy").exists()
