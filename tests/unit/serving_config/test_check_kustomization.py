"""Kustomizations with patches and with objects of kinds that Kubernetes itself does not know."""

from pathlib import Path

import pytest
from slimserve.serving_config.cli import main

from tests.unit.serving_config.checked_deployment import copy_deployment, lines, replace

PATCH = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: serving}
spec: {template: {spec: {nodeSelector: {disk: ssd}}}}
"""
OPERATIONS = """\
- op: add
  path: /spec/template/spec/nodeSelector
  value: {disk: ssd}
"""
MONITOR = """\
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata: {name: serving}
spec: {endpoints: [{port: rest}]}
"""


@pytest.fixture
def deployment(tmp_path: Path) -> Path:
    return copy_deployment(tmp_path)


def extend(deployment: Path, text: str) -> None:
    path = deployment / "kustomization.yaml"
    path.write_text(f"{path.read_text()}{text}\n")


@pytest.mark.parametrize(
    ("entry", "patch"),
    [
        ("patches: [{path: patch.yaml}]", PATCH),
        ("patchesStrategicMerge: [patch.yaml]", PATCH),
        ("patches: [{path: patch.yaml, target: {kind: Deployment}}]", OPERATIONS),
        ("patchesJson6902: [{path: patch.yaml, target: {kind: Deployment, name: serving}}]", OPERATIONS),
    ],
)
def test_a_patch_is_not_held_to_the_schema_of_an_object(entry: str, patch: str, deployment: Path) -> None:
    extend(deployment, entry)
    (deployment / "patch.yaml").write_text(patch)
    assert lines(deployment) == []


def test_a_patch_does_not_stand_for_the_deployment(deployment: Path) -> None:
    extend(deployment, "patches: [{path: patch.yaml}]")
    (deployment / "patch.yaml").write_text(PATCH)
    replace(deployment / "kubernetes/service.yaml", "targetPort: grpc", "targetPort: http")
    assert [line.partition(",")[0] for line in lines(deployment)] == [
        "kubernetes/service.yaml:14: targetPort http is no port of the pods"
    ]


def test_a_patch_within_the_kustomization_is_no_file(deployment: Path) -> None:
    text = "".join(f"    {line}\n" for line in PATCH.splitlines())
    extend(deployment, f"patchesStrategicMerge:\n  - |\n{text}")
    assert lines(deployment) == []


def test_a_patch_that_is_not_there_is_a_fault(deployment: Path) -> None:
    extend(deployment, "patches:\n  - path: patch.yaml")
    assert "the patch patch.yaml is not there" in lines(deployment)[0]


def test_a_patch_whose_path_is_a_number_is_a_fault(deployment: Path) -> None:
    extend(deployment, "patches:\n  - path: 5")
    assert "path is no name of a file" in lines(deployment)[0]


def test_a_custom_resource_is_a_note(deployment: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (deployment / "kubernetes/monitor.yaml").write_text(MONITOR)
    extend(deployment, "")
    assert main(["check", str(deployment), "--models-root", str(deployment.parent / "models")]) == 0
    assert "monitor.yaml:2: ServiceMonitor was not checked" in capsys.readouterr().err


def test_a_deployment_that_is_no_resource_is_missed(deployment: Path) -> None:
    replace(deployment / "kustomization.yaml", "  - kubernetes/deployment.yaml\n", "")
    (found,) = lines(deployment)
    assert found.startswith("kustomization.yaml:8: ")
    assert "deployment.yaml is no resource, and the Service serving selects its pods" in found


def test_an_overlay_may_name_what_its_base_has(deployment: Path) -> None:
    overlay = deployment / "overlays/prod/kustomization.yaml"
    overlay.parent.mkdir(parents=True)
    overlay.write_text(
        "resources: [../..]\nreplicas: [{name: serving, count: 5}]\nimages: [{name: serving-models, newTag: '2'}]\n"
    )
    assert lines(deployment) == []
    replace(overlay, "name: serving,", "name: serve,")
    (found,) = lines(deployment)
    assert "nothing of the name serve has replicas, did you mean serving?" in found
