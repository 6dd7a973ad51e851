"""Forms of compose files that are rare: what Docker takes is no fault, and none of them ends the check."""

from pathlib import Path

import pytest

from tests.unit.serving_config.field_cases import MODEL, STOCK, check, compose, messages

pytestmark = pytest.mark.usefixtures("empty_folder")

SERVER = "/usr/bin/tensorflow_model_server"
FLAGS = f"entrypoint: [{SERVER}, --model_name=a, --model_base_path=/models/a]"
MOUNT = "volumes: ['m:/models:ro']"
VOLUMES = "volumes: {m: {}}"


# Files that are no compose files, and services that are none.


def test_a_list_of_services_is_a_pipeline_of_gitlab() -> None:
    result = check(ci__yml="services: [docker:dind]\ntest: {script: [make]}\n")
    assert (result.findings, len(result.notes)) == ([], 1)


def test_a_list_of_services_in_a_compose_file_is_a_fault_and_others_are_checked() -> None:
    found = messages(compose__yml="services: [a]\n", models__config="model_config {}")
    assert found[0].startswith("services is ['a']")
    assert any("ModelServerConfig has no field model_config" in message for message in found)


def test_a_service_that_extends_one_of_no_file_is_a_note() -> None:
    text = "services: {s: {extends: {service: x, file: null}}, x: {image: 'redis:7'}}\n"
    assert messages(compose__yml=text, models__config="model_config {}")[-1].startswith(
        "ModelServerConfig has no"
    )


@pytest.mark.parametrize("kind", ["configs", "secrets"])
def test_an_entry_without_a_source_does_not_end_the_check(kind: str) -> None:
    assert compose(f"{kind}: [{{target: /x}}], {FLAGS}, {MOUNT}", VOLUMES) == []


@pytest.mark.parametrize("field", ["mem_limit: !reset null", "ports: !reset []", "mem_limit: !override 4g"])
def test_what_an_override_resets_is_left_out(field: str) -> None:
    assert compose(f"{field}, {FLAGS}, {MOUNT}", VOLUMES) == []


# Configurations.

NAMED = f"entrypoint: [{SERVER}, --model_config_file=/c/models.config], {MOUNT}"


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        (MODEL, []),
        (MODEL.replace("base_path", "base_pth"), [(7, "ModelConfig has no field base_pth")]),
        (MODEL.removesuffix("}"), [(7, "what is opened here is closed nowhere: `}` is missing")]),
    ],
)
def test_a_configuration_that_stands_in_the_file_is_read(text: str, faults: list[tuple[int, str]]) -> None:
    service = f"{NAMED}, configs: [{{source: c, target: /c/models.config}}, other]"
    file = f"services:\n  s: {{image: '{STOCK}', init: true, {service}}}\n{VOLUMES}\n"
    content = f"configs:\n  c:\n    content: |\n      {text}\n  other: {{content: 'listen 80;'}}\n"
    found = check(compose__yml=file + content).findings
    assert [(finding.line, finding.message) for finding in found] == faults


@pytest.mark.parametrize(("source", "faults"), [("models.config", 0), (".", 1)])
def test_a_folder_is_no_configuration(source: str, faults: int) -> None:
    Path("deploy").mkdir()
    Path("deploy/models.config").write_text(MODEL)
    mounts = f"volumes: ['m:/models:ro', './{source}:/c/models.config:ro']"
    found = compose(NAMED.replace(MOUNT, mounts), VOLUMES)
    assert found == ["--model_config_file: deploy is a folder"] * faults


@pytest.mark.parametrize(("folder", "faults"), [("/models", 0), ("/", 1), ("", 1)])
def test_a_relative_path_begins_in_the_working_directory(folder: str, faults: int) -> None:
    Path("deploy/models/a/1").mkdir(parents=True)
    Path("deploy/models/a/1/saved_model.pb").write_bytes(b"\x12\x00")
    Path("deploy/models/models.config").write_text(MODEL)
    workdir = f"working_dir: {folder}, " if folder else ""
    found = compose(
        f"{workdir}entrypoint: [{SERVER}, --model_config_file=./models.config], volumes: ['./models:/models:ro']"
    )
    assert found == ["--model_config_file: nothing puts /models.config into the container"] * faults


# Ports.


@pytest.mark.parametrize(("host", "faults"), [("127.0.0.2", 0), ("[::1]", 0), ("10.0.0.1", 1)])
def test_every_address_of_the_loopback_is_one(host: str, faults: int) -> None:
    found = compose(f"ports: ['{host}:8500:8500'], {FLAGS}, {MOUNT}", VOLUMES)
    assert found == ["port 8500 is open to other machines without TLS"] * faults


@pytest.mark.parametrize(("mode", "faults"), [("ingress", 0), ("host", 1)])
def test_a_swarm_balances_one_port(mode: str, faults: int) -> None:
    port = f"{{target: 8500, published: '8500', host_ip: 127.0.0.1, mode: {mode}}}"
    found = compose(f"ports: [{port}], deploy: {{replicas: 2}}, {FLAGS}, {MOUNT}", VOLUMES)
    assert found == ["s: 2 containers cannot share one port of the machine"] * faults
