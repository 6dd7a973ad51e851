"""What README and docs tell their readers to type, typed, in a copy of the project."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from PIL import Image

from tests.conftest import ROOT
from tests.documentation.not_run import NOT_RUN
from tests.documentation.pages import COMMANDS, PROGRAMS, TEST_FILES, VERBS, room_and_verb
from tests.documentation.workshop import Workshop

DEMO = "python -m export.demo vgg_16.ckpt"  # run by the fixture `demo_checkpoint`
EXPORT = "python -m export --ckpt vgg_16.ckpt"  # run by the fixture `models`
UP = (
    "slimserve up",
    "python -m serving_config up",
)  # run while commands of the client and of roll-outs are typed
ROLLOUT = ("versions", "canary", "promote", "rollback")


def typed(*wanted: tuple[str, str]) -> list[str]:
    """The commands of these rooms and verbs that are to be run, in the order of the pages; none twice."""
    return list(dict.fromkeys(c for c in COMMANDS if c not in NOT_RUN and room_and_verb(c) in wanted))


MORE_EXPORTS = [c for c in typed(("export", ""), ("export.demo", "")) if c not in (EXPORT, DEMO)]
CLIENT = typed(*(("client", verb) for verb in VERBS["client"]))
OVER_TLS = [c for c in CLIENT if "--tls-" in c]
COMPARING = [c for c in CLIENT if "--against" in c]  # while two versions are served
ROLLOUTS = typed(*(("serving_config", verb) for verb in ROLLOUT))
FILES = ("certificates", "render", "check")
PRINTED = [c for c in typed(("serving_config", "up")) if c not in UP]
INSPECT = typed(("export", "inspect"))
FETCH = typed(("export", "fetch"))
LOOKED_AT = [c for c in COMMANDS if c.startswith("saved_model_cli ")]


def test_every_command_is_run_or_listed_with_a_reason() -> None:
    run = {DEMO, EXPORT, *UP, *MORE_EXPORTS, *CLIENT, *ROLLOUTS, *PRINTED, *LOOKED_AT, *INSPECT, *FETCH}
    run |= set(typed(*(("serving_config", verb) for verb in FILES)))
    assert [c for c in COMMANDS if c not in run and c not in NOT_RUN] == []
    assert [c for c in NOT_RUN if c not in COMMANDS or c in run] == []


@pytest.fixture(scope="module")
def workshop(
    demo_checkpoint: Path, demo_scene: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Workshop]:
    folder = tmp_path_factory.mktemp("documentation") / "slimserve"
    for room in VERBS:
        shutil.copytree(ROOT / room, folder / room, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "vgg_16.ckpt").symlink_to(demo_checkpoint)
    names = Path(f"{demo_checkpoint}.labels.tsv")
    (folder / "vgg_16.ckpt.labels.tsv").symlink_to(names)
    (folder / "names.txt").write_text(
        "".join(line.split("\t")[1] + "\n" for line in names.read_text().splitlines())
    )
    (folder / "photos").mkdir()
    for picture in ("cat.jpg", "street.jpg", "photos/one.jpg", "photos/two.jpg"):
        shutil.copy(demo_scene, folder / picture)
    (folder / "truth.csv").write_text("one.jpg,class 1\ntwo.jpg,2\n")
    (folder / "maps").mkdir()
    with Image.open(demo_scene) as scene:
        for name in ("one", "two"):
            Image.new("L", scene.size).save(folder / "maps" / f"{name}.png")
    yield Workshop(folder)
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def exported(workshop: Workshop, small_models: Path) -> Workshop:
    """The workshop after the first export; of a small network, so that each command takes little time."""
    shutil.copytree(small_models / "small", workshop.folder / "models" / "vgg_16", copy_function=os.link)
    return workshop


@pytest.mark.parametrize("command", LOOKED_AT)
def test_tensorflows_tool_lists_the_signatures(exported: Workshop, command: str) -> None:
    printed = exported.type(command)
    for name in (
        "serving_default",
        "classify_bytes",
        "classify_examples",
        "segment",
        "logits",
        "network",
        "labels",
    ):
        assert f"signature_def['{name}']" in printed


@pytest.mark.parametrize("command", INSPECT)
def test_a_checkpoint_is_looked_into(workshop: Workshop, command: str) -> None:
    assert "vgg_16" in workshop.type(command)


@pytest.mark.parametrize("command", FETCH)
def test_published_checkpoints_are_listed(workshop: Workshop, command: str) -> None:
    assert "vgg_16" in workshop.type(command)


@pytest.mark.soak
@pytest.mark.parametrize("command", MORE_EXPORTS)
def test_export_command_writes_what_it_says(workshop: Workshop, demo_scene: Path, command: str) -> None:
    for number in range(10):
        shutil.copy(demo_scene, workshop.folder / "photos" / f"{number}.jpg")
    assert workshop.type(command)


@pytest.fixture(scope="class")
def served(exported: Workshop) -> Iterator[Workshop]:
    with exported.serving(f"{UP[0]} --engine embedded"):
        yield exported


class TestWhileServed:
    """While `slimserve up` runs."""

    @pytest.mark.parametrize("command", [c for c in CLIENT if c not in (*OVER_TLS, *COMPARING)])
    def test_client_command_answers(self, served: Workshop, command: str) -> None:
        assert served.type(command)

    @pytest.mark.parametrize("program", [p for p in PROGRAMS if "TLS(" not in p])
    def test_program_prints_answers(self, served: Workshop, program: str) -> None:
        assert served.run(program)


@pytest.mark.parametrize("text", TEST_FILES)
def test_a_test_file_passes(text: str, tmp_path: Path) -> None:
    (tmp_path / "test_application.py").write_text(text, "utf-8")
    printed = Workshop(tmp_path).type(
        "python -m pytest -q -p no:cacheprovider -p no:xdist test_application.py"
    )
    assert " passed" in printed


@pytest.mark.parametrize("command", PRINTED)
def test_what_up_would_run_is_printed(exported: Workshop, command: str) -> None:
    assert "--print-command" in command
    assert " up " in exported.type(command)


@pytest.fixture(scope="class")
def served_over_tls(workshop: Workshop, small_models: Path) -> Iterator[Workshop]:
    authority = trustme.CA()
    server, caller = authority.issue_cert("localhost"), authority.issue_cert("caller.example")
    authority.cert_pem.write_to_path(workshop.folder / "ca.pem")
    caller.private_key_pem.write_to_path(workshop.folder / "client.key")
    caller.cert_chain_pems[0].write_to_path(workshop.folder / "client.pem")
    fields = {
        "server_key": server.private_key_pem.bytes(),
        "server_cert": server.cert_chain_pems[0].bytes(),
        "custom_ca": authority.cert_pem.bytes(),
    }
    lines = [f"{name}: {_quoted(pem)}\n" for name, pem in fields.items()]
    (workshop.folder / "ssl.config").write_text("".join(lines) + "client_verify: true\n")
    command = f"{UP[0]} --engine embedded --ssl-config ssl.config --model vgg_16={small_models / 'small'}"
    with workshop.serving(command):
        yield workshop


class TestOverTLS:
    """While a server runs that shows a certificate and asks for one."""

    @pytest.mark.parametrize("command", OVER_TLS)
    def test_client_command_answers(self, served_over_tls: Workshop, command: str) -> None:
        assert served_over_tls.type(command)

    @pytest.mark.parametrize("program", [p for p in PROGRAMS if "TLS(" in p])
    def test_program_prints_answers(self, served_over_tls: Workshop, program: str) -> None:
        assert served_over_tls.run(program)


def _quoted(pem: bytes) -> str:
    """A string of a text proto."""
    return '"' + pem.decode().replace("\n", "\\n") + '"'


def test_versions_roll_out_and_back(workshop: Workshop, small_models: Path) -> None:
    versions = workshop.folder / "versions"
    for number in ("1", "2"):
        shutil.copytree(small_models / "small" / "1", versions / number, copy_function=os.link)
    config = workshop.folder / "serving_config" / "models.config"
    shipped = config.read_text()
    config.write_text(shipped.replace('"/models/vgg_16"', f'"{versions}"'))
    with workshop.serving(f"{UP[1]} --engine embedded --models-config {config}"):
        for command in ROLLOUTS:
            assert workshop.type(command)
            for comparison in COMPARING if " canary " in command else ():
                assert "difference" in workshop.type(comparison)
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
            (folder / "saved_model.pb").write_bytes(b"\x12\x00")
    for command in COMMANDS:
        room, verb = room_and_verb(command)
        if room != "serving_config" or verb not in FILES:
            continue
        workshop.type(command)
