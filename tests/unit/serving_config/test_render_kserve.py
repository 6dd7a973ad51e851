"""An InferenceService of KServe in the place of the Deployment: the same pods, replicas and updates."""

import shutil
import subprocess
from pathlib import Path

import pytest
from slimserve.serving_config.check.inspection import inspect
from slimserve.serving_config.cli import main

from tests.unit.serving_config.rendered import add_certificates, add_version, tree, written

RENDER = ["render", "--model", "vgg_16=models/vgg_16", "--for", "kubernetes", "--replicas", "3"]
TLS = ["--tls-key", "key.pem", "--tls-cert", "cert.pem"]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    add_version("vgg_16", 1)
    add_certificates()


def test_its_pods_are_those_of_the_deployment() -> None:
    assert main([*RENDER, *TLS, "--out", "plain"]) == 0
    assert main([*RENDER, *TLS, "--out", "kserve", "--kserve"]) == 0
    deployment = tree("plain/kubernetes/deployment.yaml")["spec"]
    service = tree("kserve/kubernetes/inference-service.yaml")
    predictor = service["spec"]["predictor"]
    pod = deployment["template"]["spec"]
    pod["containers"][0]["name"] = "kserve-container"
    assert {key: predictor[key] for key in pod} == pod
    assert predictor["deploymentStrategy"] == deployment["strategy"]
    assert (predictor["minReplicas"], predictor["maxReplicas"], predictor["scaleTarget"]) == (3, 9, 70)
    selector = tree("kserve/kubernetes/service.yaml")["spec"]["selector"]
    assert selector.items() <= service["metadata"]["labels"].items()


def test_it_takes_the_place_of_the_deployment_and_gives_it_back() -> None:
    assert main(RENDER) == 0
    before = written("deploy")
    assert main(["render", "--kserve", "--yes"]) == 0
    gone = {"kubernetes/deployment.yaml", "kubernetes/autoscaler.yaml"}
    new = {"kubernetes/inference-service.yaml", "kubernetes/references.yaml"}
    assert set(written("deploy")) == set(before) - gone | new
    assert main(["render", "--no-kserve", "--yes"]) == 0
    assert written("deploy") == before


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="there is no kubectl here, which builds it")
def test_kustomize_finds_the_names_in_it_that_it_gives_a_hash_to() -> None:
    assert main([*RENDER, *TLS, "--kserve"]) == 0
    built = subprocess.run(["kubectl", "kustomize", "deploy"], capture_output=True, text=True, check=True)
    Path("built.yaml").write_text(built.stdout.partition("kind: InferenceService")[2])
    volumes = {volume["name"]: volume for volume in tree("built.yaml")["spec"]["predictor"]["volumes"]}
    for name in (volumes["config"]["configMap"]["name"], volumes["tls"]["secret"]["secretName"]):
        assert f"  name: {name}\n" in built.stdout
        assert name.rpartition("-")[0] in ("serving-config", "serving-tls")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('["sleep", "75"]', '["sleep", "120"]', "preStop sleeps 120 s and the pod is killed after 90 s"),
        (
            "name: serving-config",
            "name: serving-conf",
            "the volume config wants serving-conf, which no kustomization",
        ),
        ("runAsUser: 65532", "runAsUser: 0", "the server runs as root"),
        ("containerPort: 8500", "containerPort: 8600", "containerPort 8600"),
        (
            "--num_load_threads",
            "--num_lod_threads",
            "tensorflow_model_server 2.20.0 has no flag --num_lod_threads",
        ),
        ("livenessProbe:", "livelinessProbe:", "spec.predictor.containers.0 has no field livelinessProbe"),
        ("imagePullPolicy: IfNotPresent", "imagePullPolicy: Sometimes", "imagePullPolicy is Sometimes"),
        (
            "    app.kubernetes.io/name: serving\n  annotations",
            "    app: serving\n  annotations",
            "selects no deployment",
        ),
    ],
)
def test_check_looks_into_its_pods(old: str, new: str, message: str) -> None:
    assert main([*RENDER, "--out", "kserve", "--kserve"]) == 0
    for name in ("slimserve.yaml", ".rendered.json"):  # else that it was changed is a fault as well
        (Path("kserve") / name).unlink()
    path = Path("kserve/kubernetes/inference-service.yaml")
    assert inspect([Path("kserve")], None, []).findings == []
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    found = [finding.message for finding in inspect([Path("kserve")], None, []).findings]
    assert any(message in each for each in found), found
