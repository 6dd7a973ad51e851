"""`check` names each planted fault of a deployment, with its file and line."""

from pathlib import Path

import pytest

from tests.unit.serving_config.checked_deployment import copy_deployment, lines, replace
from tests.unit.serving_config.planted_faults import BATCHING, COMPOSE, DEPLOYMENT, FAULTS, MODELS, Fault


@pytest.fixture
def deployment(tmp_path: Path) -> Path:
    return copy_deployment(tmp_path)


def test_the_shipped_deployment_has_no_fault(deployment: Path) -> None:
    assert lines(deployment) == []


@pytest.mark.parametrize("fault", FAULTS, ids=[fault.name for fault in FAULTS])
def test_finds(fault: Fault, deployment: Path) -> None:
    replace(deployment / fault.file, fault.old, fault.new)

    found = lines(deployment)

    assert any(fault.message in line for line in found), found


@pytest.mark.parametrize(
    ("name", "file", "marker"),
    [
        ("unknown field", MODELS, "base_pth:"),
        ("label on a missing version", MODELS, '"canary" value: 9'),
        ("no batch thread", BATCHING, "num_batch_threads { value: 0 }"),
        ("unknown flag", COMPOSE, "--enable_profling"),
        ("unknown compose key", COMPOSE, "restrt:"),
        ("published port not served", COMPOSE, "-8500}:9000"),
        ("wrong Kubernetes type", DEPLOYMENT, 'failureThreshold: "60"'),
        ("container port", DEPLOYMENT, "containerPort: 8080"),
        ("configuration not copied", "Dockerfile", "--model_config_file"),
        ("resource missing", "kustomization.yaml", "kubernetes/svc.yaml"),
    ],
)
def test_says_the_line_of(name: str, file: str, marker: str, deployment: Path) -> None:
    fault = next(fault for fault in FAULTS if fault.name == name)
    path = deployment / fault.file
    replace(path, fault.old, fault.new)
    number = next(i for i, line in enumerate(path.read_text().splitlines(), 1) if marker in line)

    found = lines(deployment)

    assert any(line.startswith(f"{file}:{number}: ") and fault.message in line for line in found), found
