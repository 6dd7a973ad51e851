"""What Docker Compose 2.40 refuses in files that fit its schema, and takes; asked of `docker compose config`."""

import pytest

from tests.unit.serving_config.field_cases import STOCK, check, compose, messages

pytestmark = pytest.mark.usefixtures("empty_folder")

MOUNTED = "environment: {MODEL_NAME: a}, volumes: ['m:/models:ro']"
VOLUMES = "volumes: {m: {}}"
IDLE = f"a GPU is asked for, and {STOCK} computes on the CPU"


def devices(text: str) -> str:
    return f"deploy: {{resources: {{reservations: {{devices: [{{{text}, capabilities: [tpu]}}]}}}}}}"


def limits(text: str) -> str:
    return f"deploy: {{resources: {{limits: {{{text}}}}}}}"


@pytest.mark.parametrize(
    ("service", "faults"),
    [
        (devices("driver: x, count: 1, device_ids: ['0']"), ["count beside device_ids"]),
        (devices("driver: x, count: every"), ["count is every"]),
        (devices("driver: x, count: all"), []),
        (devices("driver: x, count: 2"), []),
        (devices("driver: x, device_ids: ['0']"), []),
        ("scale: 2, deploy: {replicas: 3}", ["scale is 2, and deploy.replicas is 3"]),
        ("scale: 2, deploy: {replicas: 2}", []),
        (
            f"mem_limit: 6g, {limits('memory: 4g')}",
            ["mem_limit is 6g, and deploy.resources.limits.memory is 4g"],
        ),
        (f"mem_limit: 4096m, {limits('memory: 4g')}", []),
        (f"cpus: 0.5, {limits('cpus: 0.25')}", ["cpus is 0.5, and deploy.resources.limits.cpus is 0.25"]),
        (f"cpus: 1.0, {limits('cpus: 1')}", []),
        ("container_name: tf, deploy: {replicas: 2}", ["2 containers of the one name tf"]),
        ("container_name: tf, scale: 3", ["3 containers of the one name tf"]),
        ("container_name: tf, deploy: {replicas: 1}", []),
        ("ports: ['localhost:8500:8500']", ["ports has the host localhost, which is no address"]),
        ("ports: ['[::1]:8500:8500']", []),
        (
            "ports: ['127.0.0.1:9000-9002:8500-8501']",
            ["ports has 9000-9002 for 8500-8501, which are not as many"],
        ),
        (
            "ports: ['127.0.0.1:9001-9000:8500-8501']",
            ["ports has 9001-9000 for 8500-8501, which are not as many"],
        ),
        ("ports: ['127.0.0.1:9000-9010:8500']", []),
        ("ports: ['127.0.0.1:9000-9001:8500-8501']", []),
        ("depends_on: [s]", ["s waits for itself"]),
        ("network_mode: 'service:s'", ["s waits for itself"]),
    ],
)
def test_a_service_is_judged_as_compose_does(service: str, faults: list[str]) -> None:
    assert compose(f"{MOUNTED}, {service}", VOLUMES) == faults


def test_two_services_that_wait_for_each_other() -> None:
    rest = f"  t: {{image: 'redis:7', depends_on: [u]}}\n  u: {{image: 'redis:7', links: [s]}}\n{VOLUMES}"
    assert compose(f"{MOUNTED}, depends_on: [t]", rest) == ["s waits for itself"]
    assert compose(MOUNTED, rest) == []


@pytest.mark.parametrize("key", ["secrets", "configs"])
@pytest.mark.parametrize(
    ("source", "faults"),
    [
        ("{name: b}", ["a has no source"]),
        ("{file: ./b, environment: B}", ["a has file and environment"]),
        ("{file: ./b}", []),
        ("{environment: B}", []),
        ("{external: true}", []),
    ],
)
def test_a_secret_has_one_source(key: str, source: str, faults: list[str]) -> None:
    assert compose(f"{MOUNTED}, {key}: [a]", f"{VOLUMES}\n{key}: {{a: {source}}}") == faults


CHECK = "healthcheck: {test: [CMD, bash, -c, '</dev/tcp/127.0.0.1/8500']}"


@pytest.mark.parametrize(
    ("check", "condition", "faults"),
    [
        ("", "service_healthy", ["it waits for the health of s, which has no health check"]),
        (
            "healthcheck: {disable: true}",
            "service_healthy",
            ["it waits for the health of s, which has no health check"],
        ),
        (CHECK, "service_healthy", []),
        ("", "service_started", []),
    ],
)
def test_the_stock_image_has_no_health_check_to_wait_for(
    check: str, condition: str, faults: list[str]
) -> None:
    rest = f"  t: {{image: 'b:1', depends_on: {{s: {{condition: {condition}}}}}}}\n{VOLUMES}"
    assert compose(", ".join(filter(None, [MOUNTED, check])), rest) == faults


@pytest.mark.parametrize("image", ["b:1", "tensorflow/serving:2.20.0-devel"])
def test_another_image_may_have_a_health_check(image: str) -> None:
    waits = "t: {image: 'c:1', depends_on: {s: {condition: service_healthy}}}"
    assert messages(compose__yml=f"services:\n  s: {{image: '{image}'}}\n  {waits}\n") == []


@pytest.mark.parametrize("asked", ["gpus: all", devices("driver: nvidia").replace("tpu", "gpu")])
def test_the_stock_image_has_no_use_for_a_gpu(asked: str) -> None:
    for image, notes in ((STOCK, [True]), ("tensorflow/serving:2.19.0-gpu", []), ("me/serving:1", [])):
        service = f"s: {{image: '{image}', init: true, {MOUNTED}, {asked}}}"
        result = check(compose__yml=f"services:\n  {service}\n{VOLUMES}\n")
        assert result.findings == []
        assert [IDLE in note for note in result.notes if "GPU" in note] == notes
