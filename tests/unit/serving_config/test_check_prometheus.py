"""What a configuration of Prometheus asks of the servers of a compose file."""

import pytest

from tests.unit.serving_config.field_cases import MODEL, STOCK, messages

pytestmark = pytest.mark.usefixtures("empty_folder")

COMPOSE = f"""\
services:
  tf:
    image: {STOCK}
    init: true
    container_name: tf-serving
    entrypoint: [/usr/bin/tensorflow_model_server, --rest_api_port=8501]
    command: [--model_config_file=/config/models.config, --monitoring_config_file=/config/monitoring.config]
    volumes: [".:/config:ro", "m:/models:ro"]
volumes: {{m: {{}}}}
"""
PATH = "/monitoring/prometheus/metrics"


def prometheus(job: str, monitoring: str = "prometheus_config { enable: true }") -> list[str]:
    """The faults of a deployment whose Prometheus has this job."""
    return messages(
        compose__yml=COMPOSE,
        models__config=MODEL,
        monitoring__config=monitoring,
        prometheus__yml=f"scrape_configs: [{{job_name: a, {job}}}]\n",
    )


@pytest.mark.parametrize("host", ["tf", "tf-serving"])
@pytest.mark.parametrize(
    ("port", "path", "faults"),
    [
        (8501, f"metrics_path: {PATH}, ", []),
        (8501, "", ["Prometheus is sent to /metrics"]),
        (8500, f"metrics_path: {PATH}, ", ["Prometheus is sent to the gRPC port of {}"]),
        (9090, "", []),
    ],
)
def test_the_metrics_have_a_port_and_a_path(host: str, port: int, path: str, faults: list[str]) -> None:
    job = f"{path}static_configs: [{{targets: ['{host}:{port}', 'other:8501']}}]"
    assert prometheus(job) == [fault.format(host) for fault in faults]


def test_metrics_are_not_there_unless_they_are_on() -> None:
    job = f"metrics_path: {PATH}, static_configs: [{{targets: ['tf:8501']}}]"
    (found,) = prometheus(job, "prometheus_config { enable: false }")
    assert found == "Prometheus is sent to a server that shows no metrics"


@pytest.mark.parametrize(
    "job", ["static_configs: 5", "static_configs: [{targets: 5}]", "metrics_path: 5", "a: b"]
)
def test_an_odd_job_is_no_matter(job: str) -> None:
    assert prometheus(job) == []
