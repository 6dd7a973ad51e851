"""Pods that copy the models from an object store before their server starts."""

import math
from typing import Any

from ..plan import Plan

_IMAGE = "rclone/rclone:1.68.2"
_KINDS = {"s3": "s3", "gs": "gcs", "az": "azureblob"}
"""rclone's names of stores, by scheme."""

_NODE = ("169.254.169.254", 80)
_IDENTITIES = {
    "s3": (_NODE, ("169.254.170.23", 80)),
    "gs": (_NODE, ("169.254.169.252", 988)),
    "az": (_NODE,),
}
"""Where a pod asks for credentials: the node's metadata server, EKS' agent of pod identities, GKE's metadata server."""


def copy(pod: Any, plan: Plan) -> None:
    """Give the pod a volume for the models, and a container for each that fills it.

    The stores are asked with what the pod's own identity may, or with keys from its environment (rclone's `env_auth`).
    """
    scheme, _, path = str(plan.copy_from).partition("://")
    gib = math.ceil(1.1 * plan.bytes_on_disk / 2**30) + 1
    pod["volumes"].append({"name": "models", "emptyDir": {"sizeLimit": f"{gib}Gi"}})
    containers = [
        {
            "name": f"copy-{model.build_context.replace('_', '-')}"[:63],
            "image": _IMAGE,
            "args": [
                "copy",
                "--verbose",
                f":{_KINDS[scheme]},env_auth=true:{path.rstrip('/')}/{model.name}",
                f"/models/{model.name}",
                *(f"--include=/{version}/**" for version in model.versions),
            ],
            "env": [{"name": "RCLONE_CONFIG", "value": "/tmp/rclone.conf"}],
            "resources": {"requests": {"cpu": "1", "memory": "512Mi"}, "limits": {"memory": "512Mi"}},
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            },
            "volumeMounts": [
                {"name": "models", "mountPath": "/models"},
                {"name": "tmp", "mountPath": "/tmp"},
            ],
        }
        for model in plan.models
    ]
    pod.insert(list(pod).index("containers"), "initContainers", containers)


def let_out(policy: Any, plan: Plan) -> None:
    """Let the pods reach the store by HTTPS, DNS before it, and what gives them their identity's credentials."""
    ports = [{"port": 443}, {"port": 53, "protocol": "UDP"}, {"port": 53}]
    policy["spec"]["egress"] = [{"ports": ports}]
    for address, port in _IDENTITIES[str(plan.copy_from).partition("://")[0]]:
        block = {"ipBlock": {"cidr": f"{address}/32"}}
        policy["spec"]["egress"].append({"to": [block], "ports": [{"port": port}]})
