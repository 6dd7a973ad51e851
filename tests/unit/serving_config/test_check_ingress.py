"""An Ingress and the Services that it leads to: names, ports, and the protocol that nginx speaks to them."""

import pytest

from tests.unit.serving_config.field_cases import messages
from tests.unit.serving_config.test_check_kubernetes_cases import SERVICE

pytestmark = pytest.mark.usefixtures("empty_folder")


@pytest.mark.parametrize(
    ("backend", "faults"),
    [
        ("name: serving, port: {number: 8500}", []),
        ("name: serving, port: {name: grpc}", []),
        ("name: somewhere-else, port: {number: 80}", []),
        (
            "name: servin, port: {number: 8500}",
            ["the Ingress leads to the Service servin, which is not there"],
        ),
        ("name: serving, port: {number: 8501}", ["the Service serving has no port 8501"]),
        ("name: serving, port: {name: rest}", ["the Service serving has no port rest"]),
    ],
)
def test_an_ingress_leads_to_a_service_and_a_port_that_are_there(backend: str, faults: list[str]) -> None:
    path = f"{{path: /, pathType: Prefix, backend: {{service: {{{backend}}}}}}}"
    ingress = (
        "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: a}\n"
        f"spec: {{rules: [{{http: {{paths: [{path}]}}}}]}}\n"
    )
    assert messages(a__yaml=SERVICE, b__yaml=ingress) == faults


HTTP1 = "nginx speaks HTTP/1.1 to the gRPC port"
GRPC = "nginx.ingress.kubernetes.io/backend-protocol: GRPC"


@pytest.mark.parametrize(
    ("annotations", "spec", "port", "faults"),
    [
        ("", "ingressClassName: nginx, ", "number: 8500", [HTTP1]),
        ("", "ingressClassName: nginx, ", "name: grpc", [HTTP1]),
        ("kubernetes.io/ingress.class: nginx", "", "name: grpc", [HTTP1]),
        ("nginx.ingress.kubernetes.io/ssl-redirect: 'true'", "", "name: grpc", [HTTP1]),
        (GRPC, "ingressClassName: nginx, ", "name: grpc", []),
        (f"{GRPC}S", "ingressClassName: nginx, ", "name: grpc", []),
        (GRPC, "ingressClassName: nginx, ", "name: rest", ["nginx speaks gRPC to the port rest"]),
        ("", "ingressClassName: nginx, ", "name: rest", []),
        ("", "ingressClassName: traefik, ", "name: grpc", []),
    ],
)
def test_nginx_speaks_the_protocol_of_the_port(
    annotations: str, spec: str, port: str, faults: list[str]
) -> None:
    path = f"{{path: /, pathType: Prefix, backend: {{service: {{name: serving, port: {{{port}}}}}}}}}"
    ingress = (
        "apiVersion: networking.k8s.io/v1\nkind: Ingress\n"
        f"metadata: {{name: a, annotations: {{{annotations}}}}}\n"
        f"spec: {{{spec}rules: [{{http: {{paths: [{path}]}}}}]}}\n"
    )
    service = SERVICE.replace("port: 8500}", "port: 8500}, {name: rest, port: 8501}")
    assert messages(a__yaml=service, b__yaml=ingress) == faults
