"""`python -m serving_config check` as a command."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from slimserve.serving_config.cli import main

SOUND = """\
model_config_list {
  config {
    name: "vgg_16"
    base_path: "BASE"
    model_platform: "tensorflow"
  }
}
"""


@pytest.fixture
def models_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A sound configuration of a model in the working directory."""
    monkeypatch.chdir(tmp_path)
    graph = tmp_path / "exports/vgg_16/1/saved_model.pb"
    graph.parent.mkdir(parents=True)
    graph.write_bytes(b"\x12\x00")
    path = tmp_path / "serve.txt"
    path.write_text(SOUND.replace("BASE", str(tmp_path / "exports/vgg_16")))
    return path


def test_a_sound_configuration_exits_0(models_config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--models-config", str(models_config)]) == 0
    assert capsys.readouterr().out == ""


def test_a_fault_exits_1_with_one_line(models_config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    models_config.write_text(models_config.read_text().replace("vgg_16/", "").replace("/exports", "/export"))
    assert main(["check", "--models-config", str(models_config)]) == 1
    out = capsys.readouterr().out
    assert out.startswith("serve.txt:4: base_path ")
    assert out.count("\n") == 1


def test_json_lists_files_and_findings(models_config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    models_config.write_text(models_config.read_text().replace('name: "vgg_16"', "name: vgg"))
    assert main(["check", "--models-config", str(models_config), "--json"]) == 1
    answer = json.loads(capsys.readouterr().out)
    assert answer["findings"] == [
        {"file": "serve.txt", "line": 3, "message": "name is vgg", "advice": "give it a string in quotes"}
    ]


def test_models_root_stands_for_the_containers_models(models_config: Path) -> None:
    models_config.write_text(SOUND.replace("BASE", "/models/vgg_16"))
    assert main(["check", "--models-config", str(models_config), "--models-root", "exports"]) == 0


def test_a_base_path_that_cannot_be_looked_up_is_said(
    models_config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models_config.write_text(SOUND.replace("BASE", "/models/not_on_this_machine"))
    assert main(["check", "--models-config", str(models_config)]) == 0
    assert "/models/not_on_this_machine was not looked up" in capsys.readouterr().err


def test_models_in_the_working_directory_are_looked_up(models_config: Path) -> None:
    models_config.write_text(SOUND.replace("BASE", "/models/vgg_17"))
    Path("exports").rename("models")
    assert main(["check", "--models-config", str(models_config)]) == 1


def test_a_file_that_is_not_there_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "nowhere.config"]) == 2
    assert (
        capsys.readouterr().err == "error: nowhere.config does not exist: name a file or a folder that does\n"
    )


def test_the_shipped_files_pass_without_tensorflow(tmp_path: Path) -> None:
    program = (
        "import sys; from serving_config.cli import main; code = main(['check']);"
        "sys.exit(code or ('tensorflow' in sys.modules and 3) or 0)"
    )
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={"PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_an_unknown_kind_of_file_is_said(models_config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    models_config.write_text("colour: 1\n")
    assert main(["check", str(models_config)]) == 1
    assert "not a configuration of TensorFlow Serving" in capsys.readouterr().out


def test_a_reader_that_has_gone_is_no_error_to_tell(models_config: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)  # as by `| head`, which needs one line
    command = [sys.executable, "-m", "slimserve.serving_config", "check", str(models_config), "--json"]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")
