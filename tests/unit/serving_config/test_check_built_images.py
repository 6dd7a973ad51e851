"""The image that a service builds is its Dockerfile's: entry point, variables, files. Others are not judged."""

from pathlib import Path

import pytest

from tests.unit.serving_config.field_cases import MODEL, STOCK, check, messages

SERVER = "/usr/bin/tensorflow_model_server"
ENTRY = f'ENTRYPOINT ["{SERVER}"]\n'
CONFIG = "command: ['--model_config_file=/models/models.config', '--rest_api_port=8501']"
NOTHING = "--model_config_file: nothing puts /models/models.config into the container"


@pytest.fixture(autouse=True)
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("deploy/image/models/a/1").mkdir(parents=True)
    Path("deploy/image/models/a/1/saved_model.pb").write_bytes(b"\x12\x00")
    Path("deploy/image/models/models.config").write_text(MODEL)


def dockerfile(text: str, name: str = "Dockerfile") -> None:
    Path("deploy/image", name).write_text(f"FROM {STOCK}\nUSER 1000\n{text}")


def service(more: str) -> list[str]:
    return messages(compose__yml=f"services:\n  s: {{init: true, {more}}}\n")


@pytest.mark.parametrize(
    "build", ["./image", "{context: image}", "{context: ., dockerfile: image/Dockerfile}"]
)
@pytest.mark.parametrize("name", ["", "image: example/a, "])
def test_the_files_of_the_image_are_there(build: str, name: str) -> None:
    source = "image/models" if "dockerfile" in build else "models"
    dockerfile(f"COPY {source} /models\n{ENTRY}")
    assert service(f"{name}build: {build}, {CONFIG}, ports: ['127.0.0.1:8501:8501']") == []
    assert service(f"build: {build}, {CONFIG.replace('/models.config', '/m.config')}") == [
        "deploy/image/models/m.config is not there"
    ]


def test_what_the_image_does_not_copy_is_missing() -> None:
    dockerfile(f"COPY models/a /models/a\n{ENTRY}")
    assert service(f"build: image, {CONFIG}") == [NOTHING]


def test_the_command_of_the_image_is_the_services_where_that_gives_none() -> None:
    command = 'CMD ["--model_config_file=/models/models.config", "--rest_api_port=9000"]\n'
    dockerfile(f"COPY models /models\n{ENTRY}{command}")
    assert service("build: image, ports: ['127.0.0.1:9000:9000']") == []
    assert service("build: image, ports: ['127.0.0.1:8501:8501']") == ["s publishes port 8501"]
    assert service(f"build: image, {CONFIG}, ports: ['127.0.0.1:8501:8501']") == []


def test_a_line_of_shell_as_the_entry_point_takes_no_command() -> None:
    line = f"exec {SERVER} --rest_api_port=9000 --model_config_file=/models/models.config"
    dockerfile(f"COPY models /models\nENTRYPOINT {line}\n")
    assert service("build: image, command: [--rest_api_port=8501], ports: ['127.0.0.1:9000:9000']") == []


def test_the_stock_script_of_the_image_has_the_variables_of_both() -> None:
    dockerfile("COPY models /models\nENV MODEL_NAME=b\n")
    assert service("build: image, environment: [MODEL_NAME=a], ports: ['127.0.0.1:8501:8501']") == []
    assert service("build: image") == ["base_path /models/b does not exist (deploy/image/models/b)"]


@pytest.mark.parametrize(("given", "faults"), [("", ["the server runs as root"]), (", user: '1000'", [])])
def test_the_service_may_say_who_runs_in_the_image(given: str, faults: list[str]) -> None:
    dockerfile(f"COPY models /models\nUSER root\n{ENTRY}")
    assert service(f"build: image, {CONFIG}{given}") == faults


def test_a_stage_may_be_built() -> None:
    text = f"COPY models /models\n{ENTRY}FROM python:3.12 AS client\nCMD python\n"
    dockerfile(text)
    Path("deploy/image/Dockerfile").write_text(f"FROM {STOCK} AS serving\nUSER 1000\n{text}")
    assert service(f"build: {{context: image, target: serving}}, {CONFIG}") == []


def test_arguments_of_the_build_are_filled_in() -> None:
    dockerfile(f"ARG NAME\nARG OTHER=models\nCOPY $OTHER/${{NAME}} /models/$NAME\n{ENTRY}")
    flags = "command: ['--model_name=a', '--model_base_path=/models/a']"
    assert service(f"build: {{context: image, args: {{NAME: a}}}}, {flags}") == []


@pytest.mark.parametrize(
    "more",
    [
        "build: 'https://example.com/a.git'",
        "build: elsewhere",
        "image: 'example/a:1'",
    ],
)
def test_of_an_image_that_is_not_at_hand_no_file_is_missed(more: str) -> None:
    assert service(f"{more}, {CONFIG}") == []


@pytest.mark.parametrize(("command", "is_note"), [("", True), ('CMD ["--port=8500"]\n', False)])
def test_an_entry_point_without_a_model_is_a_note_where_flags_may_follow(command: str, is_note: bool) -> None:
    dockerfile(f"COPY models /models\n{ENTRY}{command}")
    result = check()
    assert [finding.message for finding in result.findings] == ([] if is_note else ["no model to serve"])
    assert any("whoever starts the image has to give it" in note for note in result.notes) == is_note


def test_variables_of_the_base_and_of_the_image_are_filled_in() -> None:
    Path("deploy/image/models.config").write_text(MODEL)
    copies = "COPY models.config ${CONFIG}\nCOPY models/a $MODEL_BASE_PATH/a\n"
    dockerfile(
        f'ENV CONFIG=${{MODEL_BASE_PATH}}/list.config\n{copies}{ENTRY}CMD ["--model_config_file=/models/list.config"]\n'
    )
    assert messages() == []


def test_who_runs_in_an_image_that_serves_no_model_is_no_fault_of_the_server() -> None:
    Path("deploy/image/Dockerfile").write_text("FROM alpine:3.20\nCMD wget example.com/a\n")
    serving = f"image: '{STOCK}', init: true, environment: [MODEL_NAME=a], volumes: ['m:/models:ro']"
    text = f"services: {{s: {{{serving}}}, download: {{build: image, volumes: ['m:/models']}}}}\nvolumes: {{m: }}\n"
    assert messages(compose__yml=text) == []


INLINE = f"""\
services:
  s:
    init: true
    build:
      context: image
      dockerfile_inline: |
        FROM {STOCK}
        COPY models /models
        USER 1000
        {ENTRY}        CMD ["--model_config_file=/models/models.config"]
"""


@pytest.mark.parametrize(
    ("old", "new", "faults"),
    [
        ("", "", []),
        ("/models.config", "/m.config", [(4, "deploy/image/models/m.config is not there")]),
        ("        USER 1000\n", "", [(7, "the server runs as root")]),
        ("COPY", "COPPY", [(8, "COPPY is no instruction")]),
    ],
)
def test_a_dockerfile_may_stand_in_the_compose_file(
    old: str, new: str, faults: list[tuple[int, str]]
) -> None:
    found = check(compose__yml=INLINE.replace(old, new)).findings
    assert [(finding.line, finding.message) for finding in found] == faults


@pytest.mark.parametrize(("base", "faults"), [(STOCK, [NOTHING]), ("example/serving-with-models:1", [])])
def test_a_base_of_ones_own_may_hold_what_is_not_copied(base: str, faults: list[str]) -> None:
    text = f"FROM {base}\nUSER 1000\n{ENTRY}"
    Path("deploy/image/Dockerfile").write_text(text)
    assert service(f"build: image, {CONFIG}") == faults
    Path("deploy/compose.yml").unlink()
    Path("deploy/image/Dockerfile").write_text(f'{text}CMD ["--model_config_file=/models/models.config"]\n')
    assert messages() == faults


@pytest.mark.parametrize(
    ("base", "faults"),
    [
        (STOCK, ["the server runs as root"]),
        ("debian:12", ["the server runs as root"]),
        ("example/serving:1", []),
        ("example/serving:1\nUSER root", ["the server runs as root"]),
    ],
)
def test_a_base_of_ones_own_may_have_a_user(base: str, faults: list[str]) -> None:
    Path("deploy/image/Dockerfile").write_text(
        f'FROM {base}\nCOPY models /models\n{ENTRY}CMD ["--model_config_file=/models/models.config"]\n'
    )
    assert messages() == faults
