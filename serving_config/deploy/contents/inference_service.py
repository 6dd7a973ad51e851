"""KServe's InferenceService, in the place of the Deployment and the autoscaler, for clusters that have KServe."""

from collections.abc import MutableMapping
from typing import Any

from . import templates

FILE, REFERENCES = "kubernetes/inference-service.yaml", "kubernetes/references.yaml"
INSTEAD_OF = ("kubernetes/deployment.yaml", "kubernetes/autoscaler.yaml")
_SERVICE = """\
# For KServe 0.12 or later, which makes a Deployment and an autoscaler of it. The Service, the network policy and the
# disruption budget beside it find its pods by their label.
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata:
  # Not the name of the Service beside it: KServe makes Services of its own.
  name: serving-server
  labels:
    app.kubernetes.io/name: serving
  annotations:
    # Without Knative: gRPC connections last, and a replica that is not there needs minutes to start.
    serving.kserve.io/deploymentMode: RawDeployment
spec: {}
"""
_REFERENCES = """\
# Where kustomize finds the names that it gives a hash to.
nameReference:
  - kind: ConfigMap
    fieldSpecs:
      - kind: InferenceService
        path: spec/predictor/volumes/configMap/name
  - kind: Secret
    fieldSpecs:
      - kind: InferenceService
        path: spec/predictor/volumes/secret/secretName
"""


def replace(trees: MutableMapping[str, Any]) -> None:
    """Put it in the place of the two, with the same pods, replicas and updates."""
    deployment, autoscaler = (trees.pop(name)["spec"] for name in INSTEAD_OF)
    service, references = templates.parse(_SERVICE), templates.parse(_REFERENCES)
    template = deployment["template"]
    service["metadata"]["annotations"].update(template["metadata"].get("annotations", {}))
    predictor = service["spec"]["predictor"] = template["spec"]
    predictor["containers"][0]["name"] = "kserve-container"
    scaling = {
        "minReplicas": autoscaler["minReplicas"],
        "maxReplicas": autoscaler["maxReplicas"],
        "scaleMetric": "cpu",
        "scaleTarget": autoscaler["metrics"][0]["resource"]["target"]["averageUtilization"],
        "deploymentStrategy": deployment["strategy"],
    }
    predictor.update(scaling)
    kustomization = trees["kustomization.yaml"]
    for name in INSTEAD_OF:
        kustomization["resources"].remove(name)
    kustomization["resources"].insert(0, FILE)
    kustomization["configurations"] = [REFERENCES]
    trees[FILE], trees[REFERENCES] = service, references


def aligned(text: str) -> str:
    """The text with each comment as far in as the line below it: the pods' stood deeper in the Deployment."""
    lines = text.splitlines()
    for at in reversed(range(len(lines) - 1)):
        comment, below = lines[at].lstrip(), lines[at + 1]
        if comment.startswith("#"):
            lines[at] = " " * (len(below) - len(below.lstrip())) + comment
    return "\n".join(lines) + "\n"
