"""Probes and hooks of a container: what the real server and the kubelet make of them."""

from pathlib import Path

import pytest

from tests.unit.serving_config.field_cases import messages
from tests.unit.serving_config.test_check_kubernetes_cases import CONFIG_MAP, DEPLOYMENT

ASKED = "startupProbe: &probe {httpGet: {path: /v1/models/a, port: 8501}}"


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def startup_probe(probe: str) -> list[str]:
    """The faults of a deployment with this startup probe."""
    deployment = DEPLOYMENT.replace(ASKED, f"startupProbe: {probe}").replace("*probe", "{grpc: {port: 8500}}")
    deployment = deployment.replace("args: [", 'args: ["--enable_grpc_healthcheck_service=true", ')
    return messages(a__yaml=deployment, b__yaml=CONFIG_MAP)


@pytest.mark.parametrize("service", ["ModelService", "PredictionService"])
def test_the_health_service_answers_for_its_two_services(service: str) -> None:
    assert startup_probe(f"{{grpc: {{port: 8500, service: {service}}}}}") == []


@pytest.mark.parametrize("service", ["tensorflow.serving.ModelService", "a"])
def test_the_health_service_knows_no_other_name(service: str) -> None:
    (found,) = startup_probe(f"{{grpc: {{port: 8500, service: {service}}}}}")
    assert found == f"startupProbe asks for the health of {service}, which the server does not know"


@pytest.mark.parametrize("path", ["/v1/models/a", "v1/models/a"])
def test_the_kubelet_begins_a_path_with_a_slash(path: str) -> None:
    assert startup_probe(f"{{httpGet: {{path: {path}, port: 8501}}}}") == []


def test_a_path_without_a_slash_is_still_looked_at() -> None:
    (found,) = startup_probe("{httpGet: {path: v1/models/b, port: 8501}}")
    assert found == "the health check asks for the model b"


@pytest.mark.parametrize(("scheme", "faults"), [("HTTP", []), ("HTTPS", ["startupProbe asks by HTTPS"])])
def test_the_rest_api_has_no_tls(scheme: str, faults: list[str]) -> None:
    assert startup_probe(f"{{httpGet: {{path: /v1/models/a, port: 8501, scheme: {scheme}}}}}") == faults


@pytest.mark.parametrize(
    ("command", "faults"),
    [
        ("[curl, -X, POST, localhost:1]", ["preStop: the image has no curl"]),
        ("[bash, -c, wget -q localhost:1]", ["preStop: the image has no wget"]),
        ("[bash, -c, curl localhost:1; sleep 60]", []),
        ("[sleep, '60']", []),
    ],
)
def test_a_hook_calls_programs_of_the_image(command: str, faults: list[str]) -> None:
    text = DEPLOYMENT.replace("sleep: {seconds: 60}", f"exec: {{command: {command}}}")
    assert messages(a__yaml=text) == faults


def test_an_image_of_ones_own_may_have_the_program_of_a_hook() -> None:
    text = DEPLOYMENT.replace("sleep: {seconds: 60}", "exec: {command: [curl, localhost:1]}")
    assert messages(a__yaml=text.replace("tensorflow/serving", "example/serving")) == []
