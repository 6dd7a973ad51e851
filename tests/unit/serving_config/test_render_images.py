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
    graph.write_bytes(b"graph")


def images(image: str) -> dict[str, str]:
    """The image of each service that is written for `image`."""
    main(
        ["render", "--model", "vgg_16=models/vgg_16", "--image", image, "--for", "docker", "--out", "deploy"]
    )
    services = YAML(typ="safe").load(Path("deploy/docker-compose.yml"))["services"]
    return {name: service["image"] for name, service in services.items()}


@pytest.mark.parametrize(
    ("image", "gpu_image"),
    [
        ("tensorflow/serving:2.19.1", "tensorflow/serving:2.19.1-gpu"),
        ("tensorflow/serving:2.19.1-gpu", "tensorflow/serving:2.19.1-gpu"),
    ],
)
def test_a_plain_tag_has_its_gpu_image_beside_it(image: str, gpu_image: str) -> None:
    assert images(image) == {"serving": image, "serving-gpu": gpu_image}


@pytest.mark.parametrize(
    "image",
    [
        "tensorflow/serving",
        f"tensorflow/serving@sha256:{'0' * 64}",
        f"tensorflow/serving:2.20.0@sha256:{'0' * 64}",
        "registry.example:5000/team/serving:1",
    ],
)
def test_no_gpu_service_where_its_image_is_not_known(image: str) -> None:
    assert images(image) == {"serving": image}
    assert "serving-gpu" not in Path("deploy/docker-compose.yml").read_text()
