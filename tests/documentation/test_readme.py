"""What the README tells its readers to type, typed, in a copy of the project."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trustme

from tests.conftest import ROOT

README = (ROOT / "README.md").read_text()
COMMANDS = re.findall(r"^\$ (.+?)(?:\s+#.*)?$", README, re.MULTILINE)
# Run by other tests, or needing what this machine lacks.
EXPORT = "python -m export --ckpt vgg_16.ckpt"  # run by the fixture `models`
ELSEWHERE = ("make ", "pip install ", "docker ", "kubectl ", "python -m slimserve.export.demo.command ")


def commands(*, containing: str) -> list[str]:
    """The README's commands that are typed here, in its order."""
    return [command for command in COMMANDS if containing in command and not command.startswith(ELSEWHERE)]


class Workshop:
    """A reader's copy of the project."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        bin_folder = str(Path(sys.executable).parent)
        self.environment = os.environ | {
            "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}",
            "COLUMNS": "100",
        }

    def type(self, command: str) -> str:
        """Run a line in the shell; return what it prints."""
        result = subprocess.run(
            ["bash", "-ceu", command],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=400,
            check=False,
        )
        assert result.returncode == 0, f"$ {command}\n{result.stdout}{result.stderr}"
        return result.stdout

    @contextmanager
    def serving(self, command: str) -> Iterator[None]:
        """Keep a server running that `command` starts."""
        process = subprocess.Popen(
            command.split(), cwd=self.folder, env=self.environment, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        try:
            assert any(line.startswith("ready: ") for line in process.stdout), (
                "the server ended before it was ready"
            )
            yield
        finally:
            process.terminate()
            process.communicate(timeout=60)


@pytest.fixture(scope="module")
def workshop(
    demo_checkpoint: Path, demo_scene: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Workshop]:
    folder = tmp_path_factory.mktemp("readme") / "slimserve"
    ignored = shutil.ignore_patterns(
        ".git", ".venv", "demo", "models", "build", "*.ckpt", ".*_cache", "__pycache__"
    )
    shutil.copytree(ROOT, folder, ignore=ignored)
    (folder / "export" / "demo").mkdir(exist_ok=True)
    shutil.copytree(ROOT / "export" / "demo", folder / "export" / "demo", dirs_exist_ok=True)
    (folder / "vgg_16.ckpt").symlink_to(demo_checkpoint)
    names = Path(f"{demo_checkpoint}.labels.tsv")
    (folder / "vgg_16.ckpt.labels.tsv").symlink_to(names)
    (folder / "names.txt").write_text(
        "".join(line.split("\t")[1] + "\n" for line in names.read_text().splitlines())
    )
    (folder / "photos").mkdir()
    for picture in ("cat.jpg", "street.jpg", "photos/one.jpg"):
        shutil.copy(demo_scene, folder / picture)
    yield Workshop(folder)
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def exported(workshop: Workshop, models: Path) -> Workshop:
    """The workshop after the engineer's chapter."""
    typed = dict.fromkeys(commands(containing="python -m export"))
    del typed[EXPORT]
    shutil.copytree(models / "vgg_16", workshop.folder / "models" / "vgg_16", copy_function=os.link)
    for command in typed:
        workshop.type(command)
    return workshop


def test_export_commands_write_a_version(exported: Workshop) -> None:
    assert (exported.folder / "models" / "vgg_16" / "1" / "saved_model.pb").is_file()
    assert (exported.folder / "models" / "streets" / "1" / "saved_model.pb").is_file()
    for command in commands(containing="saved_model_cli"):
        assert "signature_def['segment']" in exported.type(command)


class TestWhileServed:
    """The application developer's chapter, while `python -m serving_config up` runs."""

    @pytest.fixture(scope="class")
    def served(self, exported: Workshop) -> Iterator[Workshop]:
        shutil.rmtree(exported.folder / "models" / "streets")  # one model is as good as two, and sooner ready
        command = commands(containing="serving_config up")[0]
        with exported.serving(command + " --engine embedded"):
            yield exported

    @pytest.mark.parametrize("command", dict.fromkeys(commands(containing="python -m client")))
    def test_client_command_answers(self, served: Workshop, command: str) -> None:
        assert served.type(command)

    def test_python_example_runs(self, served: Workshop) -> None:
        (example,) = re.findall(r"```python\n(.+?)```", README, re.DOTALL)
        (served.folder / "example.py").write_text(example)
        printed = served.type("python example.py")
        assert "(480, 640)" in printed
        assert (served.folder / "overlay.png").is_file()


def test_versions_roll_out_and_back(workshop: Workshop, small_models: Path) -> None:
    versions = workshop.folder / "versions"
    for number in ("1", "2"):
        shutil.copytree(small_models / "small" / "1", versions / number, copy_function=os.link)
    config = workshop.folder / "serving_config" / "models.config"
    shipped = config.read_text()
    config.write_text(shipped.replace('"/models/vgg_16"', f'"{versions}"'))
    with workshop.serving(f"python -m serving_config up --engine embedded --models-config {config}"):
        for command in commands(containing="serving_config"):
            if command.split()[3] in ("versions", "canary", "promote", "rollback"):
                assert workshop.type(command)
    config.write_text(shipped)


@pytest.fixture
def certificates(workshop: Workshop) -> None:
    """key.pem, cert.pem and ca.pem."""
    authority = trustme.CA()
    certificate = authority.issue_cert("serving", "localhost")
    authority.cert_pem.write_to_path(workshop.folder / "ca.pem")
    certificate.private_key_pem.write_to_path(workshop.folder / "key.pem")
    certificate.cert_chain_pems[0].write_to_path(workshop.folder / "cert.pem")


@pytest.mark.usefixtures("certificates")
def test_deployments_are_rendered_and_pass_the_check(workshop: Workshop) -> None:
    for version in ("1", "2"):
        folder = workshop.folder / "models" / "vgg_16" / version
        (folder / "variables").mkdir(parents=True, exist_ok=True)
        if not (folder / "saved_model.pb").exists():
            (folder / "saved_model.pb").write_bytes(b"looked at by its size alone")
    for command in [part for line in COMMANDS for part in line.split(" && ")]:
        if command.startswith("python -m serving_config render"):
            shutil.rmtree(workshop.folder / "deploy", ignore_errors=True)
            workshop.type(command)
        elif command.startswith("python -m serving_config check"):
            workshop.type(command)


def test_every_command_is_run_somewhere() -> None:
    run_here = ("python -m export", "python -m client", "python -m serving_config", "saved_model_cli")
    assert [command for command in COMMANDS if not command.startswith(ELSEWHERE + run_here)] == []
