"""README's operator: renders once, and a month later rolls a version out and back. Nothing else changes."""

from pathlib import Path

import pytest
from slimserve.serving_config.check.inspection import inspect
from slimserve.serving_config.cli import main

from tests.unit.serving_config.rendered import add_certificates, add_version, written

RENDER = ["render", "--model", "vgg_16=models/vgg_16", "--for", "docker", "kubernetes"]
TLS = ["--tls-key", "key.pem", "--tls-cert", "cert.pem"]
LATER = ["--yes", "--no-server"]


@pytest.fixture(autouse=True)
def deployment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """deploy/, for both targets with TLS, 8 CPUs and 3 replicas; version 2 came after it."""
    monkeypatch.chdir(tmp_path)
    add_version("vgg_16", 1)
    add_certificates()
    assert main([*RENDER, *TLS, "--cpu", "8", "--replicas", "3"]) == 0
    add_version("vgg_16", 2)


def changed(*command: str) -> set[tuple[str, str]]:
    """The lines that a command takes away and brings, each with its file."""
    before = written("deploy")
    assert main([*command]) == 0
    after = written("deploy")
    assert set(before) == set(after)
    assert inspect([Path("deploy")], None, []).findings == []
    lines = {name: (before[name].splitlines(), after[name].splitlines()) for name in after}
    return {
        (name, f"{sign} {' '.join(line.split())}")
        for name, (old, new) in lines.items()
        for sign, ours, theirs in (("-", old, new), ("+", new, old))
        for line in ours
        if line not in theirs
    }


BUILD = "# docker build --tag serving-models:{} --build-context vgg_16=models/vgg_16 deploy"
RUN = "# docker run --init --publish 127.0.0.1:8500:8500 --memory 14g --cpus 8 serving-models:{}"
KIND = "# `kind load docker-image serving-models:{}`."
CANARY = {
    ("slimserve.yaml", "- versions: [1]"),
    ("slimserve.yaml", "+ versions: [1, 2]"),
    ("slimserve.yaml", "- labels: {stable: 1, canary: 1}"),
    ("slimserve.yaml", "+ labels: {stable: 1, canary: 2}"),
    ("models.config", "+ versions: 2"),
    ("models.config", '- version_labels { key: "canary" value: 1 }'),
    ("models.config", '+ version_labels { key: "canary" value: 2 }'),
    ("kubernetes/deployment.yaml", "- image: serving-models:1"),
    ("kubernetes/deployment.yaml", "+ image: serving-models:1-2"),
    ("Dockerfile", "+ COPY --from=vgg_16 --chown=65532:65532 2 /models/vgg_16/2"),
    *(
        ("Dockerfile", f"{sign} {line.format(tag)}")
        for sign, tag in (("-", "1"), ("+", "1-2"))
        for line in (BUILD, RUN)
    ),
    *(("kustomization.yaml", f"{sign} {KIND.format(tag)}") for sign, tag in (("-", "1"), ("+", "1-2"))),
}


def test_a_version_is_rolled_out_and_back_and_nothing_else_changes() -> None:
    assert changed("canary", "2", *LATER) == CANARY
    assert changed("promote", "2", *LATER) == {
        ("slimserve.yaml", "- labels: {stable: 1, canary: 2}"),
        ("slimserve.yaml", "+ labels: {stable: 2, canary: 2, previous: 1}"),
        ("models.config", '- version_labels { key: "stable" value: 1 }'),
        ("models.config", '+ version_labels { key: "stable" value: 2 }'),
        ("models.config", '+ version_labels { key: "previous" value: 1 }'),
    }
    assert changed("rollback", *LATER) == {
        ("slimserve.yaml", "- labels: {stable: 2, canary: 2, previous: 1}"),
        ("slimserve.yaml", "+ labels: {stable: 1, canary: 1, previous: 2}"),
        *(
            ("models.config", f'{sign} version_labels {{ key: "{label}" value: {version} }}')
            for sign, versions in (("-", (2, 2, 1)), ("+", (1, 1, 2)))
            for label, version in zip(("stable", "canary", "previous"), versions, strict=True)
        ),
    }


def test_a_size_changes_and_nothing_else() -> None:
    before = Path("deploy/docker-compose.yml").stat()
    names = {name for name, _ in changed("render", "--replicas", "4", "--yes")}
    assert names == {"slimserve.yaml", "kubernetes/autoscaler.yaml"}
    after = Path("deploy/docker-compose.yml").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)  # not even written again


def test_what_the_operator_wrote_by_hand_stays() -> None:
    state, config = Path("deploy/slimserve.yaml"), Path("deploy/models.config")
    state.write_text(state.read_text().replace("replicas: 3", "replicas: 3  # agreed with finance"))
    config.write_text(config.read_text().replace("  config {", "  # Sold as product A.\n  config {"))
    Path("deploy/docker-compose.override.yml").write_text("services: {}\n")
    Path("deploy/patches").mkdir()
    Path("deploy/patches/nodes.yaml").write_text(PATCH)
    assert main(["render", "--yes"]) == 0
    assert main(["canary", "2", *LATER]) == 0
    assert "replicas: 3  # agreed with finance" in state.read_text()
    assert "  # Sold as product A.\n  config {" in config.read_text()
    assert Path("deploy/patches/nodes.yaml").read_text() == PATCH
    assert "patches:\n  - path: patches/nodes.yaml\n" in Path("deploy/kustomization.yaml").read_text()


PATCH = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: serving
spec:
  template:
    spec:
      nodeSelector:
        disk: fast
"""


def test_the_override_file_is_in_the_command_that_follows(capsys: pytest.CaptureFixture[str]) -> None:
    Path("deploy/docker-compose.override.yml").write_text("services: {}\n")
    main(["render", "--cpu", "9", "--yes"])
    following = "--file deploy/docker-compose.yml --file deploy/docker-compose.override.yml up"
    assert following in capsys.readouterr().out


def test_the_certificates_need_not_be_there_a_month_later(capsys: pytest.CaptureFixture[str]) -> None:
    before = Path("deploy/tls/ssl.config").read_text()
    Path("key.pem").unlink()
    assert changed("canary", "2", *LATER) == CANARY
    assert Path("deploy/tls/ssl.config").read_text() == before
    assert "cannot read key.pem: No such file or directory: deploy/tls/ssl.config stays as it is" in (
        capsys.readouterr().err
    )


def test_a_version_that_is_not_on_disk_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    before = written("deploy")
    assert main(["canary", "3", *LATER]) == 1
    assert capsys.readouterr().err == "error: models/vgg_16 has no version 3: export it first\n"
    assert written("deploy") == before


@pytest.mark.parametrize(("answer", "code"), [("true", 0), ('test "$VERSION" = 2', 0), ("exit 3", 1)])
def test_a_gate_decides_on_a_promotion(answer: str, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    before = written("deploy")
    assert main(["promote", "2", "--if", answer, *LATER]) == code
    assert (written("deploy") == before) is bool(code)
    if code:
        assert (
            capsys.readouterr().err == "error: `exit 3` ended with exit status 3: nothing has been changed\n"
        )


def test_kubernetes_alone_needs_no_server_and_says_what_follows(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*RENDER[:-2], "kubernetes", "--versions", "1", "--out", "cluster"]) == 0
    capsys.readouterr()
    assert main(["canary", "2", "--deployment", "cluster", "--yes"]) == 0
    said = capsys.readouterr().out
    assert "vgg_16 canary: version 2 (was 1)" in said
    assert said.splitlines()[-2:] == [
        "next: docker build --tag serving-models:1-2 --build-context vgg_16=models/vgg_16 cluster",
        "next: kubectl apply --kustomize cluster",
    ]


def test_containers_that_hold_their_models_are_built_anew(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*RENDER[:-1], "--baked", "--versions", "1", "--out", "baked"]) == 0
    capsys.readouterr()
    assert main(["canary", "2", "--deployment", "baked", "--yes"]) == 0
    assert capsys.readouterr().out.splitlines()[-2:] == [
        "next: docker build --tag serving-models:1-2 --build-context vgg_16=models/vgg_16 baked",
        "next: docker compose --file baked/docker-compose.yml up --detach --wait",
    ]
