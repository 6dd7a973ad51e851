"""What a command starts: flags in the place of a program, and words that a shell keeps for itself."""

import pytest

from tests.unit.serving_config.field_cases import compose, messages
from tests.unit.serving_config.test_check_kubernetes_cases import CONFIG_MAP, DEPLOYMENT, SERVER

pytestmark = pytest.mark.usefixtures("empty_folder")

FLAGS = "--model_name=a --model_base_path=/models/a"
MOUNTED = "volumes: ['m:/models:ro']"
VOLUMES = "volumes: {m: {}}"
ALONE = "sh -c runs tensorflow_model_server alone, and keeps what follows for itself"


@pytest.mark.parametrize(
    ("command", "faults"),
    [
        (f"entrypoint: [/bin/sh, -c], command: tensorflow_model_server {FLAGS}", [ALONE]),
        (f"entrypoint: [/bin/sh, -c, tensorflow_model_server], command: {FLAGS.split()}", [ALONE]),
        (f"entrypoint: [/bin/sh, -c], command: ['tensorflow_model_server {FLAGS}']", []),
        (f"entrypoint: [/bin/sh, -c, 'exec tensorflow_model_server {FLAGS}', --, a]", []),
        (
            f"entrypoint: [/bin/sh, -c, 'exec tensorflow_model_server \"$$@\"', --], command: {FLAGS.split()}",
            [],
        ),
        (f"entrypoint: {FLAGS.split()}", ["the program to start is --model_name=a"]),
        (f"command: {FLAGS.split()}", []),
    ],
)
def test_a_shell_reads_one_word(command: str, faults: list[str]) -> None:
    assert compose(f"{command}, {MOUNTED}", VOLUMES) == faults


def test_flags_are_the_arguments_of_a_container_and_not_its_command() -> None:
    deployment = DEPLOYMENT.replace(f"        command: [{SERVER}]\n", "").replace("args:", "command:")
    found = messages(a__yaml=deployment, b__yaml=CONFIG_MAP)
    assert found == ["the program to start is --rest_api_port=8501"]
