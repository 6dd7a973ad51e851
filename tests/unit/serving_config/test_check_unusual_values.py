"""A value that no rule expects is a finding of its file, and hides no other file's faults."""

from pathlib import Path

import pytest
from slimserve.serving_config.check.configs import config_rules

from tests.unit.serving_config.checked_deployment import copy_deployment, lines, replace

COMPOSE, DEPLOYMENT, DOCKERFILE = "docker-compose.yml", "kubernetes/deployment.yaml", "Dockerfile"
ENTRYPOINT = 'ENTRYPOINT ["/usr/bin/tensorflow_model_server"]'
COPY = "COPY --chown=65532:65532 models.config monitoring.config /config/"
COMMAND = 'command: ["sleep", "75"]'
GRPC_PROBE = """readinessProbe:
            grpc:
              port: 8500
            periodSeconds: 5
            timeoutSeconds: 5
            failureThreshold: 3
"""


@pytest.fixture
def deployment(tmp_path: Path) -> Path:
    return copy_deployment(tmp_path)


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        (
            DEPLOYMENT,
            f"preStop:\n              exec:\n                {COMMAND}",
            "",
            "with its calls in flight",
        ),
        (DEPLOYMENT, GRPC_PROBE, "readinessProbe:\n", "no readinessProbe"),
        (DEPLOYMENT, "image: serving-models:1", "image:", "the container has no image"),
        (DEPLOYMENT, COMMAND, 'command: ["sleep", "2m"]', "preStop sleeps 120 s"),
        (DEPLOYMENT, COMMAND, 'command: ["sleep", "75x"]', "sleep knows no 75x"),
        (DEPLOYMENT, "kind: Deployment", "kind: 5", "kind is no word"),
        (DEPLOYMENT, "- name: grpc", "-\n            - name: grpc", "containers.0.ports.0 is empty"),
        ("kustomization.yaml", "resources:", "resources: 5\nx-resources:", "resources is no list of names"),
        (
            "kustomization.yaml",
            "- name: serving-config",
            "-\n  - name: x",
            "configMapGenerator is no list of map",
        ),
        (DOCKERFILE, ENTRYPOINT, "ENTRYPOINT []", "the server is not the entry point"),
        (DOCKERFILE, ENTRYPOINT, 'ENTRYPOINT tensorflow_model_server "--port', "ENTRYPOINT cannot be split"),
        (DOCKERFILE, COPY, "COPY", "COPY lacks a source or a target"),
        (DOCKERFILE, "FROM tensorflow/serving:2.20.0", "FROM", "FROM names no image"),
        (
            COMPOSE,
            "    command:\n",
            '    command: --port=8500 "x\n    x-command:\n',
            "command cannot be split",
        ),
        (COMPOSE, "name: serving", "name: serv\x07ing", "the character U+0007 is not allowed"),
    ],
    ids=lambda value: value.strip().splitlines()[0] if value.strip() else "nothing",
)
def test_an_unusual_value_is_named(file: str, old: str, new: str, message: str, deployment: Path) -> None:
    replace(deployment / file, old, new)

    found = lines(deployment)

    assert any(line.startswith(f"{file}:") and message in line for line in found), found


@pytest.mark.parametrize("length", ["75s", "1m", "1.25m", "0.01h"])
def test_a_sleep_is_read_with_its_unit(length: str, deployment: Path) -> None:
    replace(deployment / DEPLOYMENT, '"75"', f'"{length}"')
    assert lines(deployment) == []


@pytest.mark.parametrize("number", ["0x1", "01"])
def test_a_whole_number_of_any_notation_is_read(number: str, deployment: Path) -> None:
    replace(deployment / "models.config", "versions: 1", f"versions: {number}")
    assert lines(deployment) == []


def test_an_empty_entry_point_leaves_the_command(deployment: Path) -> None:
    replace(deployment / DOCKERFILE, ENTRYPOINT, "ENTRYPOINT []")
    replace(deployment / DOCKERFILE, 'CMD ["', 'CMD ["/usr/bin/tensorflow_model_server", "')
    assert lines(deployment) == []


def test_an_empty_entry_point_and_the_stock_script_are_the_script(deployment: Path) -> None:
    replace(deployment / DOCKERFILE, ENTRYPOINT, "ENTRYPOINT []")
    replace(deployment / DOCKERFILE, 'CMD ["', 'CMD ["/usr/bin/tf_serving_entrypoint.sh", "')
    (found,) = lines(deployment)
    assert "the server is not the entry point, and gets no signals" in found


def test_rules_skip_an_object_that_departs_from_its_schema(deployment: Path) -> None:
    replace(deployment / DEPLOYMENT, "args:", "args: 5\n          x:")
    assert len(lines(deployment)) == 1


def test_a_check_that_stumbles_is_a_finding_of_its_file_alone(
    deployment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config_rules, "_last_size", lambda *_: 1 / 0)
    replace(deployment / "monitoring.config", "enable: true", "enable: yes")

    found = lines(deployment)

    assert found[0].startswith("batching.config:0: cannot be checked: ZeroDivisionError, division by zero")
    assert [line.partition(":")[0] for line in found] == ["batching.config", "monitoring.config"]
