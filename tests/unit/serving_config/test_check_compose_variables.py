"""Variables of compose files, as Compose fills them in; and what several containers of a service share."""

from pathlib import Path

import pytest

from tests.unit.serving_config.field_cases import STOCK, check, compose

COMMAND = "entrypoint: [tensorflow_model_server], command: '--model_name=a --model_base_path={}'"
MOUNT = "volumes: ['./a:/models/a:ro']"


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "deploy").mkdir()


@pytest.mark.parametrize(
    "base",
    [
        "${BASE:-/models/a}",
        "${BASE-/models/a}",
        "${BASE:-${OTHER:-/models/a}}",
        "${OTHER:+/x}/models/a",
        "${SET:?say where}",
        "${SET}",
        "$SET",
        "${SET:+/models/a}",
        "${EMPTY:-/models/a}",
        "/${EMPTY-x}models/a",
    ],
)
def test_a_variable_has_the_value_that_compose_gives_it(base: str) -> None:
    Path("deploy/.env").write_text("# ours\nSET='/models/a'  # there\nexport EMPTY=\n")
    assert compose(f"{COMMAND.format(base)}, {MOUNT}") == []


def test_pwd_is_the_folder_of_the_file() -> None:
    assert compose(f"{COMMAND.format('/models/a')}, volumes: ['${{PWD}}/a:/models/a:ro']") == []


def test_a_dollar_is_written_twice() -> None:
    environment = "environment: {MODEL_NAME: 'a$$b'}, volumes: ['./a:/models/a$$b:ro']"
    assert compose(environment) == []


@pytest.mark.parametrize(
    ("variable", "note"),
    [("${MODEL}", "it was read as empty"), ("${MODEL:?}", "Compose starts nothing without it")],
)
def test_a_variable_that_nothing_sets_is_noted(variable: str, note: str) -> None:
    service = f"services:\n  s: {{image: '{STOCK}', init: true, {COMMAND.format(f'/models/{variable}a')}, {MOUNT}}}\n"
    result = check(compose__yml=service)
    assert result.findings == []
    assert f"nothing here sets MODEL, {note}" in result.notes[0]


def test_of_an_image_whose_tag_has_to_be_set_nothing_else_is_said() -> None:
    image = "services: {s: {image: 'tensorflow/serving:${TAG:?}', init: true, environment: [MODEL_NAME=a], "
    result = check(compose__yml=f"{image}{MOUNT}, ports: ['${{PORT:?}}:9']}}}}\n")
    assert [finding.message for finding in result.findings] == ["s publishes port 9"]
    assert "nothing here sets PORT, TAG, Compose starts nothing without it" in result.notes[0]


SHARED = "s: 2 containers cannot share one port of the machine"


@pytest.mark.parametrize(
    ("port", "faults"),
    [
        ("'127.0.0.1:8500:8500'", [SHARED]),
        ("{target: 8500, published: '8500', host_ip: 127.0.0.1}", [SHARED]),
        ("'127.0.0.1:8500-8501:8500'", []),
        ("'127.0.0.1::8500'", []),
    ],
)
def test_containers_of_a_service_need_ports_of_their_own(port: str, faults: list[str]) -> None:
    service = f"{COMMAND.format('/models/a')}, {MOUNT}, ports: [{port}], deploy: {{replicas: 2}}"
    assert compose(service) == faults


@pytest.mark.parametrize(
    "limit", ["mem_limit: 64m", "mem_limit: 0.1gb", "deploy: {resources: {limits: {memory: 100M}}}"]
)
def test_memory_that_no_server_fits_is_a_fault(limit: str) -> None:
    (found,) = compose(f"{COMMAND.format('/models/a')}, {MOUNT}, {limit}")
    assert "of memory is less than the server alone takes" in found
