"""slimserve.yaml and the folder beside it: what is asked, what is refused, what goes."""

import io
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from slimserve.serving_config.check.inspection import inspect
from slimserve.serving_config.cli import main

from tests.unit.serving_config.rendered import add_certificates, add_version, tree, written

NEW = ["render", "--model", "vgg_16=models/vgg_16", "--for", "docker", "kubernetes"]


@pytest.fixture(autouse=True)
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working directory with models/vgg_16/1."""
    monkeypatch.chdir(tmp_path)
    add_version("vgg_16", 1)
    add_certificates()


def error(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().err.splitlines()[-1]


def test_a_new_deployment_needs_a_model_and_a_target(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["render", "--for", "docker"]) == 1
    assert error(capsys) == (
        "error: deploy/slimserve.yaml is not there: a new deployment needs --model NAME=DIR and --for docker or "
        "kubernetes"
    )


def test_a_second_target_comes_beside_the_first() -> None:
    main(["render", "--model", "vgg_16=models/vgg_16", "--for", "docker"])
    before = written("deploy")
    assert main(["render", "--for", "kubernetes", "--yes"]) == 0
    after = written("deploy")
    assert {name: after[name] for name in before if name != "slimserve.yaml"} == {
        name: text for name, text in before.items() if name != "slimserve.yaml"
    }
    assert tree("deploy/slimserve.yaml")["targets"] == ["docker", "kubernetes"]
    assert "kustomization.yaml" in after


def test_a_second_model_comes_beside_the_first() -> None:
    add_version("other", 4)
    main([*NEW, "--cpu", "4"])
    assert main(["render", "--model", "other=models/other", "--yes"]) == 0
    assert tree("deploy/slimserve.yaml")["models"] == {
        "vgg_16": {"folder": "../models/vgg_16", "versions": [1], "labels": {"stable": 1, "canary": 1}},
        "other": {"folder": "../models/other", "versions": [4], "labels": {"stable": 4, "canary": 4}},
    }
    assert tree("deploy/slimserve.yaml")["cpu"] == "4"


@pytest.mark.parametrize(
    ("options", "loss"),
    [
        (["--no-tls"], "TLS"),
        (["--tls-key", "key.pem", "--tls-cert", "cert.pem"], "the certificates that callers must show"),
        (["--replicas", "2"], "replicas 3 become 2"),
        (["--memory", "7Gi"], f"memory {14 * 2**30} become {7 * 2**30} bytes"),
        (["--cpu", "4"], "cpu 8 become 4"),
    ],
    ids=["TLS", "client certificates", "replicas", "memory", "cpu"],
)
def test_a_loss_is_refused_without_force(
    options: list[str], loss: str, capsys: pytest.CaptureFixture[str]
) -> None:
    tls = ["--tls-key", "key.pem", "--tls-cert", "cert.pem", "--client-ca", "ca.pem"]
    main([*NEW, *tls, "--replicas", "3", "--cpu", "8"])
    before = written("deploy")
    assert main(["render", *options, "--yes"]) == 1
    assert error(capsys).startswith("error: this would lose something: ")
    main(["render", *options, "--yes"])
    assert loss in error(capsys)
    assert written("deploy") == before
    assert main(["render", *options, "--force"]) == 0


def test_what_is_no_longer_wanted_goes() -> None:
    main([*NEW, "--claim", "--storage-class", "nfs"])
    assert "kubernetes/models-claim.yaml" in written("deploy")
    assert main(["render", "--no-claim", "--yes"]) == 0
    assert not {"kubernetes/models-claim.yaml", "kubernetes/models-loader.yaml"} & set(written("deploy"))


def test_an_edited_file_is_not_overwritten_without_force(capsys: pytest.CaptureFixture[str]) -> None:
    main(NEW)
    compose = Path("deploy/docker-compose.yml")
    compose.write_text(compose.read_text().replace("restart: unless-stopped", "restart: always"))
    assert main(["render", "--cpu", "4", "--yes"]) == 1
    assert "deploy/docker-compose.yml is not as it was rendered" in error(capsys)
    assert main(["render", "--replicas", "3", "--yes"]) == 1  # it would come back here too
    assert "restart: always" in compose.read_text()
    assert main(["render", "--cpu", "4", "--force"]) == 0
    assert "restart: always" not in compose.read_text()


def test_a_change_by_hand_of_the_state_is_rendered() -> None:
    main(NEW)
    state = Path("deploy/slimserve.yaml")
    state.write_text(state.read_text().replace("replicas: 2", "replicas: 5  # since May"))
    assert main(["render", "--yes"]) == 0
    assert tree("deploy/kubernetes/autoscaler.yaml")["spec"]["minReplicas"] == 5
    assert "replicas: 5  # since May" in state.read_text()


@pytest.mark.parametrize(("answer", "written_then"), [("y\n", True), ("\n", False), ("n\n", False)])
def test_the_difference_is_shown_and_asked_about(
    answer: str, written_then: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    main(NEW)
    capsys.readouterr()
    terminal = io.StringIO(answer)
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdin", terminal)
    assert main(["render", "--replicas", "3"]) == (0 if written_then else 1)
    said = capsys.readouterr()
    assert "-replicas: 2\n+replicas: 3\n" in said.out
    assert "write this? [y/N]" in said.err
    assert ("replicas: 3" in Path("deploy/slimserve.yaml").read_text()) is written_then


def test_nobody_to_ask_means_no(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    main(NEW)
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    assert main(["render", "--replicas", "3"]) == 1
    assert "--yes writes the difference" in error(capsys)


def test_a_key_is_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    main(NEW)
    main(["render", "--tls-key", "key.pem", "--tls-cert", "cert.pem", "--yes"])
    out = capsys.readouterr().out
    assert "tls/ssl.config changes (not shown: it holds a key)" in out
    assert "PRIVATE KEY" not in out


def broken(old: str, new: str) -> Callable[[], None]:
    def harm() -> None:
        state = Path("deploy/slimserve.yaml")
        text = state.read_text()
        assert old in text
        state.write_text(text.replace(old, new))

    return harm


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (
            broken("replicas: 2", "replicas: many"),
            "slimserve.yaml:14: replicas is 'many', give it a whole number",
        ),
        (
            broken("replicas: 2", "replicas: 2\nreplica: 2"),
            "slimserve.yaml:15: the file has no field replica, did you mean replicas?",
        ),
        (broken("canary: 1", "canary: 7"), "the label canary of vgg_16 is on version 7, which is not loaded"),
        (broken("targets: [", "targets: {"), "slimserve.yaml:6: not valid YAML"),
    ],
    ids=["type", "unknown", "label", "no YAML"],
)
def test_a_state_that_means_nothing_is_refused_with_its_line(
    harm: Callable[[], None], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    main(NEW)
    harm()
    assert main(["render", "--cpu", "3", "--yes"]) == 1
    assert words in error(capsys)
    assert any(words in str(finding) for finding in inspect([Path("deploy")], None, []).findings)


def test_an_image_with_a_fixed_tag_is_not_taken_for_other_versions(
    capsys: pytest.CaptureFixture[str],
) -> None:
    add_version("vgg_16", 2)
    main([*NEW, "--versions", "1", "--built-image", "registry.example:5000/vgg-16:may"])
    assert main(["canary", "2", "--yes", "--no-server"]) == 1
    assert "name the image that holds the new ones with --built-image" in error(capsys)
    assert (
        main(["render", "--versions", "1,2", "--built-image", "registry.example:5000/vgg-16:june", "--yes"])
        == 0
    )


def test_json_has_the_difference(capsys: pytest.CaptureFixture[str]) -> None:
    main(NEW)
    capsys.readouterr()
    main(["render", "--replicas", "3", "--yes", "--json"])
    assert "+replicas: 3" in json.loads(capsys.readouterr().out)["difference"]


@pytest.mark.parametrize(
    ("name", "old", "message"),
    [
        ("slimserve.yaml", "replicas: ", "it was changed, and the other files were not made anew"),
        ("docker-compose.yml", "restart: unless-stopped", "it is not as it was rendered"),
        ("kubernetes/service.yaml", "port: 8501", "it is not as it was rendered"),
    ],
)
def test_check_finds_a_folder_that_is_not_what_is_wanted(name: str, old: str, message: str) -> None:
    main(NEW)
    path = Path("deploy") / name
    assert inspect([Path("deploy")], None, []).findings == []
    new = f"{old}1" if path.suffix == ".yaml" and old.endswith(" ") else f"{old}  # ours"
    path.write_text(path.read_text().replace(old, new))
    (finding,) = inspect([Path("deploy")], None, []).findings
    assert (finding.path, finding.message) == (path, message)


def test_check_finds_a_file_that_is_gone() -> None:
    main(NEW)
    Path("deploy/Dockerfile").unlink()
    (finding,) = inspect([Path("deploy")], None, []).findings
    assert (finding.path.name, finding.message) == ("Dockerfile", "it was rendered, and is gone")


def test_pods_copy_the_models_from_an_object_store() -> None:
    assert main([*NEW, "--copy-from", "s3://bucket/models"]) == 0
    assert inspect([Path("deploy")], None, []).findings == []
    pod = tree("deploy/kubernetes/deployment.yaml")["spec"]["template"]["spec"]
    (copy,), (serving,) = pod["initContainers"], pod["containers"]
    assert copy["args"][2:] == [
        ":s3,env_auth=true:bucket/models/vgg_16",
        "/models/vgg_16",
        "--include=/1/**",
    ]
    assert serving["image"] == "tensorflow/serving:2.20.0"
    assert {"name": "models", "emptyDir": {"sizeLimit": "2Gi"}} in pod["volumes"]
    policy = tree("deploy/kubernetes/network-policy.yaml")["spec"]
    assert {port["port"] for port in policy["egress"][0]["ports"]} == {443, 53}


@pytest.mark.parametrize(
    ("store", "servers"),
    [
        ("s3", {("169.254.169.254/32", 80), ("169.254.170.23/32", 80)}),
        ("gs", {("169.254.169.254/32", 80), ("169.254.169.252/32", 988)}),
        ("az", {("169.254.169.254/32", 80)}),
    ],
)
def test_pods_reach_what_gives_the_credentials_of_their_identity(
    store: str, servers: set[tuple[str, int]]
) -> None:
    assert main([*NEW, "--copy-from", f"{store}://bucket/models"]) == 0
    _, *egress = tree("deploy/kubernetes/network-policy.yaml")["spec"]["egress"]
    assert {(rule["to"][0]["ipBlock"]["cidr"], rule["ports"][0]["port"]) for rule in egress} == servers


def restricted(pod: dict) -> list[str]:
    """What of the restricted pod security standard a pod departs from."""
    context = pod["securityContext"]
    faults = [] if context["runAsNonRoot"] and context["runAsUser"] else ["root"]
    faults += [] if context["seccompProfile"]["type"] == "RuntimeDefault" else ["seccomp"]
    for container in [*pod.get("initContainers", []), *pod["containers"]]:
        own = container["securityContext"]
        faults += [] if own["allowPrivilegeEscalation"] is False else ["escalation"]
        faults += [] if own["capabilities"] == {"drop": ["ALL"]} else ["capabilities"]
    known = {"configMap", "emptyDir", "persistentVolumeClaim", "secret"}
    return faults + [volume["name"] for volume in pod["volumes"] if not known & set(volume)]


@pytest.mark.parametrize("options", [[], ["--claim"], ["--copy-from", "gs://bucket/models"]], ids=" ".join)
def test_every_pod_fits_the_restricted_standard(options: list[str]) -> None:
    main([*NEW, *options])
    trees = [tree(str(path)) for path in Path("deploy/kubernetes").glob("*.yaml")]
    pods = [
        t["spec"] if t["kind"] == "Pod" else t["spec"]["template"]["spec"]
        for t in trees
        if t["kind"] in ("Pod", "Deployment")
    ]
    assert len(pods) == (2 if "--claim" in options else 1)
    assert [restricted(pod) for pod in pods] == [[] for _ in pods]


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="no kubectl on PATH")
def test_kubectl_builds_what_is_rendered_with_a_patch_of_ones_own() -> None:
    main([*NEW, "--tls-key", "key.pem", "--tls-cert", "cert.pem", "--monitoring"])
    Path("deploy/patches").mkdir()
    patch = "{apiVersion: apps/v1, kind: Deployment, metadata: {name: serving}, spec: {paused: true}}\n"
    Path("deploy/patches/ours.yaml").write_text(patch)
    main(["render", "--yes"])
    built = subprocess.run(["kubectl", "kustomize", "deploy"], capture_output=True, text=True, timeout=60)
    assert built.returncode == 0, built.stderr
    assert "  paused: true\n" in built.stdout
    kinds = set(re.findall(r"^kind: (\w+)", built.stdout, re.M))
    assert {"ConfigMap", "Secret", "Deployment", "PodMonitor", "PrometheusRule"} <= kinds
    assert "PersistentVolumeClaim" not in kinds
