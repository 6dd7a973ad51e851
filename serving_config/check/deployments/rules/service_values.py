"""Values of a Service that its schema lets pass and the API server refuses."""

import re
from collections.abc import Iterator
from typing import Any

from ...finding import Finding, joined, meant
from ..yaml_file import Document

_TYPES = ("ClusterIP", "NodePort", "LoadBalancer", "ExternalName")
_ON_NODES = ("NodePort", "LoadBalancer")
_NODE_PORTS = range(30000, 32768)


def findings(document: Document, spec: dict[str, Any]) -> Iterator[Finding]:
    """What the API server would refuse in the specification of a Service."""
    kind, ports = spec.get("type", "ClusterIP"), spec.get("ports") or []
    if kind not in _TYPES:
        advice = meant(kind, _TYPES, f"write {joined(_TYPES, 'or')}")
        yield document.fault(f"type is {kind}", advice, "spec", "type")
    address = spec.get("clusterIP")
    if address and address != "None" and not re.fullmatch(r"[0-9a-fA-F.:]+", address):
        advice = "write None for a headless Service, or an address"
        yield document.fault(f"clusterIP is {address}", advice, "spec", "clusterIP")
    elif address == "None" and kind in _ON_NODES:
        yield document.fault(
            f"a {kind} without an address", "the cluster refuses it: remove clusterIP", "spec", "clusterIP"
        )
    for index, port in enumerate(ports):
        number, place = port.get("nodePort"), ("spec", "ports", index, "nodePort")
        if number and kind == "ClusterIP":
            advice = "the cluster refuses it: write type: NodePort, or remove it"
            yield document.fault("a nodePort of a Service inside the cluster", advice, *place)
        elif number and number not in _NODE_PORTS:
            first, last = _NODE_PORTS[0], _NODE_PORTS[-1]
            advice = f"a cluster gives out {first} to {last}, unless it was set up otherwise: remove it, or take one"
            yield document.fault(f"nodePort is {number}", advice, *place)
    names = [port.get("name") for port in ports]
    for index, name in enumerate(names):
        where = ("spec", "ports", index)
        if name is None and len(ports) > 1:
            yield document.fault("one of several ports has no name", "give each a name", *where)
        elif name is not None and name in names[:index]:
            yield document.fault(f"two ports have the name {name}", "give each its own", *where, "name")
    numbers = [(port.get("port"), port.get("protocol", "TCP")) for port in ports]
    for index, number in enumerate(numbers):
        if number in numbers[:index]:
            message = f"the port {number[0]} is there twice"
            yield document.fault(message, "keep one", "spec", "ports", index, "port")
