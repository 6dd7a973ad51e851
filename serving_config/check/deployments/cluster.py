"""What must hold between Kubernetes objects: selectors, target ports, and who owns `replicas`."""

import math
from collections.abc import Iterator

from ..finding import Finding, joined
from .kubernetes import POD, Surroundings, get
from .yaml_file import Document


def deployments(documents: list[Document]) -> dict[str, Document]:
    """The Deployments among the objects, by name."""
    return {str(get(d.data, "metadata", "name")): d for d in documents if d.data["kind"] == "Deployment"}


def findings(
    document: Document, deployments: dict[str, Document], surroundings: Surroundings
) -> Iterator[Finding]:
    """What an object says of Deployments that is not so."""
    kind = document.data["kind"]
    if kind == "HorizontalPodAutoscaler":
        yield from _autoscaler(document, deployments)
    elif kind in ("Service", "PodDisruptionBudget", "NetworkPolicy"):
        yield from _selecting(document, deployments, surroundings)


def _autoscaler(document: Document, deployments: dict[str, Document]) -> Iterator[Finding]:
    where = ("spec", "scaleTargetRef", "name")
    target = get(document.data, *where)
    if target not in deployments:
        message = f"the autoscaler's target {target} is not there"
        yield document.fault(message, f"the deployments are {joined(deployments)}", *where)
    elif get(deployments[target].data, "spec", "replicas") is not None:
        advice = "remove it: the autoscaler owns the number and each apply would reset it"
        yield deployments[target].fault("replicas beside an autoscaler", advice, "spec", "replicas")
    low, high = (get(document.data, "spec", key) for key in ("minReplicas", "maxReplicas"))
    if isinstance(low, int) and isinstance(high, int) and low > high:
        message = f"minReplicas {low} is above maxReplicas {high}"
        yield document.fault(message, "raise maxReplicas", "spec", "minReplicas")


def _selecting(
    document: Document, deployments: dict[str, Document], surroundings: Surroundings
) -> Iterator[Finding]:
    kind = document.data["kind"]
    key = {"Service": ("selector",), "NetworkPolicy": ("podSelector", "matchLabels")}.get(
        kind, ("selector", "matchLabels")
    )
    wanted = get(document.data, "spec", *key) or {}
    matching = [
        deployment
        for deployment in deployments.values()
        if wanted.items() <= (get(deployment.data, "spec", "template", "metadata", "labels") or {}).items()
    ]
    if not matching:
        message = f"the {kind} selects no deployment's pods"
        yield document.fault(message, "use the labels of the pod template", "spec", *key)
    elif kind == "PodDisruptionBudget":
        yield from _budget(document, surroundings.replicas(matching[0]))
    else:
        yield from _ports(document, matching[0])


def _budget(document: Document, replicas: int) -> Iterator[Finding]:
    """A budget that never lets a pod go; Kubernetes rounds shares up."""
    for key in ("maxUnavailable", "minAvailable"):
        amount = get(document.data, "spec", key)
        if amount is None:
            continue
        share = str(amount).removesuffix("%")
        pods = math.ceil(replicas * int(share) / 100) if share != str(amount) else int(share)
        if pods == 0 if key == "maxUnavailable" else pods >= replicas:
            of = "" if key == "maxUnavailable" else f" of {replicas}"
            advice = "no node could be drained: write maxUnavailable: 1"
            yield document.fault(f"{key} {amount}{of} lets no pod go", advice, "spec", key)


def _ports(document: Document, deployment: Document) -> Iterator[Finding]:
    """Ports of a Service or a NetworkPolicy that the pods do not declare, where they declare any."""
    declared: set[str] = set()
    for container in get(deployment.data, *POD, "containers") or []:
        for port in container.get("ports") or []:
            declared |= {str(port[key]) for key in ("name", "containerPort") if key in port}
    places: list[tuple[str | int, ...]] = [("spec",)]
    if document.data["kind"] == "NetworkPolicy":
        places = [("spec", "ingress", at) for at in range(len(get(document.data, "spec", "ingress") or []))]
    for place in places:
        rule = document.data["spec"] if len(place) == 1 else document.data["spec"]["ingress"][place[-1]]
        for at, port in enumerate(rule.get("ports") or []):
            target = str(port.get("targetPort", port.get("port")))
            if target not in declared and (declared or not target.isdigit()) and "endPort" not in port:
                what = "targetPort" if len(place) == 1 else "port"
                advice = f"they have {joined(sorted(declared))}"
                yield document.fault(f"{what} {target} is no port of the pods", advice, *place, "ports", at)
