"""The formats of `check`, and the versions of Kubernetes that it knows."""

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from slimserve.serving_config.check.deployments.kubernetes import VERSIONS
from slimserve.serving_config.check.inspection import inspect
from slimserve.serving_config.cli import main

from tests.unit.serving_config.rendered import add_certificates, add_version

RENDER = ["render", "--model", "vgg_16=models/vgg_16", "--for", "docker", "kubernetes"]


@pytest.fixture(autouse=True)
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working directory with a fault on line 2 of one file, a note about another, and a sound third."""
    monkeypatch.chdir(tmp_path)
    add_version("vgg_16", 1)
    add_certificates()
    Path("files").mkdir()
    Path("files/batching.config").write_text("# ours\nmax_batch_size { value: none }\n")
    Path("files/monitoring.config").write_text('prometheus_config { enable: true path: "/metrics" }\n')
    Path("files/other.yaml").write_text("colour: red\n")


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["check", "files", *words]) == 1
    return capsys.readouterr().out


def test_junit_has_a_case_for_each_file(capsys: pytest.CaptureFixture[str]) -> None:
    (suite,) = ElementTree.fromstring(printed(capsys, "--format", "junit"))
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("3", "1", "0")
    failures = {case.get("name"): case.findtext("failure") for case in suite.iter("testcase")}
    assert set(failures) == {"files/batching.config", "files/monitoring.config", "files/other.yaml"}
    assert str(failures["files/batching.config"]).startswith("files/batching.config:2: ")
    assert failures["files/other.yaml"] is None
    assert "neither a compose file" in str(suite.findtext("system-out"))


def test_sarif_has_the_place_of_each_fault(capsys: pytest.CaptureFixture[str]) -> None:
    log = json.loads(printed(capsys, "--format", "sarif"))
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    fault, note = run["results"]
    assert {result["ruleId"] for result in run["results"]} == {
        rule["id"] for rule in run["tool"]["driver"]["rules"]
    }
    assert (fault["level"], note["level"]) == ("error", "note")
    place = fault["locations"][0]["physicalLocation"]
    assert place == {"artifactLocation": {"uri": "files/batching.config"}, "region": {"startLine": 2}}


def test_json_is_the_same_by_its_older_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys, "--format", "json") == printed(capsys, "--json")


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--claim", "--storage-class", "nfs", "--monitoring"],
        ["--tls-key", "key.pem", "--tls-cert", "cert.pem", "--gpus", "1", "--image", "serving-gpu:1"],
    ],
    ids=["default", "claim", "TLS and GPUs"],
)
@pytest.mark.parametrize("version", [VERSIONS[0], VERSIONS[-1]])
def test_the_oldest_and_the_newest_kubernetes_take_what_is_rendered(version: str, options: list[str]) -> None:
    assert main([*RENDER, *options]) == 0
    assert inspect([Path("deploy")], None, [], kubernetes_version=version).findings == []


def test_a_kind_that_a_version_lacks_is_said_of_that_version(capsys: pytest.CaptureFixture[str]) -> None:
    Path("files/old.yaml").write_text(
        "apiVersion: policy/v1beta1\nkind: PodSecurityPolicy\nmetadata: {name: a}\nspec: {}\n"
    )
    assert "Kubernetes 1.29 has no PodSecurityPolicy" in printed(capsys, "--kubernetes-version", "1.29")


def test_a_version_that_is_not_known_is_a_usage_error() -> None:
    with pytest.raises(SystemExit) as caught:
        main(["check", "files", "--kubernetes-version", "1.3"])
    assert caught.value.code == 2
