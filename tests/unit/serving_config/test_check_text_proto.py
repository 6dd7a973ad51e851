"""The reader of text-format files agrees with the protobuf runtime's own parser, and knows lines."""

from pathlib import Path

import pytest
from google.protobuf import message_factory, text_format
from hypothesis import example, given, settings
from hypothesis import strategies as st
from slimserve.serving_config.check.configs import messages, text_proto
from slimserve.serving_config.check.inspection import inspect
from tensorflow_serving.config import model_server_config_pb2

PATH = Path("file.config")
NAMES = ["ModelServerConfig", "BatchingParameters", "MonitoringConfig", "SSLConfig", "PlatformConfigMap"]

RATE = "model_config_list { config { logging_config { sampling_config { sampling_rate: %s } } } }"


def accepts(text: str, name: str) -> bool:
    try:
        root = text_proto.read(text, PATH)
    except text_proto.TextProtoError:
        return False
    return not messages.conform(root, messages.message(name))


def officially_accepts(text: str, name: str) -> bool:
    message = message_factory.GetMessageClass(messages.message(name))()
    try:
        text_format.Parse(text, message)
    except (text_format.ParseError, UnicodeDecodeError):
        return False
    return True


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("BatchingParameters", "max_batch_size { value: 8 }"),
        ("BatchingParameters", "max_batch_size: { value: 8 }"),
        ("BatchingParameters", "max_batch_size < value: 0x10 >"),
        ("BatchingParameters", "allowed_batch_sizes: [1, 2, 4]"),
        ("BatchingParameters", "allowed_batch_sizes: []"),
        ("BatchingParameters", "allowed_batch_sizes: 1.5"),
        ("BatchingParameters", "allowed_batch_sizes: 9223372036854775808"),
        ("BatchingParameters", "allowed_batch_sizes: -1; pad_variable_length_inputs: t,"),
        ("BatchingParameters", "max_batch_size: 8"),
        ("BatchingParameters", "max_batch_size { value: 8"),
        ("BatchingParameters", "max_batch_size { value: 8 } }"),
        ("BatchingParameters", "max_batch_size { value 8 }"),
        ("BatchingParameters", "max_batch_size { value: 8 } max_batch_size { value: 9 }"),
        ("MonitoringConfig", 'prometheus_config { enable: TRUE path: "/m" }'),
        ("MonitoringConfig", "prometheus_config { enable: True path: '/m' '/n' }  # end"),
        ("MonitoringConfig", 'prometheus_config { path: "a\\tb\\x41" }'),
        ("MonitoringConfig", 'prometheus_config { path: "no end }'),
        ("SSLConfig", 'server_key: "a\\n" "b\\n" client_verify: 1'),
        ("SSLConfig", 'server_kee: ""'),
        ("ModelServerConfig", 'model_config_list { config { name: "a" } config { name: "b" } }'),
        ("ModelServerConfig", 'model_config_list { config: [{ name: "a" }, { name: "b" }] }'),
        ("ModelServerConfig", 'model_config_list { config { version_labels { key: "s" value: 1 } } }'),
        ("ModelServerConfig", "model_config_list { config { model_type: TENSORFLOW } }"),
        ("ModelServerConfig", "model_config_list { config { model_type: PYTORCH } }"),
        ("ModelServerConfig", "model_config_list { config { model_version_policy { all {} } } }"),
        (
            "ModelServerConfig",
            "model_config_list { config { model_version_policy { latest { num_versions: -1 } } } }",
        ),
        ("ModelServerConfig", "model_config_list { config { model_version_policy { all {} latest {} } } }"),
        ("ModelServerConfig", "model_config_list {} custom_model_config {}"),
        *(("ModelServerConfig", RATE % rate) for rate in ("inf", "-Infinity", "nan", "1.5f", "0x1", "one")),
        ("ModelServerConfig", "$"),
        ("PlatformConfigMap", 'platform_configs { key: "tensorflow" value { } }'),
    ],
)
def test_accepts_what_the_official_parser_accepts(name: str, text: str) -> None:
    assert accepts(text, name) == officially_accepts(text, name)


_words = st.sampled_from(
    [
        "max_batch_size",
        "allowed_batch_sizes",
        "value",
        "{",
        "}",
        ":",
        "1",
        "8",
        "-3",
        '"x"',
        "[",
        "]",
        ",",
        "true",
        "# c\n",
    ]
)


@settings(max_examples=400, deadline=None)
@given(st.lists(_words, max_size=12))
@example(["[", "]", "{", "}"])
def test_never_accepts_what_the_official_parser_refuses(words: list[str]) -> None:
    text = " ".join(words)
    if accepts(text, "BatchingParameters"):
        assert officially_accepts(text, "BatchingParameters")


def test_reads_the_shipped_model_configuration_as_the_official_parser_does() -> None:
    path = Path(text_proto.__file__).parents[2] / "models.config"
    official = text_format.Parse(path.read_text(), model_server_config_pb2.ModelServerConfig())
    root, _ = text_proto.read_file(path)

    assert root is not None
    config = official.model_config_list.config[0]
    model = root.first("model_config_list", "config")
    assert model is not None
    assert (model.value("name"), model.value("base_path")) == (config.name, config.base_path)
    assert {label.value("key"): int(label.value("value")) for label in model.all("version_labels")} == dict(
        config.version_labels
    )


@pytest.mark.parametrize("name", NAMES)
def test_refuses_an_unknown_field_of_every_message(name: str) -> None:
    assert not accepts("no_such_field: 1", name)


def test_reports_every_fault_with_its_line() -> None:
    text = (
        "max_batch_sise { value: 8 }\n\nallowed_batch_sizes: [1,\n  x]\nnum_batch_threads { value: 'two' }\n"
    )
    found = messages.conform(text_proto.read(text, PATH), messages.message("BatchingParameters"))
    assert [finding.line for finding in found] == [1, 3, 5]


@pytest.mark.parametrize(
    "text",
    [
        "max_batch_size { value: 8 } // no comment",
        "max_batch_size { value: - }",
        "enable_large_batch_splitting { value: truee }",
    ],
)
def test_what_the_official_parser_refuses_is_a_fault_with_a_line(text: str, tmp_path: Path) -> None:
    (tmp_path / "batching.config").write_text(f"# ours\n{text}\n")
    assert not officially_accepts(text, "BatchingParameters")
    (finding,) = inspect([tmp_path], None, []).findings
    assert finding.line == 2


def test_what_an_any_holds_is_not_judged(tmp_path: Path) -> None:
    text = (
        'platform_configs { key: "tensorflow" value { source_adapter_config {\n'
        "[type.googleapis.com/tensorflow.serving.SavedModelBundleSourceAdapterConfig] { legacy_config { x: 1 } }\n"
        "} } }\n"
    )
    (tmp_path / "platform.config").write_text(text)
    assert inspect([tmp_path], None, []).findings == []
    (tmp_path / "platform.config").write_text(text.replace("platform_configs", "platform_config"))
    assert [finding.line for finding in inspect([tmp_path], None, []).findings] == [1]


@pytest.mark.parametrize("text", ['"a\\xZZ"', '"\\x"', '"\\U00110000"', '"\\ud800\\q"'])
def test_a_broken_escape_is_refused_as_the_official_parser_refuses_it(text: str) -> None:
    text = f"prometheus_config {{ path: {text} }}"
    assert accepts(text, "MonitoringConfig") == officially_accepts(text, "MonitoringConfig")


def test_a_broken_escape_is_a_fault_of_its_line(tmp_path: Path) -> None:
    (tmp_path / "monitoring.config").write_text('prometheus_config {\n  path: "/a\\xZZ" }\n')
    (finding,) = inspect([tmp_path], None, []).findings
    assert (finding.line, finding.message) == (2, "the string of path has a backslash that begins no escape")
