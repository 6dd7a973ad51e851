"""Objects as Helm and people write them: nulls, dates without quotes, names of files that kustomize knows."""

import json

import pytest

from tests.unit.serving_config.field_cases import check, messages
from tests.unit.serving_config.test_check_kubernetes_cases import CONFIG_MAP, DEPLOYMENT, SERVICE

pytestmark = pytest.mark.usefixtures("empty_folder")


@pytest.mark.parametrize(
    "null",
    [
        "port: 8501}, periodSeconds: null, initialDelaySeconds: , failureThreshold: ~}",
        "port: 8501, scheme: null, httpHeaders: null}, grpc: null}",
    ],
)
def test_a_field_that_is_null_is_not_there(null: str) -> None:
    deployment = DEPLOYMENT.replace("port: 8501}}", null)
    assert deployment != DEPLOYMENT
    assert messages(a__yaml=deployment) == messages(a__yaml=DEPLOYMENT) == []


@pytest.mark.parametrize("field", ["terminationGracePeriodSeconds", "shareProcessNamespace"])
def test_a_field_that_is_null_is_missed_where_it_is_needed(field: str) -> None:
    lines = [f"      {field}: null" if field in line else line for line in DEPLOYMENT.splitlines()]
    (found,) = messages(a__yaml="\n".join(lines))
    assert found in (
        "preStop sleeps 60 s and the pod is killed after 30 s",
        "as process 1 the server ignores SIGTERM",
    )


@pytest.mark.parametrize("value", ["2024-05-01", "2024-05-01T10:00:00Z", "'2024-05-01'"])
def test_a_date_in_an_annotation_is_a_text(value: str) -> None:
    assert (
        messages(a__yaml=SERVICE.replace("{name: serving}", f"{{name: s, annotations: {{at: {value}}}}}"))
        == []
    )


def test_a_number_in_an_annotation_is_none() -> None:
    text = SERVICE.replace("{name: serving}", "{name: s, annotations: {at: 5}}")
    assert messages(a__yaml=text) == ["metadata.annotations.at is 5"]


def test_a_kustomization_may_have_no_suffix() -> None:
    assert messages(Kustomization="resources: [a.yaml]\n") == ["the resource a.yaml is not there"]


@pytest.mark.parametrize(
    ("tag", "faults"),
    [("2.20", ["newTag is 2.2, a number"]), ("2", ["newTag is 2, a number"]), ("'2.20'", [])],
)
def test_a_tag_of_a_kustomization_is_a_text(tag: str, faults: list[str]) -> None:
    assert messages(kustomization__yaml=f"images: [{{name: a, newTag: {tag}}}]\n") == faults


def test_an_object_that_two_resources_have_is_a_fault() -> None:
    files = {
        "a__yaml": SERVICE,
        "b__yaml": SERVICE,
        "kustomization__yaml": "resources:\n- a.yaml\n- b.yaml\n",
    }
    (found,) = check(**files).findings
    assert (found.line, found.message) == (
        3,
        "Service serving is there twice, in deploy/a.yaml and in deploy/b.yaml",
    )


def test_objects_of_one_name_in_two_namespaces_are_two() -> None:
    other = SERVICE.replace("{name: serving}", "{name: serving, namespace: b}")
    files = {"a__yaml": SERVICE, "b__yaml": other, "kustomization__yaml": "resources: [a.yaml, b.yaml]\n"}
    assert messages(**files) == []


def test_manifests_in_json_are_read_and_other_json_is_not() -> None:
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}}
    service["spec"] = {"selector": {"app": "a"}, "ports": [{"port": 8500, "targetPot": 8500}]}
    files = {"a__json": json.dumps(service, indent="\t"), "package__json": '{"name": "a", "kind": "b"}'}
    assert messages(**files) == ["spec.ports.0 has no field targetPot"]
    assert [path.name for path in check(**files).files] == ["a.json"]


@pytest.mark.parametrize(
    ("value", "faults"),
    [
        ("yes", 1),
        ("Off", 1),
        ("NO", 1),
        ("y", 1),
        ("N", 1),
        ("'yes'", 0),
        ("'n'", 0),
        ('"off"', 0),
        ("yes, please", 0),
        ("'yes, please'", 0),
    ],
)
def test_a_word_that_kubectl_reads_as_a_truth_value_is_no_text(value: str, faults: int) -> None:
    text = DEPLOYMENT.replace(
        "metadata: {name: a}", f"metadata:\n  name: a\n  annotations:\n    note: {value}", 1
    )
    found = messages(a__yaml=text)
    assert [message.partition(" is ")[0] for message in found] == ["metadata.annotations.note"] * faults


def test_such_a_word_is_a_truth_value_where_one_is_wanted() -> None:
    assert (
        messages(a__yaml=DEPLOYMENT.replace("shareProcessNamespace: true", "shareProcessNamespace: yes"))
        == []
    )


@pytest.mark.parametrize(
    ("mode", "faults"),
    [
        *((octal, []) for octal in ("0644", "0777", "0o644", "420", "0")),
        *((decimal, [f"defaultMode is {int(decimal)}"]) for decimal in ("644", "777", "0888", "-1")),
    ],
)
def test_rights_of_files_are_octal_where_a_0_stands_before_them(mode: str, faults: list[str]) -> None:
    deployment = DEPLOYMENT.replace("name: files", f"name: files, defaultMode: {mode}")
    assert messages(a__yaml=deployment, b__yaml=CONFIG_MAP) == faults


def test_the_rights_of_one_file_are_held_to_the_same_bounds() -> None:
    item = "name: files, items: [{key: models.config, path: models.config, mode: 644}]"
    assert messages(a__yaml=DEPLOYMENT.replace("name: files", item), b__yaml=CONFIG_MAP) == ["mode is 644"]


@pytest.mark.parametrize(
    ("version", "kind", "faults"),
    [
        ("skaffold/v4beta6", "Config", []),
        ("app/v1", "Deployment", ["Kubernetes 1.32 has no Deployment in app/v1"]),
        ("apps/v1", "Deploymnt", ["Kubernetes 1.32 has no Deploymnt in apps/v1"]),
        ("extensions/v1beta1", "Deployment", ["Kubernetes 1.32 has no Deployment in extensions/v1beta1"]),
    ],
)
def test_what_a_tool_calls_its_own_kind_is_no_misspelt_object(
    version: str, kind: str, faults: list[str]
) -> None:
    assert messages(a__yaml=f"apiVersion: {version}\nkind: {kind}\nbuild: {{}}\n") == faults
