"""The Kubernetes manifests of a plan."""

from typing import Any

from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from . import templates
from .plan import Plan

_CLAIM = "kubernetes/models-claim.yaml"
_NAMES = ("serving", "serving-config", "serving-models", "serving-tls")
_PROBES = ("startupProbe", "readinessProbe", "livenessProbe")


def render(plan: Plan, out: str) -> dict[str, str]:
    """The kustomization and its resources, by their paths in the folder `out`."""
    paths = sorted(templates.SHIPPED.glob("kubernetes/*.yaml"))
    names = ["kustomization.yaml", *(f"kubernetes/{path.name}" for path in paths)]
    trees = {name: templates.load(name) for name in names if not (plan.baked and name == _CLAIM)}
    _deployment(trees["kubernetes/deployment.yaml"], plan)
    _kustomization(trees["kustomization.yaml"], plan)
    replicas = trees["kubernetes/autoscaler.yaml"]["spec"]
    replicas["minReplicas"], replicas["maxReplicas"] = plan.replicas, 3 * plan.replicas
    phrases = {
        "kustomization.yaml": {
            "--kustomize serving_config": f"--kustomize {out}",
            "deployment/serving`": f"deployment/{plan.name}`",
        },
        "kubernetes/service.yaml": {"dns:///serving:8500": f"dns:///{plan.name}:8500"},
        "kubernetes/autoscaler.yaml": {
            "Between 2 and 6 replicas": f"Between {plan.replicas} and {3 * plan.replicas} replicas"
        },
        "kubernetes/deployment.yaml": templates.sizing(plan),
    }
    for tree in trees.values():
        _rename(tree, plan.name)
    return {
        name: templates.reworded(templates.dump(tree), phrases.get(name, {})) for name, tree in trees.items()
    }


def _rename(tree: Any, name: str) -> None:
    """Give every object, and every reference to one, the deployment's name instead of `serving`."""
    for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree):
        if isinstance(value, (dict, list)):
            _rename(value, name)
        elif value in _NAMES:
            tree[key] = name + value.removeprefix("serving")


def _kustomization(tree: Any, plan: Plan) -> None:
    if plan.baked:
        tree["resources"].remove(_CLAIM)
    if plan.batching:
        tree["configMapGenerator"][0]["files"].append("batching.config")
    if plan.tls:
        tree["secretGenerator"] = [{"name": "serving-tls", "files": ["tls/ssl.config"]}]


def _deployment(tree: Any, plan: Plan) -> None:
    pod = tree["spec"]["template"]["spec"]
    container = pod["containers"][0]
    container["image"] = plan.image
    templates.set_flags(container["args"], plan)
    for amounts in container["resources"].values():
        amounts["cpu"] = DoubleQuotedScalarString(plan.cpu)
        amounts["memory"] = plan.memory
    if plan.gpus:
        container["resources"]["limits"]["nvidia.com/gpu"] = plan.gpus
    if plan.baked:
        for volumes in (container["volumeMounts"], pod["volumes"]):
            volumes.remove(next(volume for volume in volumes if volume["name"] == "models"))
    if plan.tls:
        _encrypt(pod, container, plan)


def _encrypt(pod: Any, container: Any, plan: Plan) -> None:
    container["volumeMounts"].append({"name": "tls", "mountPath": "/tls", "readOnly": True})
    secret = {"secretName": "serving-tls", "defaultMode": 0o440}
    pod["volumes"].append({"name": "tls", "secret": secret})
    for probe in _PROBES:
        # Kubernetes' gRPC probes cannot do TLS; the REST port can be asked from inside.
        position = list(container[probe]).index("grpc")
        del container[probe]["grpc"]
        container[probe].insert(position, "exec", {"command": ["bash", "-c", plan.health_check]})
