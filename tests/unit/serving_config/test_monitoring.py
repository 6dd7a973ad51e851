"""What `render --monitoring` brings: rules that fire when they should, on metrics that the real server has."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from slimserve.serving_config.check.inspection import inspect
from slimserve.serving_config.cli import main

from tests.unit.serving_config.rendered import add_version, tree, written

PAGE = Path(__file__).with_name("metrics_of_the_real_server.prom").read_text()
ON_THE_PAGE = set(re.findall(r"^(:[\w:]+)", PAGE, re.M)) | set(re.findall(r"^# TYPE (:[\w:]+)", PAGE, re.M))
METRIC = re.compile(r":tensorflow:[\w:]+")
PROMTOOL = shutil.which("promtool")
needs_promtool = pytest.mark.skipif(
    PROMTOOL is None, reason="no promtool on PATH: Debian's package `prometheus` has it"
)
JOB = 'job="serving", instance="pod-1"'


@pytest.fixture(autouse=True)
def deployment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """deploy/ for both targets, with monitoring."""
    monkeypatch.chdir(tmp_path)
    add_version("vgg_16", 1)
    targets = ["--for", "docker", "kubernetes", "--monitoring"]
    assert main(["render", "--model", "vgg_16=models/vgg_16", *targets]) == 0


def promtool(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(PROMTOOL), *words], capture_output=True, text=True, timeout=60, check=False)


def expressions() -> list[str]:
    panels = json.loads(Path("deploy/monitoring/dashboard.json").read_text())["panels"]
    return [target["expr"] for panel in panels for target in panel["targets"]]


def rules() -> list[dict[str, Any]]:
    (group,) = tree("deploy/monitoring/rules.yml")["groups"]
    return group["rules"]


def test_what_is_written_passes_check_and_both_targets_have_the_rules() -> None:
    assert inspect([Path("deploy")], None, []).findings == []
    resource = tree("deploy/kubernetes/prometheus-rule.yaml")
    assert resource["spec"]["groups"] == tree("deploy/monitoring/rules.yml")["groups"]
    assert {"kubernetes/pod-monitor.yaml", "kubernetes/prometheus-rule.yaml"} <= set(
        tree("deploy/kustomization.yaml")["resources"]
    )
    template = tree("deploy/kubernetes/deployment.yaml")["spec"]["template"]
    assert "annotations" not in template["metadata"]
    services = tree("deploy/docker-compose.yml")["services"]
    assert {name: service.get("profiles") for name, service in services.items()} == {
        "serving": None,
        "prometheus": ["monitoring"],
        "grafana": ["monitoring"],
    }
    mounted = {v.partition(":")[0] for name in ("prometheus", "grafana") for v in services[name]["volumes"]}
    assert all((Path("deploy") / path).is_file() for path in mounted)


def test_without_it_nothing_of_it_stays() -> None:
    assert main(["render", "--no-monitoring", "--yes"]) == 0
    assert not [
        name
        for name in written("deploy")
        if "monitoring/" in name or "monitor.yaml" in name or "rule" in name
    ]
    assert "prometheus.io/scrape" in Path("deploy/kubernetes/deployment.yaml").read_text()


def test_rules_and_dashboard_use_only_metrics_that_the_real_server_has() -> None:
    used = set(METRIC.findall(Path("deploy/monitoring/rules.yml").read_text()))
    used |= {name for expression in expressions() for name in METRIC.findall(expression)}
    assert len(used) >= 6
    assert {re.sub(r"_(bucket|sum|count)$", "", name) for name in used - ON_THE_PAGE} <= ON_THE_PAGE


def test_a_dashboard_has_a_place_for_each_panel() -> None:
    board = json.loads(Path("deploy/monitoring/dashboard.json").read_text())
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in board["panels"]]
    assert len(set(places)) == len(places)
    assert [panel["id"] for panel in board["panels"]] == list(range(1, len(places) + 1))


def test_the_limit_of_calls_is_that_of_the_server() -> None:
    assert main(["render", "--cpu", "4", "--name", "street", "--yes"]) == 0
    (full,) = [rule for rule in rules() if rule.get("alert") == "ServingFull"]
    # --grpc_max_threads=N answers N - 1 calls.
    threads = re.search(r"--grpc_max_threads=(\d+)", Path("deploy/docker-compose.yml").read_text())
    assert threads is not None
    assert full["expr"].endswith(f'{{job="street"}} > 0.8 * {int(threads[1]) - 1}')


@needs_promtool
def test_promtool_accepts_the_rules_and_the_dashboards_expressions() -> None:
    queries = [{"record": f"panel:{number}", "expr": text} for number, text in enumerate(expressions())]
    with Path("queries.yml").open("w") as file:
        YAML().dump({"groups": [{"name": "dashboard", "rules": queries}]}, file)
    checked = promtool("check", "rules", "deploy/monitoring/rules.yml", "queries.yml")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    checked = promtool("check", "config", "--syntax-only", "deploy/monitoring/prometheus.yml")
    assert checked.returncode == 0, checked.stdout + checked.stderr


def calls(status: str, values: str) -> dict[str, str]:
    series = f':tensorflow:serving:request_count{{{JOB}, model_name="vgg_16", status="{status}"}}'
    return {"series": series, "values": values}


def loads(status: str, values: str) -> dict[str, str]:
    series = f':tensorflow:cc:saved_model:load_attempt_count{{{JOB}, model_path="/models/vgg_16/2", status="{status}"}}'
    return {"series": series, "values": values}


def latency(suffix: str, values: str, le: str = "") -> dict[str, str]:
    labels = f'{JOB}, model_name="vgg_16", API="Predict", entrypoint="GRPC"' + (f', le="{le}"' if le else "")
    return {"series": f":tensorflow:serving:request_latency_{suffix}{{{labels}}}", "values": values}


UP = {"series": f"up{{{JOB}}}", "values": "1x60"}
DOWN = {"series": f"up{{{JOB}}}", "values": "0x60"}
# Per minute: 60 calls, 30 s of work; buckets of 1 s and 10 s.
WELL = [UP, calls("OK", "0+60x60"), latency("sum", "0+30000000x60"), loads("success", "1x60")]
FAST = [latency("bucket", "0+60x60", le) for le in ("1e+06", "1e+07", "+Inf")]
SLOW = [
    latency("bucket", "0x60", "1e+06"),
    latency("bucket", "0+60x60", "1e+07"),
    latency("bucket", "0+60x60", "+Inf"),
]


@needs_promtool
@pytest.mark.parametrize(
    ("series", "alerts"),
    [
        ([*WELL, *FAST], []),
        ([*WELL, calls("INVALID_ARGUMENT", "0+60x60")], []),
        ([*WELL, calls("INTERNAL", "0+6x60")], ["ServingFails"]),
        ([UP, calls("OK", "0+60x60"), latency("sum", "0+840000000x60")], ["ServingFull"]),
        ([*WELL, *SLOW], ["ServingSlow"]),
        ([*WELL, loads("fail", "_x28 1x31")], ["ServingVersionDoesNotLoad"]),
        ([*WELL, loads("fail", "1x28 2x31")], ["ServingVersionDoesNotLoad"]),
        ([*WELL, loads("fail", "1x60")], []),
        ([DOWN], ["ServingNoneReady"]),
        ([], ["ServingNoneReady"]),
    ],
    ids=[
        "well",
        "callers' faults",
        "failing",
        "full",
        "slow",
        "a version that does not load",
        "a version that again does not load",
        "a failure of long ago",
        "none ready",
        "none there",
    ],
)
def test_alerts_fire_when_they_should_and_no_others(series: list[dict[str, str]], alerts: list[str]) -> None:
    known = [rule["alert"] for rule in rules() if "alert" in rule]
    assert set(alerts) <= set(known)
    fired: Callable[[str], list[dict[str, Any]]] = lambda name: [{"value": 1}] if name in alerts else []  # noqa: E731
    expected = [
        {"expr": f'count(ALERTS{{alertname="{name}", alertstate="firing"}})', "eval_time": "40m"}
        for name in known
    ]
    tests = [
        {**entry, "exp_samples": [{"labels": "{}", **sample} for sample in fired(name)]}
        for entry, name in zip(expected, known, strict=True)
    ]
    unit = {
        "rule_files": ["deploy/monitoring/rules.yml"],
        "tests": [{"interval": "1m", "input_series": series, "promql_expr_test": tests}],
    }
    Path("unit.yml").write_text(json.dumps(unit))
    done = promtool("test", "rules", "unit.yml")
    assert done.returncode == 0, done.stdout + done.stderr
