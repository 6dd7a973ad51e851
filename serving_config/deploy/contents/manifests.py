"""The Kubernetes manifests of a plan."""

from collections.abc import Sequence
from typing import Any

from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from ..plan import Claim, Plan
from . import inference_service, monitoring, object_store, templates

_CLAIM, _LOADER = "kubernetes/models-claim.yaml", "kubernetes/models-loader.yaml"
_NAMES = (
    "serving",
    "serving-config",
    "serving-models",
    "serving-tls",
    "serving-loader",
    "serving-server",
)
_BUILD = """\
# First build the image that holds the models (Dockerfile), and put it where the nodes find it: a registry, or
# `kind load docker-image serving-models:1`.
"""
_COPY = "# First copy the models to the claim: kubernetes/models-loader.yaml.\n"
_BUILT = "# Made by the Dockerfile: it holds the server and the models."
_PROBES = ("startupProbe", "readinessProbe", "livenessProbe")


def render(plan: Plan, out: str, patches: Sequence[str] = ()) -> dict[str, str]:
    """The kustomization and its resources, by their paths in the folder `out`.

    Args:
        patches: files below `out` that the kustomization applies to them.
    """
    paths = sorted(templates.SHIPPED.glob("kubernetes/*.yaml"))
    names = ["kustomization.yaml", *(f"kubernetes/{path.name}" for path in paths)]
    trees = {name: templates.load(name) for name in names if plan.claim or name not in (_CLAIM, _LOADER)}
    _deployment(trees["kubernetes/deployment.yaml"], plan)
    _kustomization(trees["kustomization.yaml"], plan, patches)
    replicas = trees["kubernetes/autoscaler.yaml"]["spec"]
    replicas["minReplicas"], replicas["maxReplicas"] = plan.replicas, 3 * plan.replicas
    phrases: dict[str, dict[str, str]] = {
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
    if plan.claim:
        _claim(trees[_CLAIM]["spec"], plan.claim)
        phrases[_LOADER] = {
            "serving_config/": f"{out}/",
            "serving-loader": f"{plan.name}-loader",
            "models/vgg_16 ": f"{plan.models[0].folder} ",
        }
    if plan.copy_from:
        object_store.let_out(trees["kubernetes/network-policy.yaml"], plan)
        phrases["kubernetes/network-policy.yaml"] = {"nothing goes out.": "the object store may be reached."}
    if plan.is_built:
        phrases["kustomization.yaml"]["docker-image serving-models:1"] = f"docker-image {plan.built}"
    else:
        phrases["kustomization.yaml"][_BUILD] = _COPY if plan.claim else ""
        phrases["kubernetes/deployment.yaml"][f"          {_BUILT}\n"] = ""
    if plan.kserve:
        inference_service.replace(trees)
        phrases[inference_service.FILE] = phrases.pop("kubernetes/deployment.yaml")
        del phrases["kubernetes/autoscaler.yaml"]
        undo = "undone by\n# `kubectl rollout undo deployment/serving`."
        phrases["kustomization.yaml"][undo] = "undone by\n# `slimserve rollback`."
        del phrases["kustomization.yaml"]["deployment/serving`"]
    for tree in trees.values():
        _rename(tree, plan.name)
    files = {
        name: templates.reworded(templates.dump(tree), phrases.get(name, {})) for name, tree in trees.items()
    }
    if plan.kserve:
        files[inference_service.FILE] = inference_service.aligned(files[inference_service.FILE])
    return files


def _rename(tree: Any, name: str) -> None:
    """Give every object, and every reference to one, the deployment's name instead of `serving`."""
    for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree):
        if isinstance(value, (dict, list)):
            _rename(value, name)
        elif value in _NAMES:
            tree[key] = name + value.removeprefix("serving")


def _claim(tree: Any, claim: Claim) -> None:
    tree["accessModes"] = [claim.access_mode]
    tree["resources"]["requests"]["storage"] = claim.size
    if claim.storage_class:
        tree["storageClassName"] = claim.storage_class


def _kustomization(tree: Any, plan: Plan, patches: Sequence[str]) -> None:
    if plan.claim:
        tree["resources"].append(_CLAIM)
    if patches:
        tree["patches"] = [{"path": path} for path in patches]
    if plan.monitoring:
        tree["resources"] += [monitoring.POD_MONITOR, monitoring.PROMETHEUS_RULE]
    if plan.batching:
        tree["configMapGenerator"][0]["files"].append("batching.config")
    if plan.tls:
        tree["secretGenerator"] = [{"name": "serving-tls", "files": ["tls/ssl.config"]}]


def _deployment(tree: Any, plan: Plan) -> None:
    pod = tree["spec"]["template"]["spec"]
    container = pod["containers"][0]
    container["image"] = plan.built if plan.is_built else plan.image
    container["startupProbe"]["failureThreshold"] = (
        plan.startup_seconds // container["startupProbe"]["periodSeconds"]
    )
    tree["spec"]["progressDeadlineSeconds"] = plan.startup_seconds + 600
    templates.set_flags(container["args"], plan)
    for amounts in container["resources"].values():
        amounts["cpu"] = DoubleQuotedScalarString(plan.cpu)
        amounts["memory"] = plan.memory
    if plan.monitoring:
        # The operator's Prometheus would scrape twice.
        del tree["spec"]["template"]["metadata"]["annotations"]
    if plan.gpus:
        container["resources"]["limits"]["nvidia.com/gpu"] = plan.gpus
    if not plan.is_built:
        container["volumeMounts"].append({"name": "models", "mountPath": "/models", "readOnly": True})
    if plan.claim:
        claim = {"claimName": "serving-models", "readOnly": True}
        pod["volumes"].append({"name": "models", "persistentVolumeClaim": claim})
    if plan.copy_from:
        object_store.copy(pod, plan)
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
