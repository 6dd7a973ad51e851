"""Labels that a kustomization adds to its objects, their pods and their selectors, as `kubectl kustomize` does."""

from pathlib import Path

import pytest
from slimserve.serving_config.check.inspection import inspect

from tests.unit.serving_config.test_check_kubernetes_cases import CONFIG_MAP, DEPLOYMENT

BARE = DEPLOYMENT.replace("  selector: {matchLabels: {app: a}}\n", "")
BARE = BARE.replace("    metadata: {labels: {app: a}}\n", "").replace(
    "template:\n", "template:\n    metadata: {}\n"
)
SERVICE = (
    "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {selector: {app: a}, ports: [{port: 8501}]}\n"
)
COMMON = "commonLabels: {app: a}\n"
PAIRS = "labels: [{pairs: {app: a}, includeSelectors: true}]\n"
OF_OBJECTS = "labels: [{pairs: {app: a}}]\n"
NO_PODS = "the Service selects no deployment's pods"


def messages(folder: Path, **files: str) -> list[str]:
    """The faults of files by their names, in which `__` stands for a dot and `_in_` for a slash."""
    for name, text in files.items():
        path = folder / name.replace("__", ".").replace("_in_", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return [finding.message for finding in inspect([folder], None, []).findings]


def kustomization(labels: str, *resources: str) -> str:
    return f"resources: [{', '.join(resources)}]\n{labels}"


@pytest.mark.parametrize("labels", [COMMON, PAIRS])
def test_selectors_and_pods_get_the_labels(labels: str, tmp_path: Path) -> None:
    text = kustomization(labels, "a.yaml", "b.yaml", "c.yaml")
    files = {"a__yaml": BARE, "b__yaml": SERVICE, "c__yaml": CONFIG_MAP}
    assert messages(tmp_path, **files, kustomization__yaml=text) == []


@pytest.mark.parametrize("labels", ["", OF_OBJECTS])
def test_labels_of_objects_alone_are_no_selectors(labels: str, tmp_path: Path) -> None:
    text = kustomization(labels, "a.yaml", "c.yaml")
    files = {"a__yaml": BARE, "c__yaml": CONFIG_MAP}
    assert messages(tmp_path, **files, kustomization__yaml=text) == ["spec lacks selector"]


def test_an_object_that_is_no_resource_gets_none(tmp_path: Path) -> None:
    files = {"a__yaml": BARE, "c__yaml": CONFIG_MAP}
    found = messages(tmp_path, **files, kustomization__yaml=kustomization(COMMON, "c.yaml"))
    assert found == ["spec lacks selector"]


def test_the_objects_of_a_base_get_them_too(tmp_path: Path) -> None:
    files = {"base_in_a__yaml": BARE, "base_in_c__yaml": CONFIG_MAP}
    files["base_in_kustomization__yaml"] = kustomization("", "a.yaml", "c.yaml")
    files["top_in_kustomization__yaml"] = kustomization(COMMON, "../base", "b.yaml")
    assert messages(tmp_path, **files, top_in_b__yaml=SERVICE) == []


def test_overlays_that_disagree_give_none(tmp_path: Path) -> None:
    service = SERVICE.replace("{app: a}", "{app: a, stage: one}")
    files = {"base_in_a__yaml": DEPLOYMENT, "base_in_c__yaml": CONFIG_MAP}
    files["base_in_kustomization__yaml"] = kustomization("", "a.yaml", "c.yaml")
    for stage in ("one", "two"):
        labels = f"commonLabels: {{stage: {stage}}}\n"
        files[f"{stage}_in_kustomization__yaml"] = kustomization(labels, "../base")
    assert messages(tmp_path, **files) == []
    assert messages(tmp_path, base_in_b__yaml=service) == [NO_PODS]


COMPONENT = "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\n"
TEAM = "commonLabels: {team: b}\n"
SELECTS_TEAM = SERVICE.replace("{app: a}", "{app: a, team: b}")


@pytest.mark.parametrize("labels", [TEAM, "labels: [{pairs: {team: b}, includeSelectors: true}]\n"])
def test_the_labels_of_a_component_go_to_the_objects_of_who_takes_it(labels: str, tmp_path: Path) -> None:
    files = {"top_in_a__yaml": DEPLOYMENT, "top_in_b__yaml": SELECTS_TEAM, "top_in_c__yaml": CONFIG_MAP}
    files["labels_in_kustomization__yaml"] = COMPONENT + labels
    files["top_in_kustomization__yaml"] = kustomization("", "a.yaml", "b.yaml", "c.yaml")
    assert messages(tmp_path, **files) == [NO_PODS]
    files["top_in_kustomization__yaml"] += "components: [../labels]\n"
    assert messages(tmp_path, **files) == []


def test_the_objects_of_a_component_get_the_labels_of_who_takes_it(tmp_path: Path) -> None:
    files = {"more_in_a__yaml": BARE, "top_in_b__yaml": SERVICE, "top_in_c__yaml": CONFIG_MAP}
    files["more_in_kustomization__yaml"] = COMPONENT + kustomization("", "a.yaml")
    files["top_in_kustomization__yaml"] = (
        kustomization(COMMON, "b.yaml", "c.yaml") + "components: [../more]\n"
    )
    assert messages(tmp_path, **files) == []
