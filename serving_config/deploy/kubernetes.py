"""The Kubernetes manifests of a plan."""

import re
from typing import Any

from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from . import yaml_edit
from .plan import Plan
from .settings import SHIPPED, shipped, with_flags

_CLAIM = "kubernetes/models-claim.yaml"
_PROBES = ("startupProbe", "readinessProbe", "livenessProbe")


def render(plan: Plan, out: str) -> dict[str, str]:
    """The kustomization and its resources, by their paths in the folder `out`."""
    names = [f"kubernetes/{path.name}" for path in sorted(SHIPPED.glob("kubernetes/*.yaml"))]
    files = {name: shipped(name) for name in names if not (plan.baked and name == _CLAIM)}
    files["kubernetes/deployment.yaml"] = _deployment(plan)
    autoscaler = "kubernetes/autoscaler.yaml"
    files[autoscaler] = _autoscaler(files[autoscaler], plan)
    files["kustomization.yaml"] = _kustomization(plan).replace(
        "--kustomize serving_config", f"--kustomize {out}"
    )
    return {name: _renamed(text, plan.name) for name, text in files.items()}


def _renamed(text: str, name: str) -> str:
    # Values and the two commands in comments, never the image or a path that holds the word.
    pattern = r"((?:name|Name): |deployment/|dns:///)serving(?=$|-config$|-models$|-tls$|:8500|`)"
    return re.sub(pattern, rf"\g<1>{name}", text, flags=re.MULTILINE)


def _autoscaler(text: str, plan: Plan) -> str:
    most = 3 * plan.replicas
    text = text.replace("Between 2 and 6 replicas", f"Between {plan.replicas} and {most} replicas")
    return text.replace("minReplicas: 2", f"minReplicas: {plan.replicas}").replace(
        "maxReplicas: 6", f"maxReplicas: {most}"
    )


def _kustomization(plan: Plan) -> str:
    tree = yaml_edit.load("kustomization.yaml")
    if plan.baked:
        tree["resources"].remove(_CLAIM)
    if plan.batching:
        tree["configMapGenerator"][0]["files"].append("batching.config")
    if plan.tls:
        tree["secretGenerator"] = [{"name": "serving-tls", "files": ["tls/ssl.config"]}]
    return yaml_edit.dump(tree)


def _deployment(plan: Plan) -> str:
    tree = yaml_edit.load("kubernetes/deployment.yaml")
    pod = tree["spec"]["template"]["spec"]
    container = pod["containers"][0]
    container["image"] = plan.image
    for amounts in container["resources"].values():
        amounts["cpu"] = DoubleQuotedScalarString(plan.cpu)
        amounts["memory"] = plan.memory
    if plan.baked:
        _remove(container["volumeMounts"], "models")
        _remove(pod["volumes"], "models")
    if plan.tls:
        _encrypt(pod, container, plan)
    return with_flags(yaml_edit.dump(tree), plan)


def _remove(entries: Any, name: str) -> None:
    entries.remove(next(entry for entry in entries if entry["name"] == name))


def _encrypt(pod: Any, container: Any, plan: Plan) -> None:
    container["volumeMounts"].append({"name": "tls", "mountPath": "/tls", "readOnly": True})
    secret = {"secretName": "serving-tls", "defaultMode": 0o440}
    pod["volumes"].append({"name": "tls", "secret": secret})
    for probe in _PROBES:
        # Kubernetes' gRPC probes cannot do TLS; the REST port can be asked from inside.
        position = list(container[probe]).index("grpc")
        del container[probe]["grpc"]
        container[probe].insert(position, "exec", {"command": ["bash", "-c", plan.health_check]})
