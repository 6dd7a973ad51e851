"""Probes and hooks of a container: what the real server and the kubelet make of them."""

from pathlib import Path

import pytest

from tests.unit.serving_config.field_cases import messages
from tests.unit.serving_config.test_check_kubernetes_cases import DEPLOYMENT

ASKED = "startupProbe: &probe {httpGet: {path: /v1/models/a, port: 8501}}"


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def startup_probe(probe: str) -> list[str]:
    """The faults of a deployment with this startup probe."""
    deployment = DEPLOYMENT.replace(ASKED, f"startupProbe: {probe}").replace("*probe", "{grpc: {port: 8500}}")
    return messages(
        a__yaml=deployment.replace("args: [", 'args: ["--enable_grpc_healthcheck_service=true", ')
    )


@pytest.mark.parametrize("service", ["ModelService", "PredictionService"])
def test_the_health_service_answers_for_its_two_services(service: str) -> None:
    assert startup_probe(f"{{grpc: {{port: 8500, service: {service}}}}}") == []


@pytest.mark.parametrize("service", ["tensorflow.serving.ModelService", "a"])
def test_the_health_service_knows_no_other_name(service: str) -> None:
    (found,) = startup_probe(f"{{grpc: {{port: 8500, service: {service}}}}}")
    assert found == f"startupProbe asks for the health of {service}, which the server does not know"
