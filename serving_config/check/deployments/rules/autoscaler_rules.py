"""What must hold in a HorizontalPodAutoscaler and the pods that it counts."""

from collections.abc import Iterator
from typing import Any

from ...finding import Finding, joined
from ...servers.amounts import quantity
from ..yaml_file import Document, Place, get

_MEASURED = ("cpu", "memory")
_FIELDS = {"Utilization": "averageUtilization", "AverageValue": "averageValue", "Value": "value"}


def findings(document: Document, pod: dict[str, Any]) -> Iterator[Finding]:
    """The faults of an autoscaler of these pods."""
    spec = document.data["spec"]
    metrics = spec.get("metrics") or []
    if spec.get("minReplicas") == 0 and not any(
        metric.get("type") in ("External", "Object") for metric in metrics
    ):
        advice = "with no replica there is nothing to measure: make it 1 or more"
        yield document.fault("minReplicas is 0", advice, "spec", "minReplicas")
    share = spec.get("targetCPUUtilizationPercentage")  # of autoscaling/v1
    if share is not None:
        yield from _share(
            document, ("spec", "targetCPUUtilizationPercentage"), pod, "cpu", {"averageUtilization": share}
        )
    for index, metric in enumerate(metrics):
        where = ("spec", "metrics", index, "resource")
        measured, target = metric.get("resource"), get(metric, "resource", "target") or {}
        if metric.get("type") != "Resource" or not measured:
            continue
        name, kind = measured.get("name"), str(target.get("type"))
        if name not in _MEASURED:
            message = f"an autoscaler measures no {name}"
            yield document.fault(message, f"it measures {joined(_MEASURED, 'or')}", *where, "name")
        elif kind in _FIELDS and _FIELDS[kind] not in target:
            message = f"the target's type is {kind}, and {_FIELDS[kind]} is missing"
            yield document.fault(message, "give it, or change the type", *where, "target", "type")
        elif kind == "Utilization":
            yield from _share(document, (*where, "target", "averageUtilization"), pod, name, target)


def _share(
    document: Document, where: Place, pod: dict[str, Any], name: str, target: dict[str, Any]
) -> Iterator[Finding]:
    """A share of what the containers request, which each has to, and may not go beyond its limit."""
    reach = 0.0
    for container in pod.get("containers") or []:
        limit, request = (get(container, "resources", key, name) for key in ("limits", "requests"))
        asked, most = quantity(request if request is not None else limit), quantity(limit)
        if asked is None:
            message = f"the container {container.get('name')} requests no {name}, of which this is a share"
            yield document.fault(message, f"give it resources.requests.{name}", *where)
            return
        reach = max(reach, most / asked * 100 if most and asked else float("inf"))
    share = target.get("averageUtilization")
    if isinstance(share, int) and share < 1:
        yield document.fault(f"{where[-1]} is {share}", "the cluster refuses that: write 1 or more", *where)
    elif isinstance(share, int) and 100 <= reach < share:
        message = f"{where[-1]} {share} is never reached, the limit is {reach:g} % of the request"
        yield document.fault(message, "write a share of 100, such as 70", *where)
