"""A model that flags or variables name is looked up where the container has it, as one of a models.config is."""

import os
from pathlib import Path

import pytest
from slimserve.serving_config.check.inspection import inspect

from tests.unit.serving_config.field_cases import MODEL, STOCK, check, compose, messages

pytestmark = pytest.mark.usefixtures("empty_folder")

SERVER = "tensorflow_model_server"
FLAGS = f"entrypoint: [{SERVER}, --model_name=a, --model_base_path=/models/a]"
MODELS = "volumes: ['./models:/models:ro']"
NOT_THERE = "base_path /models/a does not exist (deploy/models/a)"
NO_SIGNALS = "the server is not the entry point, and gets no signals"
IS_VERSION = "base_path /models/a is a version"


def version(path: str, graph: str = "saved_model.pb") -> Path:
    """A version in the folder of the deployment."""
    folder = Path("deploy", path)
    folder.mkdir(parents=True)
    (folder / graph).write_bytes(b"\x12\x00")
    return folder


@pytest.mark.parametrize(
    ("folder", "faults"),
    [
        ("models/a/1", []),
        ("models/b/1", [NOT_THERE]),
        ("models/a", [IS_VERSION]),
        ("models/a/v1", ["no version in /models/a (deploy/models/a)"]),
    ],
)
@pytest.mark.parametrize("service", [FLAGS, "environment: [MODEL_NAME=a]", "environment: {MODEL_NAME: a}"])
def test_a_model_is_looked_up_in_what_is_mounted(folder: str, faults: list[str], service: str) -> None:
    version(folder)
    assert compose(f"{service}, {MODELS}") == faults


@pytest.mark.parametrize(
    ("base", "advice"),
    [("/models/a/1", "name the folder of the versions: /models/a"), ("/models/b", "a number: /models/b/1")],
)
def test_the_advice_for_a_version_says_which_folder_is_meant(base: str, advice: str) -> None:
    version("models/a/1")
    version("models/b")
    text = (
        f"services: {{s: {{image: '{STOCK}', init: true, {FLAGS.replace('/models/a', base)}, {MODELS}}}}}\n"
    )
    assert [advice in finding.advice for finding in check(compose__yml=text).findings] == [True]


def test_a_version_may_be_mounted_below_a_folder_that_has_none() -> None:
    version("export")
    Path("deploy/models/a").mkdir(parents=True)
    assert compose(f"{FLAGS}, volumes: ['./models:/models:ro', './export:/models/a/1:ro']") == []


@pytest.mark.parametrize(
    ("copy", "faults"),
    [
        ("COPY a /models/a", []),
        ("COPY a /models/", ["base_path /models/a does not exist (deploy/a/a)"]),
        ("COPY a/1 /models/a", [IS_VERSION]),
        ("COPY a/1 /models/a/1", []),
        ("COPY a /models/\nCOPY a /models/a", []),
        ("COPY a /models/\nRUN mkdir /models/a && mv /models/1 /models/a", []),
    ],
)
@pytest.mark.parametrize("by_flags", [True, False])
def test_a_model_is_looked_up_in_what_is_copied(copy: str, faults: list[str], by_flags: bool) -> None:
    version("a/1")
    flags = (
        '"--model_name=a", "--model_base_path=/models/a"' if by_flags else '"--model_config_file=/m.config"'
    )
    text = f'FROM {STOCK}\n{copy}\nCOPY m.config /m.config\nUSER 1000\nENTRYPOINT ["{SERVER}", {flags}]\n'
    assert messages(Dockerfile=text, m__config=MODEL) == faults


def test_whoever_starts_an_image_may_name_its_model() -> None:
    version("models/a/1")
    image = f"FROM {STOCK}\nCOPY models /models\nUSER 1000\n"
    result = check(Dockerfile=image)
    assert [finding.message for finding in result.findings] == [NO_SIGNALS]
    assert any("whoever starts the image has to give it" in note for note in result.notes)
    there, not_there = (messages(Dockerfile=f"{image}ENV MODEL_NAME={name}\n") for name in "ab")
    assert there == [NO_SIGNALS]
    assert not_there == ["base_path /models/b does not exist (deploy/models/b)", NO_SIGNALS]


def test_the_models_root_says_where_the_model_of_flags_lies(tmp_path: Path) -> None:
    version("models/a/1")
    compose(f"{FLAGS}, volumes: ['m:/models:ro']", "volumes: {m: {}}")
    found = inspect([Path("deploy")], tmp_path, []).findings
    assert [finding.message for finding in found] == [
        f"base_path /models/a does not exist ({tmp_path / 'a'})"
    ]


@pytest.mark.parametrize(
    ("before", "faults"),
    [
        ("", ["nothing puts /data/a (model a) into the container"]),
        ("exec ", ["nothing puts /data/a (model a) into the container"]),
        ("git clone https://example.com/a /data/a && exec ", []),
        ("mkdir -p /data/a; cp -r /srv/a /data; ", []),
    ],
)
def test_a_shell_may_bring_the_model_before_it_starts_the_server(before: str, faults: list[str]) -> None:
    script = f"{before}{SERVER} --model_name=a --model_base_path=/data/a"
    assert compose(f"entrypoint: [bash, -c, '{script}']") == faults
    dockerfile = f'FROM {STOCK}\nUSER 1000\nENTRYPOINT ["bash", "-c", "{script}"]\n'
    found = messages(compose__yml="services: {}\n", Dockerfile=dockerfile)
    assert [message for message in found if message != NO_SIGNALS] == faults


# Rights.


UNREADABLE = "version 1 is not readable by others"


@pytest.mark.parametrize(
    ("user", "faults"),
    [("", []), ("user: root, ", ["the server runs as root"]), ("user: '65532', ", [UNREADABLE])],
)
@pytest.mark.parametrize(
    "named", [FLAGS, f"entrypoint: [{SERVER}, --model_config_file=/models/models.config]"]
)
def test_a_version_has_to_be_readable_for_whom_the_server_runs_as(
    user: str, faults: list[str], named: str
) -> None:
    version("models/a/1").chmod(0o700)
    Path("deploy/models/models.config").write_text(MODEL)
    assert compose(f"{user}{named}, {MODELS}") == faults


def test_the_owner_of_a_version_may_read_it() -> None:
    folder = version("models/a/1")
    folder.chmod(0o700)
    owner = os.geteuid() or 1234
    for path in (folder, folder / "saved_model.pb"):
        os.chown(path, owner, -1)
    assert compose(f"user: '{owner}:1', {FLAGS}, {MODELS}") == []


@pytest.mark.parametrize(
    ("copy", "faults"),
    [("COPY", [UNREADABLE]), ("COPY --chown=1000", []), ("COPY --chmod=755", [])],
)
def test_copy_may_give_a_version_other_rights(copy: str, faults: list[str]) -> None:
    version("a/1").chmod(0o700)
    entry = f'ENTRYPOINT ["{SERVER}", "--model_name=a", "--model_base_path=/models/a"]'
    assert messages(Dockerfile=f"FROM {STOCK}\n{copy} a /models/a\nUSER 1000\n{entry}\n") == faults


# Links.


@pytest.mark.parametrize(("inside", "faults"), [(True, 0), (False, 1)])
@pytest.mark.parametrize("absolute", [True, False])
def test_a_link_has_to_lead_to_what_is_in_the_container(inside: bool, faults: int, absolute: bool) -> None:
    store = version("models/store" if inside else "store")
    Path("deploy/models/a").mkdir(parents=True, exist_ok=True)
    target = str(store.resolve()) if absolute else ("../store" if inside else "../../store")
    Path("deploy/models/a/1").symlink_to(target)
    mounts = (
        f"volumes: ['./models:/models:ro', './models/store:{target}:ro']" if inside and absolute else MODELS
    )
    found = compose(f"{FLAGS}, {mounts}")
    assert found == [f"version 1 is a link to {target}, which is not in the container"] * faults


# What the real server takes for a version.


def test_a_file_that_is_named_by_a_number_is_taken_for_a_version() -> None:
    version("models/a/1")
    Path("deploy/models/a/2").touch()
    assert compose(f"{FLAGS}, {MODELS}") == ["the server takes the file deploy/models/a/2 for version 2"]


def test_a_sign_before_the_number_is_read() -> None:
    version("models/a/+1")
    assert compose(f"{FLAGS}, {MODELS}") == []


def test_a_version_of_text_is_one_and_no_configuration() -> None:
    version("models/a/1", "saved_model.pbtxt")
    assert compose(f"{FLAGS}, {MODELS}") == []


@pytest.mark.parametrize(("flag", "faults"), [("true", 0), ("false", 1)])
def test_a_model_of_tensorflow_lite_is_one_where_the_server_prefers_it(flag: str, faults: int) -> None:
    version("models/a/1", "model.tflite")
    service = FLAGS.replace("]", f", --prefer_tflite_model={flag}]")
    found = compose(f"{service}, {MODELS}")
    assert len(found) == faults


@pytest.mark.parametrize(
    ("flags", "files"),
    [
        ("--model_name=a --model_base_path=/models/a", {}),
        ("--model_config_file=/models.config", {"models__config": MODEL}),
    ],
)
def test_what_a_shell_may_download_into_a_folder_is_not_missed_there(
    flags: str, files: dict[str, str]
) -> None:
    Path("models").mkdir()  # as where `check` runs in the folder of the deployment
    Path("deploy/models").mkdir(parents=True)
    script = f"aws s3 sync s3://b/m /models && exec {SERVER} --port=8500 {flags}"
    volumes = "['./models:/models', './models.config:/models.config:ro']"
    service = f"image: '{STOCK}', init: true, entrypoint: [sh, -c, '{script}'], volumes: {volumes}"
    result = check(compose__yml=f"services: {{s: {{{service}}}}}\n", **files)
    assert result.findings == []
    assert any("/models/a (model a) is there was not looked up" in note for note in result.notes)


def test_what_is_there_already_is_looked_into_before_a_shell() -> None:
    version("models/a/1").joinpath("saved_model.pb").unlink()
    script = f"date && exec {SERVER} --port=8500 --model_name=a --model_base_path=/models/a"
    (found,) = compose(f"entrypoint: [sh, -c, '{script}'], {MODELS}")
    assert "saved_model.pb" in found
