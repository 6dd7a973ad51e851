"""What a build reads of its folder: .dockerignore, and directives of the Dockerfile."""

from pathlib import Path

import pytest

from tests.unit.serving_config.field_cases import STOCK, messages

COPY = "USER 1000\nCOPY models /models\n"
ENTRY = 'ENTRYPOINT ["tensorflow_model_server", "--model_name=a", "--model_base_path=/models/a"]\n'


@pytest.fixture(autouse=True)
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("deploy/models/a/1").mkdir(parents=True)
    Path("deploy/models/a/1/saved_model.pb").write_bytes(b"\x12\x00")


@pytest.mark.parametrize(
    ("ignored", "faults"),
    [
        ("models", 1),
        ("models/\n", 1),
        ("*\n", 1),
        ("**/models", 1),
        ("m?dels", 1),
        ("*\n!models\n", 0),
        ("*\n!models/a\n", 0),
        ("# models\n", 0),
        ("models/b\n*.md\nmodel\n", 0),
    ],
)
@pytest.mark.parametrize("name", [".dockerignore", "Dockerfile.dockerignore"])
def test_what_dockerignore_leaves_out_cannot_be_copied(ignored: str, faults: int, name: str) -> None:
    Path("deploy", name).write_text(ignored)
    found = messages(Dockerfile=f"FROM {STOCK}\n{COPY}{ENTRY}")
    assert found == ["COPY takes models, which .dockerignore leaves out"] * faults


def test_an_option_behind_the_words_of_copy_is_its_target() -> None:
    found = messages(Dockerfile=f"FROM {STOCK}\nUSER 1000\nCOPY models /models --chown=1000\n{ENTRY}")
    assert "COPY has 2 sources and the target --chown=1000" in found


@pytest.mark.parametrize("directives", ["# escape=`\n", "# syntax=docker/dockerfile:1\n#escape = `\n"])
def test_another_sign_may_join_two_lines(directives: str) -> None:
    entry = ENTRY.replace(", ", ", `\n  ")
    assert messages(Dockerfile=f"{directives}FROM {STOCK}\n{COPY}{entry}") == []


@pytest.mark.parametrize("copy", ['COPY "models" "/models"\n', "COPY --chown=1000 'models' /models\n"])
def test_quotes_are_no_part_of_a_path(copy: str) -> None:
    assert messages(Dockerfile=f"FROM {STOCK}\nUSER 1000\n{copy}{ENTRY}") == []
