"""Probes and hooks of a container: what the real server and the kubelet make of them."""

import pytest

from tests.unit.serving_config.field_cases import compose, messages
from tests.unit.serving_config.test_check_kubernetes_cases import CONFIG_MAP, DEPLOYMENT

pytestmark = pytest.mark.usefixtures("empty_folder")

ASKED = "startupProbe: &probe {httpGet: {path: /v1/models/a, port: 8501}}"


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


NAMED = "environment: {MODEL_NAME: a}, volumes: ['m:/models:ro']"
NO_FILE = "the health check asks a port by a file that there is not"


@pytest.mark.parametrize(
    ("test", "faults"),
    [
        ("[CMD-SHELL, '</dev/tcp/127.0.0.1/8501']", [NO_FILE]),
        ("'echo > /dev/tcp/127.0.0.1/8501 || exit 1'", [NO_FILE]),
        ("[CMD, sh, -c, 'exec 3<>/dev/tcp/127.0.0.1/8501']", [NO_FILE]),
        ("[CMD, bash, -c, 'exec 3<>/dev/tcp/127.0.0.1/8501']", []),
        ("""[CMD-SHELL, "bash -c '</dev/tcp/127.0.0.1/8501'"]""", []),
        ("[CMD, nc, -z, localhost, '8501']", ["the image has no nc for the health check"]),
        ("'/usr/bin/curl localhost:8501'", ["the image has no curl for the health check"]),
        ("""[CMD, bash, -c, "printf 'GET /v1/models/a' >/dev/tcp/127.0.0.1/8501; : nc-1 /v1/nc"]""", []),
    ],
)
def test_sh_of_the_image_is_dash_which_opens_no_ports(test: str, faults: list[str]) -> None:
    assert compose(f"{NAMED}, healthcheck: {{test: {test}}}", "volumes: {m: {}}") == faults


@pytest.mark.parametrize(("shell", "count"), [("", 1), ('SHELL ["/bin/bash", "-c"]\n', 0)])
def test_a_dockerfile_may_name_another_shell(shell: str, count: int) -> None:
    entry = '["/usr/bin/tensorflow_model_server", "--rest_api_port=8501", "--model_base_path=gs://b/a"]'
    check = "HEALTHCHECK CMD </dev/tcp/127.0.0.1/8501"
    text = f"FROM tensorflow/serving:2.20.0\nUSER 1\n{shell}{check}\nENTRYPOINT {entry}\n"
    assert messages(Dockerfile=text) == [NO_FILE] * count
