"""Files and keys ending in .config or .pbtxt that are somebody else's are notes; what a server is given is not."""

from pathlib import Path

import pytest
from slimserve.serving_config.check.inspection import inspect
from slimserve.serving_config.errors import ServingConfigError

from tests.unit.serving_config.field_cases import MODEL, STOCK, check, messages
from tests.unit.serving_config.test_check_kubernetes_cases import CONFIG_MAP, DEPLOYMENT

pytestmark = pytest.mark.usefixtures("empty_folder")

NGINX = "server { listen 80; }\n"
UNKNOWN = "not a configuration of TensorFlow Serving that is known"
SERVER = "entrypoint: [/usr/bin/tensorflow_model_server]"


def compose(flag: str, volume: str = ".:/config:ro") -> str:
    command = f"command: [--model_name=a, --model_base_path=/models/a, --{flag}]"
    volumes = f"volumes: ['./a:/models/a:ro', '{volume}']"
    return f"services:\n  s: {{image: '{STOCK}', init: true, {SERVER}, {command}, {volumes}}}\n"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("nginx__config", NGINX),
        ("app__config", "<configuration><appSettings/></configuration>\n"),
        ("pipeline__config", "model { ssd { num_classes: 90 } }\ntrain_config { batch_size: 24 }\n"),
        ("config__pbtxt", 'name: "a" platform: "tensorflow_savedmodel" max_batch_size: 8\n'),
        ("label_map__pbtxt", "item { id: 1 name: 'cat' }\n"),
    ],
)
def test_a_file_of_another_program_is_a_note(name: str, text: str) -> None:
    result = check(**{name: text})
    assert result.findings == []
    (note,) = result.notes
    assert f"{UNKNOWN}, it was not checked" in note


def test_a_graph_in_text_format_is_no_file_of_a_deployment() -> None:
    result = check(models__config=MODEL, saved_model__pbtxt="saved_model_schema_version: 1\n")
    assert [path.name for path in result.files] == ["models.config"]


def test_a_key_of_another_program_is_a_note() -> None:
    result = check(a__yaml=DEPLOYMENT, b__yaml=f"{CONFIG_MAP}  nginx.config: '{NGINX.strip()}'\n")
    assert result.findings == []
    assert any(f"b.yaml:7: {UNKNOWN}" in note for note in result.notes)


def test_the_same_text_is_a_fault_where_a_flag_names_it() -> None:
    found = messages(c__yml=compose("model_config_file=/config/nginx.config"), nginx__config=NGINX)
    assert "expected `:` or `{` after listen, found `80`" in found


def test_the_same_text_is_a_fault_where_a_server_mounts_it() -> None:
    text = compose("rest_api_port=8501", "./nginx.config:/nginx.config:ro")
    assert messages(c__yml=text, nginx__config=NGINX) == ["expected `:` or `{` after listen, found `80`"]


def test_the_same_text_is_a_fault_where_it_was_named_on_the_command_line() -> None:
    check(nginx__config=NGINX)
    (finding,) = inspect([Path("deploy/nginx.config")], None, []).findings
    assert finding.message == "expected `:` or `{` after listen, found `80`"


@pytest.mark.parametrize("text", [MODEL.replace("{ config {", "{ config {{"), '{"model_config_list": []}'])
def test_a_broken_file_that_speaks_of_models_is_a_fault_whatever_its_name(text: str) -> None:
    assert messages(tf_serving__config=text)


@pytest.mark.parametrize("flag", ["tensorflow_session_config_file", "thread_pool_factory_config_file"])
@pytest.mark.parametrize("name", ["session.config", "models.pbtxt"])
def test_a_file_of_a_message_that_is_not_known_is_a_note(flag: str, name: str) -> None:
    files = {"c__yml": compose(f"{flag}=/config/{name}"), name: "intra_op_parallelism_threads: 4\n"}
    result = check(**files)
    assert result.findings == []
    assert any(f"--{flag} names it" in note for note in result.notes)


UNIT = "[Service]\nExecStart=/usr/bin/tensorflow_model_server --model_config_file=/m\n"
TASK = '{"family": "a", "containerDefinitions": [{"name": "a", "image": "tensorflow/serving:2.20.0"}]}\n'
SCRIPT = "cat > models.config <<END\nmodel_config_list { }\nEND\n"


@pytest.mark.parametrize(("name", "text"), [("a.service", UNIT), ("task.json", TASK), ("run.sh", SCRIPT)])
def test_a_file_of_a_kind_that_is_not_read_is_no_fault_where_it_is_named(name: str, text: str) -> None:
    Path(name).write_text(text)
    with pytest.raises(ServingConfigError, match=f"{name} is of a kind that is not read"):
        inspect([Path(name)], None, [])
    Path("models.config").write_text("model_config_list { }\n")
    result = inspect([Path(name), Path("models.config")], None, [])
    assert result.findings == []
    assert f"{name}:1: {UNKNOWN}, it was not checked" in result.notes


def test_a_list_of_models_in_json_is_a_fault_whatever_its_suffix() -> None:
    Path("list.json").write_text('{"model_config_list": {"config": []}}\n')
    (finding,) = inspect([Path("list.json")], None, []).findings
    assert finding.message == "this is JSON"
