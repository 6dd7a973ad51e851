"""Forms that mean the same get the same verdict, and forms that look alike but differ do not."""

from pathlib import Path

import pytest

from tests.unit.serving_config.checked_deployment import copy_deployment, lines, replace

MODELS, COMPOSE, DOCKERFILE = "models.config", "docker-compose.yml", "Dockerfile"
FROM, USER = "FROM tensorflow/serving:2.20.0", "USER 65532:65532"


@pytest.fixture
def deployment(tmp_path: Path) -> Path:
    return copy_deployment(tmp_path)


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        (COMPOSE, "    volumes:\n", "    volumes:\n      - ../models:/data:ro,z\n"),
        (COMPOSE, "    volumes:\n", "    volumes:\n      - ../models:/data:${OPTIONS:-z,ro}\n"),
        (DOCKERFILE, FROM, "FROM --platform=linux/amd64 tensorflow/serving:2.20.0 AS server"),
        (DOCKERFILE, USER, f"USER root\nRUN ldconfig\n{USER}"),
        (DOCKERFILE, FROM, f"FROM ubuntu:22.04 AS build\nUSER root\nCMD bash\n{FROM}"),
    ],
)
def test_finds_no_fault_in(file: str, old: str, new: str, deployment: Path) -> None:
    replace(deployment / file, old, new)
    assert lines(deployment) == []


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        (COMPOSE, "    volumes:\n", "    volumes:\n      - ../models:/data:z\n", "/data is mounted writable"),
        (COMPOSE, "init: true", "init: true\n    network_mode: host", "gRPC and REST open to other machines"),
        (DOCKERFILE, USER, f"{USER}\nUSER root", "the server runs as root"),
        (DOCKERFILE, f"{USER}\n", "", "the server runs as root"),
        (DOCKERFILE, FROM, "FROM --platform=linux/amd64 tensorflow/serving", "serving has no version"),
        (MODELS, "versions: 1", "", "specific names no version"),
        (MODELS, 'key: "canary"', 'key: "stable"', "the label stable is there twice"),
    ],
)
def test_finds(file: str, old: str, new: str, message: str, deployment: Path) -> None:
    replace(deployment / file, old, new)

    found = lines(deployment)

    assert any(line.startswith(f"{file}:") and message in line for line in found), found
