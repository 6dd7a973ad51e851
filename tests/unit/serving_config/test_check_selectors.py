"""What the selectors of Kubernetes' objects mean, and the ports of the pods that they mean."""

import pytest

from tests.unit.serving_config.field_cases import check, messages
from tests.unit.serving_config.test_check_kubernetes_cases import DEPLOYMENT, PORTS, other

pytestmark = pytest.mark.usefixtures("empty_folder")

MATCH = "selector: {matchLabels: {app: a}}"
NO_PORT = "port 9000 is no port of the pods"


def expressions(*written: str) -> str:
    return f"matchExpressions: [{', '.join(f'{{{each}}}' for each in written)}]"


OURS = [
    "key: app, operator: In, values: [b, a]",
    "key: app, operator: NotIn, values: [b]",
    "key: app, operator: Exists",
    "key: role, operator: DoesNotExist",
    "key: role, operator: NotIn, values: [db]",
]
OTHERS = [
    "key: app, operator: In, values: [b]",
    "key: app, operator: NotIn, values: [a]",
    "key: role, operator: Exists",
    "key: app, operator: DoesNotExist",
    "key: role, operator: In, values: [db]",
]


def policy(selector: str, port: int) -> str:
    spec = f"podSelector: {{{selector}}}, ingress: [{{ports: [{{port: {port}}}]}}]"
    return other("NetworkPolicy", "networking.k8s.io/v1", spec)


@pytest.mark.parametrize("expression", OURS)
def test_expressions_that_mean_the_pods_count_as_labels_do(expression: str) -> None:
    assert messages(a__yaml=PORTS, b__yaml=policy(expressions(expression), 8500)) == []
    assert messages(a__yaml=PORTS, b__yaml=policy(expressions(expression), 9000)) == [NO_PORT]


@pytest.mark.parametrize("expression", OTHERS)
def test_expressions_that_mean_other_pods_are_a_note(expression: str) -> None:
    result = check(a__yaml=PORTS, b__yaml=policy(expressions(OURS[0], expression), 9000))
    assert result.findings == []
    assert "the NetworkPolicy selects no deployment's pods" in result.notes[0]


def test_a_policy_of_all_pods_is_not_held_to_the_ports_of_some() -> None:
    assert messages(a__yaml=PORTS, b__yaml=policy("", 9000)) == []


@pytest.mark.parametrize(("selector", "is_fault"), [(OURS[0], False), (OTHERS[0], True)])
def test_a_deployments_own_selector_may_have_expressions(selector: str, is_fault: bool) -> None:
    text = DEPLOYMENT.replace(MATCH, f"selector: {{{expressions(selector)}}}")
    assert messages(a__yaml=text) == ["the selector does not match the template's labels"] * is_fault


@pytest.mark.parametrize(("selector", "is_fault"), [(OURS[0], False), (OTHERS[0], True)])
def test_the_selector_of_a_spread_may_have_expressions(selector: str, is_fault: bool) -> None:
    constraint = "maxSkew: 1, topologyKey: zone, whenUnsatisfiable: ScheduleAnyway"
    spread = f"topologySpreadConstraints: [{{{constraint}, labelSelector: {{{expressions(selector)}}}}}]"
    text = DEPLOYMENT.replace("containers:", f"{spread}\n      containers:")
    assert messages(a__yaml=text) == ["the constraint spreads other pods than these"] * is_fault


@pytest.mark.parametrize("spec", ["spec: {maxUnavailable: 1}\n", "spec: \n", ""])
def test_a_budget_without_a_selector_is_a_fault(spec: str) -> None:
    budget = f"apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {{name: b}}\n{spec}"
    assert messages(a__yaml=DEPLOYMENT, b__yaml=budget) == ["the PodDisruptionBudget has no selector"]


def test_a_budget_counts_the_pods_of_all_deployments_that_it_means() -> None:
    budget = other("PodDisruptionBudget", "policy/v1", "minAvailable: 1, selector: {}")
    second = DEPLOYMENT.replace("metadata: {name: a}", "metadata: {name: b}")
    assert messages(a__yaml=DEPLOYMENT, b__yaml=budget) == ["minAvailable 1 of 1 lets no pod go"]
    assert messages(a__yaml=DEPLOYMENT, c__yaml=second, b__yaml=budget) == []


@pytest.mark.parametrize(
    ("port", "faults"),
    [("8500", []), ("8501", []), ("8600", ["targetPort 8600 is no port of the pods"])],
)
def test_a_port_where_the_server_listens_need_not_be_declared(port: str, faults: list[str]) -> None:
    service = other("Service", "v1", f"selector: {{app: a}}, ports: [{{port: 80, targetPort: {port}}}]")
    assert messages(a__yaml=PORTS, b__yaml=service) == faults


@pytest.mark.parametrize(("name", "number"), [("rest", 8500), ("http", 8500), ("grpc", 8501)])
def test_a_port_with_the_name_of_the_other_is_a_fault(name: str, number: int) -> None:
    text = PORTS.replace("name: grpc, containerPort: 8500", f"name: {name}, containerPort: {number}")
    assert messages(a__yaml=text) == [f"the port {name} is {number}, which is the server's other one"]
