"""Where `render` puts the server's private key, and who may read it."""

import os
from pathlib import Path

import pytest
import trustme
from slimserve.serving_config.cli import main


@pytest.fixture
def rendered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The command that writes a deployment with TLS into deploy/."""
    monkeypatch.chdir(tmp_path)
    graph = tmp_path / "models/vgg_16/1/saved_model.pb"
    graph.parent.mkdir(parents=True)
    graph.write_bytes(b"\x12\x00")
    certificate = trustme.CA().issue_cert("serving.example")
    certificate.private_key_pem.write_to_path("key.pem")
    certificate.cert_chain_pems[0].write_to_path("cert.pem")
    tls = ["--tls-key", "key.pem", "--tls-cert", "cert.pem"]
    return ["render", "--model", "vgg_16=models/vgg_16", *tls, "--for", "docker", "--out", "deploy"]


def mode(path: str) -> int:
    return Path(path).stat().st_mode & 0o777


def test_only_its_owner_may_enter_the_keys_folder(rendered: list[str]) -> None:
    main(rendered)
    assert mode("deploy/tls") == 0o700
    assert Path("deploy/tls/.gitignore").read_text() == "*\n"


def test_a_folder_that_was_open_is_closed_before_the_key_comes(
    rendered: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("deploy/tls").mkdir(parents=True, mode=0o755)
    modes = []
    move = os.replace

    def watched(source: Path, target: Path) -> None:
        if Path(target).name == "ssl.config":
            modes.append(mode("deploy/tls"))
        move(source, target)

    monkeypatch.setattr(os, "replace", watched)
    assert main([*rendered, "--force"]) == 0
    assert modes == [0o700]


def test_the_servers_own_user_can_read_the_key_in_the_container(rendered: list[str]) -> None:
    # It is mounted as a file: the folder's mode does not count there, the file's does, and the user is another.
    Path("deploy/tls").mkdir(parents=True)
    main([*rendered, "--force"])
    assert mode("deploy/tls/ssl.config") == 0o644
