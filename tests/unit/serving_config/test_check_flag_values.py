"""Values of flags, as the real server reads them."""

from pathlib import Path

import pytest

from tests.unit.serving_config.field_cases import STOCK, compose, messages

pytestmark = pytest.mark.usefixtures("empty_folder")

SERVER = "tensorflow_model_server, --model_name=a, --model_base_path=/models/a"
MOUNT = "volumes: ['m:/models:ro']"
VOLUMES = "volumes: {m: {}}"


def flags(*given: str, more: str = MOUNT) -> list[str]:
    words = ", ".join(f"'{flag}'" for flag in given)
    return compose(f"entrypoint: [{SERVER}, {words}], {more}", VOLUMES)


@pytest.mark.parametrize("value", ["1", "true", "True", "TRUE", "0", "false", "False", "FALSE"])
def test_a_truth_value_has_letters_of_any_case(value: str) -> None:
    assert flags(f"--enable_profiler={value}") == []


@pytest.mark.parametrize("value", ["yes", "on", "t", "y", "2", "", " true", "true "])
def test_another_word_is_no_truth_value(value: str) -> None:
    assert flags(f"--enable_profiler={value}") == [f"--enable_profiler={value}"]


@pytest.mark.parametrize(("value", "faults"), [("1", 0), ("True", 0), ("0", 1), ("False", 1)])
def test_a_flag_is_on_by_whatever_the_server_takes_for_true(value: str, faults: int) -> None:
    parameters = "--batching_parameters_file=/models/batching.config"
    found = flags(f"--enable_batching={value}", parameters)
    assert found == ["--batching_parameters_file without --enable_batching"] * faults


@pytest.mark.parametrize("value", ["8600", "+8600", " 8600", "08600"])
def test_a_port_is_a_number_in_the_notation_of_c(value: str) -> None:
    more = f"{MOUNT}, ports: ['127.0.0.1:8600:8600']"
    assert flags(f"--port={value}", more=more) == []


@pytest.mark.parametrize("value", ["8_600", "8600 ", "0x2198", "8.6e3", ""])
def test_another_notation_is_no_port(value: str) -> None:
    assert flags(f"--port={value}") == [f"--port={value}"]


@pytest.mark.parametrize(("value", "faults"), [(".5", 0), ("5e-1", 0), (" 0.5", 0), ("0.5 ", 1), ("0_5", 1)])
def test_a_fraction_is_a_number_in_the_notation_of_c(value: str, faults: int) -> None:
    name = "--per_process_gpu_memory_fraction"
    assert flags(f"{name}={value}") == [f"{name}={value}"] * faults


@pytest.mark.parametrize("words", [["--model_config_file", "/m"], ["--model_config_file"]])
def test_a_flag_and_its_value_are_one_word(words: list[str]) -> None:
    assert flags(*words) == ["--model_config_file has no value"]


def test_no_port_at_all_ends_the_server() -> None:
    assert flags("--port=0") == ["--port=0 without --grpc_socket_path"]


def test_a_socket_needs_no_port_and_a_folder_that_is_written_to() -> None:
    more = "volumes: ['m:/models:ro', './sock:/sock']"
    Path("deploy/sock").mkdir(parents=True)
    assert flags("--port=0", "--grpc_socket_path=/sock/a", more=more) == []
    assert flags("--port=8500", more=more) == ["/sock is mounted writable"]


def test_a_shell_that_is_given_the_server_as_a_script_does_not_start_it() -> None:
    found = compose(f"entrypoint: [bash, /usr/bin/{SERVER}], {MOUNT}", VOLUMES)
    assert found == ["bash reads /usr/bin/tensorflow_model_server as a script, which it is not"]


@pytest.mark.parametrize(
    ("tag", "faults"),
    [
        ("2.14.1", ["TensorFlow Serving 2.14 has no flag --enable_grpc_healthcheck_service yet"]),
        ("2.9.3-gpu", ["TensorFlow Serving 2.9 has no flag --enable_grpc_healthcheck_service yet"]),
        ("2.15.1", []),
        ("2.20.0", []),
    ],
)
def test_an_older_image_lacks_flags_that_came_later(tag: str, faults: list[str]) -> None:
    image = f"image: 'tensorflow/serving:{tag}', init: true"
    entry = f"entrypoint: [{SERVER}, --enable_grpc_healthcheck_service=true]"
    text = f"services:\n  s: {{{image}, {entry}, {MOUNT}}}\n{VOLUMES}\n"
    assert messages(compose__yml=text) == faults


SHELL_AS_FLAGS = "the image's script takes {} and what follows for flags of the server"


@pytest.mark.parametrize("command", [f"sh -c '{SERVER.replace(',', '')}'", "bash -c true", "/bin/bash"])
def test_the_script_of_the_stock_image_hands_a_shell_to_the_server(command: str) -> None:
    found = compose(f'command: "{command}", {MOUNT}', VOLUMES)
    assert found == [SHELL_AS_FLAGS.format(command.split()[0])]


def test_the_script_of_the_stock_image_hands_a_dockerfiles_line_of_shell_to_the_server() -> None:
    text = f"FROM {STOCK}\nUSER 1000\nCMD {SERVER.replace(',', '')}\n"
    assert messages(Dockerfile=text) == [SHELL_AS_FLAGS.format("/bin/sh")]
