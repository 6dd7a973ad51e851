"""Forms of deployment files that people use: what the real server accepts is no fault, what it does not is one."""

from pathlib import Path

import pytest

from tests.unit.serving_config.field_cases import MODEL, STOCK, check, compose, messages

pytestmark = pytest.mark.usefixtures("empty_folder")

SERVER = "/usr/bin/tensorflow_model_server"


# The stock image's own script.


@pytest.mark.parametrize("environment", ["{MODEL_NAME: a}", "[MODEL_NAME=a]"])
def test_the_stock_script_serves_the_model_of_the_environment_on_both_ports(environment: str) -> None:
    service = f"environment: {environment}, volumes: ['./a:/models/a:ro'], ports: ['127.0.0.1:8501:8501']"
    assert compose(service) == []


def test_the_stock_script_needs_the_model_where_it_looks() -> None:
    found = compose("environment: {MODEL_NAME: b}, volumes: ['./a:/models/a:ro']")
    assert "nothing puts /models/b (model b) into the container" in found


def test_a_flag_after_the_stock_script_replaces_the_scripts_own() -> None:
    service = "command: ['--rest_api_port=9000'], volumes: ['m:/models:ro'], ports: ['127.0.0.1:9000:9000']"
    assert compose(service, "volumes: {m: {}}") == []


def test_a_variable_that_the_stock_script_ignores_is_named() -> None:
    found = compose(
        "environment: {MODEL_CONFIG_FILE: /m.config}, volumes: ['m:/models:ro']", "volumes: {m: {}}"
    )
    assert "MODEL_CONFIG_FILE is set" in found


@pytest.mark.parametrize("environment", ["ENV MODEL_NAME=a", "ENV MODEL_NAME a"])
def test_a_dockerfile_sets_the_model_of_the_stock_script(environment: str) -> None:
    found = messages(Dockerfile=f"FROM {STOCK}\nCOPY a /models/a\n{environment}\nUSER 1000\n")
    assert found == ["the server is not the entry point, and gets no signals"]


# Shells.


@pytest.mark.parametrize(
    ("entrypoint", "script"),
    [
        ("[/bin/bash, -c]", f"{SERVER} --port=8500 --model_name=a --model_base_path=/models/a"),
        (
            "[sh, -ec]",
            "mkdir -p /tmp/a && exec tensorflow_model_server --port=8500 --model_base_path=/models/a",
        ),
    ],
)
def test_the_flags_in_a_shells_script_are_read(entrypoint: str, script: str) -> None:
    service = f"entrypoint: {entrypoint}, command: ['{script}'], volumes: ['m:/models:ro'],"
    assert compose(f"{service} ports: ['127.0.0.1:8500:8500']", "volumes: {m: {}}") == []
    assert compose(f"{service} ports: ['127.0.0.1:9000:9000']", "volumes: {m: {}}") == [
        "s publishes port 9000"
    ]


@pytest.mark.parametrize(
    ("init", "entry", "faults"),
    [
        ("true", "", []),
        ("false", "", ["s: as process 1 the image's entry point script ignores SIGTERM"]),
        ("true", "entrypoint: [sh, -c]", []),
        ("false", "entrypoint: [sh, -c]", ["s: as process 1 the shell ignores SIGTERM"]),
        ("false", "entrypoint: [tini, --, tensorflow_model_server]", []),
    ],
)
def test_what_is_process_1_ignores_sigterm_unless_it_is_an_init(
    init: str, entry: str, faults: list[str]
) -> None:
    # Beside an init the script and the shell end on SIGTERM, and with them the container.
    flags = "--model_name=a --model_base_path=/models/a"
    script = f"['echo start; tensorflow_model_server {flags}; echo end']" if "sh" in entry else f"'{flags}'"
    text = f"image: '{STOCK}', init: {init}, command: {script}, volumes: ['m:/models:ro']"
    file = f"services:\n  s: {{{text}, {entry}}}\nvolumes: {{m: {{}}}}\n"
    assert messages(compose__yml=file) == faults


@pytest.mark.parametrize(
    ("shared", "command", "message"),
    [
        ("true", "", None),
        ("false", "", "as process 1 the image's entry point script ignores SIGTERM"),
        ("true", f"command: [{SERVER}], ", None),
        ("false", f"command: [{SERVER}], ", "as process 1 the server ignores SIGTERM"),
        ("false", f"command: [tini, --, {SERVER}], ", None),
    ],
)
def test_one_thing_is_said_of_what_is_process_1_of_a_pod(
    shared: str, command: str, message: str | None
) -> None:
    container = f"{{name: a, image: '{STOCK}', {command}args: ['--model_base_path=/models/a']}}"
    pod = f"{{shareProcessNamespace: {shared}, containers: [{container}]}}"
    found = messages(a__yaml=f"apiVersion: v1\nkind: Pod\nmetadata: {{name: a}}\nspec: {pod}\n")
    assert [each for each in found if "process 1" in each or "keeps" in each] == [message] * bool(message)


def test_a_script_that_does_not_name_the_server_is_a_note() -> None:
    text = f"services:\n  s: {{image: '{STOCK}', init: true, entrypoint: [sh, -c], command: [/start.sh]}}\n"
    result = check(compose__yml=text)
    assert (result.findings, len(result.notes)) == ([], 1)


# What puts files into the container.


@pytest.mark.parametrize(
    ("kind", "entry", "path"),
    [
        ("configs", "{source: list, target: /etc/models.config}", "/etc/models.config"),
        ("configs", "list", "/list"),
        ("secrets", "{source: list, target: models.config}", "/run/secrets/models.config"),
        ("secrets", "list", "/run/secrets/list"),
    ],
)
def test_configs_and_secrets_of_compose_are_files(kind: str, entry: str, path: str) -> None:
    service = f"entrypoint: [{SERVER}], command: ['--model_config_file={path}'], {kind}: [{entry}], "
    rest = f"volumes: {{m: {{}}}}\n{kind}: {{list: {{file: ./FILE}}}}"
    Path("deploy").mkdir()
    Path("deploy/models.config").write_text(MODEL)
    assert compose(f"{service} volumes: ['m:/models:ro']", rest.replace("FILE", "models.config")) == []
    missing = compose(f"{service} volumes: ['m:/models:ro']", rest.replace("FILE", "other.config"))
    assert missing == ["deploy/other.config is not there"]


@pytest.mark.parametrize(
    "copies",
    [
        "WORKDIR /models\nCOPY models.config list.config\nCOPY a a\n",
        "WORKDIR /\nWORKDIR models\nCOPY models.config ./list.config\nCOPY a/ ./a\n",
        "COPY models.config /models/list.config\nCOPY a/ /models/a/\n",
    ],
)
def test_what_a_dockerfile_copies_is_relative_to_its_working_directory(copies: str) -> None:
    Path("deploy/a/1").mkdir(parents=True)
    Path("deploy/a/1/saved_model.pb").write_bytes(b"\x12\x00")
    command = 'CMD ["--model_config_file=/models/list.config"]'
    text = f'FROM {STOCK}\n{copies}USER 1000\nENTRYPOINT ["{SERVER}"]\n{command}\n'
    assert messages(Dockerfile=text, models__config=MODEL) == []
    moved = text.replace("list.config\n", "elsewhere.config\n", 1)
    found = messages(Dockerfile=moved, models__config=MODEL)
    assert found == ["--model_config_file: nothing puts /models/list.config into the container"]


# Addresses of models.


@pytest.mark.parametrize("address", ["gs://bucket/a", "file:///models/a"])
def test_an_address_that_the_server_reads_is_no_fault(address: str) -> None:
    assert messages(models__config=MODEL.replace("/models/a", address)) == []


@pytest.mark.parametrize("address", ["s3://bucket/a", "https://example.com/a"])
def test_an_address_that_the_server_waits_for_without_end_is_a_fault(address: str) -> None:
    wanted = f"the server reads no {address.partition(':')[0]}:// (it reads folders, file:// and gs://)"
    assert messages(models__config=MODEL.replace("/models/a", address)) == [wanted]
    assert wanted in compose(f"entrypoint: [{SERVER}], command: ['--model_base_path={address}']")


@pytest.mark.parametrize("image", ["tensorflow/serving:2.6.5", "tensorflow/serving:2.7.4", "mine:2.6.5"])
def test_only_images_before_release_2_7_read_s3(image: str) -> None:
    flags = "--model_config_file=/m/models.config"
    service = f"{{image: '{image}', init: true, entrypoint: [{SERVER}, {flags}], volumes: ['.:/m:ro']}}"
    text = MODEL.replace("/models/a", "s3://bucket/a")
    found = messages(compose__yml=f"services:\n  s: {service}\n", models__config=text)
    refused = "the server reads no s3:// (it reads folders, file:// and gs://)"
    assert found == ([] if image == "tensorflow/serving:2.6.5" else [refused])


# Files that are no text protos.


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"model_config_list": {"config": []}}', "this is JSON"),
        ("model_config_list:\n  config:\n    name: a\n", "this is YAML"),
        ("model_config_list:\n  config:\n  - name: a\n", "this is YAML"),
        (f"// ours\n{MODEL}", "a comment begins with //"),
        (f"/* ours */ {MODEL}", "a comment begins with //"),
        (MODEL.replace('"a"', "“a”"), "typographic quotes"),
        (MODEL.replace('"a"', "‘a’"), "typographic quotes"),
        (f"\ufeff{MODEL}", "a byte order mark, on which the server ends"),
        ('[model_config_list]\n[[config]]\nname = "a"\n', "this is TOML"),
        ('<models><model name="a"/></models>', "this is XML"),
        ("model_config_list { {% for m in models %} config { } {% endfor %} }", "a template"),
        (MODEL.replace("name:", "name ="), "a field is written with ="),
        (MODEL.replace(" config", "\u00a0config"), "a space that is none of ASCII's"),
        (MODEL.replace('"a"', '"a'), "a quote is opened or closed that has no partner on this line"),
        (MODEL.rstrip().removesuffix("}"), "what is opened here is closed nowhere: `}` is missing"),
        (
            MODEL.replace('"/models/a"', "/models/a"),
            "expected a value after base_path, found `/`: texts stand in quotes",
        ),
    ],
)
def test_another_format_is_named(text: str, message: str) -> None:
    assert messages(models__config=text) == [message]


def test_utf_16_is_named(tmp_path: Path) -> None:
    (tmp_path / "deploy").mkdir()
    (tmp_path / "deploy" / "models.config").write_text(MODEL, "utf-16")
    assert messages() == ["UTF-16, as editors on Windows save it"]


def test_a_picture_or_an_archive_is_no_text() -> None:
    Path("deploy").mkdir(exist_ok=True)
    Path("deploy/models.config").write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")
    assert messages() == ["no text"]


def test_a_label_is_on_a_version_that_the_policy_loads_wherever_the_versions_are() -> None:
    policy = "model_version_policy { specific { versions: 1 } }"
    for version, found in (
        (1, []),
        (3, ["the label stable is on version 3, which the policy does not load"]),
    ):
        label = f'version_labels {{ key: "stable" value: {version} }}'
        text = MODEL.replace('name: "a"', f'name: "a" {policy} {label}').replace("/models/a", "gs://b/a")
        assert messages(models__config=text) == found


def test_a_list_without_a_model_is_a_note() -> None:
    result = check(models__config="model_config_list {}")
    assert result.findings == []
    assert "the server starts, and waits for a reload" in result.notes[0]


@pytest.mark.parametrize("number", ["inf", "-inf", "nan", "0.5f", "1e3"])
def test_every_notation_of_a_number_is_read(number: str) -> None:
    logging = f"logging_config {{ sampling_config {{ sampling_rate: {number} }} }}"
    found = messages(models__config=MODEL.replace('name: "a"', f'name: "a" {logging}'))
    assert found == ["the server ends at once on logging_config"]  # and nothing of the number
