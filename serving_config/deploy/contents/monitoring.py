"""Rules for Prometheus, a dashboard for Grafana, and what brings both to a deployment."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ..plan import Plan
from . import templates

_FOLDER = "monitoring"
_COMPOSE_FILES = ("prometheus.yml", "grafana.yml", "dashboards.yml")
_RULES, _DASHBOARD = f"{_FOLDER}/rules.yml", f"{_FOLDER}/dashboard.json"
POD_MONITOR, PROMETHEUS_RULE = "kubernetes/pod-monitor.yaml", "kubernetes/prometheus-rule.yaml"
_RESOURCE = {"apiVersion": "monitoring.coreos.com/v1", "kind": "PrometheusRule"}

_CALLS = ":tensorflow:serving:request_count"
_LATENCY = ":tensorflow:serving:request_latency"
_RUNTIME = ":tensorflow:serving:runtime_latency"
_LOADS = ":tensorflow:cc:saved_model:load_attempt_count"
_WARM_UP = ":tensorflow:serving:model_warmup_latency"


def files(plan: Plan, targets: Sequence[str]) -> dict[str, str]:
    """The files of monitoring, by their paths below the deployment's folder."""
    found = {_RULES: _rules(plan), _DASHBOARD: json.dumps(dashboard(plan), indent=2) + "\n"}
    if "docker" in targets:
        for name in _COMPOSE_FILES:
            found[f"{_FOLDER}/{name}"] = templates.shipped(f"{_FOLDER}/{name}").replace(
                "job_name: serving", f"job_name: {plan.name}"
            )
    if "kubernetes" in targets:
        phrases = {": serving\n": f": {plan.name}\n"}
        found[POD_MONITOR] = templates.shipped(f"{_FOLDER}/pod-monitor.yaml", phrases)
        found[PROMETHEUS_RULE] = _prometheus_rule(plan)
    return found


def services(plan: Plan) -> Mapping[str, Any]:
    """The services of the compose profile `monitoring`, by name."""
    tree: Mapping[str, Any] = templates.load(f"{_FOLDER}/services.template")
    return tree if plan.monitoring else {}


def _rules(plan: Plan) -> str:
    phrases = {
        'job="serving"': f'job="{plan.name}"',
        "0.8 * 16": f"0.8 * {plan.calls}",
        "at most 16 calls": f"at most {plan.calls} calls",
    }
    return templates.shipped(_RULES, phrases)


def _prometheus_rule(plan: Plan) -> str:
    labels = {"app.kubernetes.io/name": plan.name}
    groups = templates.parse(_rules(plan))["groups"]
    return templates.dump(
        {**_RESOURCE, "metadata": {"name": plan.name, "labels": labels}, "spec": {"groups": groups}}
    )


def dashboard(plan: Plan) -> dict[str, Any]:
    """The dashboard as Grafana imports it."""
    job = f'job="{plan.name}"'
    progress = f"sum by (instance) (rate({_LATENCY}_sum{{{job}}}[5m])) / 1e6"
    warm_up = f"sum by (model_path) ({_WARM_UP}_sum{{{job}}}) / sum by (model_path) ({_WARM_UP}_count{{{job}}}) / 1e6"
    latency = [
        (_quantile(quantile, _LATENCY, job), f"{{{{API}}}} {name}")
        for quantile, name in ((0.5, "median"), (0.99, "p99"))
    ]
    loads = f"sum by (model_path, status) ({_LOADS}{{{job}}})"
    panels: list[tuple[str, str, list[tuple[str, str]]]] = [
        ("Calls", "reqps", [(f"sum by (status) (rate({_CALLS}{{{job}}}[5m]))", "{{status}}")]),
        ("Latency of successful calls", "s", latency),
        (f"Calls in progress, of at most {plan.calls} a replica", "none", [(progress, "{{instance}}")]),
        ("The network alone", "s", [(_quantile(0.99, _RUNTIME, job), "{{API}} p99")]),
        ("Versions loaded, and not", "none", [(loads, "{{model_path}} {{status}}")]),
        ("Time of a warm-up", "s", [(warm_up, "{{model_path}}")]),
    ]
    return {
        "uid": f"slimserve-{plan.name}",
        "title": f"slimserve: {plan.name}",
        "schemaVersion": 39,
        "time": {"from": "now-3h", "to": "now"},
        "refresh": "30s",
        "panels": [
            _panel(number, title, unit, queries) for number, (title, unit, queries) in enumerate(panels)
        ],
    }


def _quantile(quantile: float, metric: str, job: str) -> str:
    rate = f"sum by (API, le) (rate({metric}_bucket{{{job}}}[5m]))"
    return f"histogram_quantile({quantile}, {rate}) / 1e6"


def _panel(number: int, title: str, unit: str, queries: Sequence[tuple[str, str]]) -> dict[str, Any]:
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": title,
        "datasource": {"type": "prometheus"},
        "gridPos": {"x": 12 * (number % 2), "y": 8 * (number // 2), "w": 12, "h": 8},
        "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + at), "expr": expression, "legendFormat": legend}
            for at, (expression, legend) in enumerate(queries)
        ],
    }
