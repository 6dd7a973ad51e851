"""What objects of Kubernetes name: in their own namespace, by the labels of Services, of the image's kind."""

import pytest

from tests.unit.serving_config.field_cases import check, messages
from tests.unit.serving_config.test_check_kubernetes_cases import (
    CONFIG_MAP,
    DEPLOYMENT,
    SERVER,
    STOCK,
    autoscaler,
)

pytestmark = pytest.mark.usefixtures("empty_folder")


IN_ONE = DEPLOYMENT.replace("metadata: {name: a}", "metadata: {name: a, namespace: one}")
SERVICE = """\
apiVersion: v1
kind: Service
metadata: {name: a, labels: {app: a}}
spec:
  selector: {app: a}
  ports: [{name: grpc, port: 8500}, {name: rest, port: 8501}]
"""
MONITOR = """\
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata: {name: a}
spec:
  selector: {matchLabels: {app: a}}
  endpoints: [{port: rest, path: /monitoring/prometheus/metrics}]
"""
MONITORED = DEPLOYMENT.replace("args: [", 'args: ["--monitoring_config_file=/config/monitoring.config", ')
CONFIGS = f"{CONFIG_MAP}  monitoring.config: 'prometheus_config {{ enable: true }}'\n"


@pytest.mark.parametrize(
    ("namespace", "kustomization", "faults"),
    [
        ("", None, []),
        (", namespace: one", None, []),
        (", namespace: two", None, ["the ConfigMap files is in the namespace two, and the pods are in one"]),
        (", namespace: two", "namespace: three\nresources: [a.yaml, b.yaml]\n", []),
    ],
)
def test_a_config_map_stands_beside_the_pods(
    namespace: str, kustomization: str | None, faults: list[str]
) -> None:
    files = {"a__yaml": IN_ONE, "b__yaml": CONFIG_MAP.replace("{name: files", f"{{name: files{namespace}")}
    if kustomization:
        files["kustomization__yaml"] = kustomization
    assert messages(**files) == faults


def test_of_two_config_maps_of_a_name_one_stands_beside_the_pods() -> None:
    one, two = (CONFIG_MAP.replace("files}", f"files, namespace: {name}}}") for name in ("one", "two"))
    assert messages(a__yaml=IN_ONE, b__yaml=one, c__yaml=two) == []


def test_an_autoscaler_stands_beside_its_target() -> None:
    deployment = IN_ONE.replace("  replicas: 1\n", "")
    other = autoscaler(2).replace("metadata: {name: a}", "metadata: {name: a, namespace: two}")
    assert messages(a__yaml=deployment, b__yaml=autoscaler(2)) == []
    assert messages(a__yaml=deployment, b__yaml=other) == [
        "the autoscaler's target a is in the namespace one"
    ]


@pytest.mark.parametrize(
    ("name", "faults"),
    [("serving", []), ("servng", ["the ServiceAccount servng is not there"]), ("other", [])],
)
def test_an_account_that_is_nearly_called_so_was_meant(name: str, faults: list[str]) -> None:
    deployment = DEPLOYMENT.replace(
        "      containers:", f"      serviceAccountName: {name}\n      containers:"
    )
    account = "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: serving}\n"
    assert messages(a__yaml=deployment, b__yaml=account) == faults


@pytest.mark.parametrize(
    ("name", "service", "faults"),
    [
        ("a", SERVICE, []),
        ("b", SERVICE, ["serviceName is b, and there is no Service of that name"]),
        (
            "b",
            SERVICE.replace("{app: a}\n  ports", "{app: c}\n  ports"),
            ["the Service selects no deployment's pods"],
        ),
    ],
)
def test_a_stateful_set_names_the_service_of_its_pods(name: str, service: str, faults: list[str]) -> None:
    stateful = DEPLOYMENT.replace("kind: Deployment", "kind: StatefulSet").replace(
        "spec:\n", f"spec:\n  serviceName: {name}\n", 1
    )
    assert messages(a__yaml=stateful, b__yaml=service) == faults


@pytest.mark.parametrize(
    ("old", "new", "faults"),
    [
        ("", "", []),
        ("port: rest", "port: http", ["the Service a has no port of the name http"]),
        ("port: rest", "port: grpc", ["Prometheus is sent to the gRPC port 8500"]),
        ("/monitoring/prometheus/metrics", "/metrics", ["Prometheus is sent to /metrics"]),
        (", path: /monitoring/prometheus/metrics", "", ["Prometheus is sent to /metrics"]),
        ("{app: a}", "{app: another}", []),
    ],
)
def test_a_service_monitor_asks_the_rest_port(old: str, new: str, faults: list[str]) -> None:
    monitor = MONITOR.replace(old, new)
    assert messages(a__yaml=MONITORED, b__yaml=CONFIGS, c__yaml=SERVICE, d__yaml=monitor) == faults


def test_a_service_monitor_goes_by_the_labels_of_the_service() -> None:
    files = {"a__yaml": MONITORED, "b__yaml": CONFIGS, "d__yaml": MONITOR}
    bare = SERVICE.replace(", labels: {app: a}", "")
    assert messages(**files, c__yaml=bare) == [
        "the ServiceMonitor selects by labels that the Service a lacks"
    ]
    labels = "labels: [{pairs: {app: a}}]\nresources: [a.yaml, b.yaml, c.yaml, d.yaml]\n"
    assert messages(**files, c__yaml=bare, kustomization__yaml=labels) == []


def test_a_service_monitor_that_is_nearly_right() -> None:
    service, monitor = (text.replace("{app: a}", "{app: serving}", 1) for text in (SERVICE, MONITOR))
    files = {"a__yaml": MONITORED, "b__yaml": CONFIGS, "c__yaml": service}
    assert messages(**files, d__yaml=monitor) == []
    found = messages(**files, d__yaml=monitor.replace("serving", "servng"))
    assert found == ["the ServiceMonitor selects no Service"]


def test_a_volume_wants_a_config_map_or_a_secret() -> None:
    deployment = DEPLOYMENT.replace("configMap: {name: files}", "secret: {secretName: files}")
    found = messages(a__yaml=deployment, b__yaml=CONFIG_MAP)
    assert found == ["files is a ConfigMap, and the pods want a Secret"]
    secret = CONFIG_MAP.replace("kind: ConfigMap", "kind: Secret").replace("\ndata:", "\nstringData:")
    assert messages(a__yaml=deployment, b__yaml=secret) == []


@pytest.mark.parametrize(
    ("fields", "faults"),
    [
        ("nodePort: 30500", ["a nodePort of a Service inside the cluster"]),
        ("nodePort: 8500}], type: NodePort, x: [{a: b", ["nodePort is 8500"]),
        ("nodePort: 30500}], type: NodePort, x: [{a: b", []),
        ("name: a}], type: NodePort, clusterIP: None, x: [{a: b", ["a NodePort without an address"]),
        ("name: a}], type: ClusterIP, clusterIP: None, x: [{a: b", []),
    ],
)
def test_a_port_of_the_nodes_is_one_that_the_cluster_gives_out(fields: str, faults: list[str]) -> None:
    spec = f"{{ports: [{{port: 8500, {fields}}}]}}".replace(", x: [{a: b}]", "")
    service = f"apiVersion: v1\nkind: Service\nmetadata: {{name: a}}\nspec: {spec}\n"
    assert messages(a__yaml=service) == faults


def test_the_stock_image_has_no_use_for_a_gpu() -> None:
    limits = "        resources: {limits: {nvidia.com/gpu: 1}}\n        args:"
    deployment = DEPLOYMENT.replace("        args:", limits)
    (note,) = check(a__yaml=deployment).notes
    assert f"a GPU is asked for, and {STOCK} computes on the CPU" in note
    assert check(a__yaml=deployment.replace(STOCK, "tensorflow/serving:2.19.0-gpu")).notes == []


@pytest.mark.parametrize(("share", "faults"), [(0, ["averageUtilization is 0"]), (1, [])])
def test_an_autoscaler_aims_at_some_use(share: int, faults: list[str]) -> None:
    metric = f"{{type: Resource, resource: {{name: cpu, target: {{type: Utilization, averageUtilization: {share}}}}}}}"
    scaler = autoscaler(2).replace("maxReplicas: 2", f"maxReplicas: 2, metrics: [{metric}]")
    deployment = DEPLOYMENT.replace("  replicas: 1\n", "")
    deployment = deployment.replace("        args:", "        resources: {requests: {cpu: 2}}\n        args:")
    assert messages(a__yaml=deployment, b__yaml=scaler) == faults


ROLLOUT = DEPLOYMENT.replace("kind: Deployment", "kind: Rollout").replace("apps/v1", "argoproj.io/v1alpha1")


@pytest.mark.parametrize(
    ("old", "new", "faults"),
    [
        ("", "", 0),
        ("replicas: 1", "replicas: 1\n  strategy: {canary: {steps: [{setWeight: 20}]}}", 0),
        ("--rest_api_port", "--rest_port", 1),
        ("terminationGracePeriodSeconds", "terminationGracePeriod", 1),
        ("selector: {matchLabels: {app: a}}", "selector: {matchLabels: {app: b}}", 1),
    ],
)
def test_the_pods_of_a_rollout_are_judged_as_those_of_a_deployment(old: str, new: str, faults: int) -> None:
    found = messages(a__yaml=ROLLOUT.replace(old, new), b__yaml=CONFIG_MAP)
    assert len(found) == faults
    assert found == messages(a__yaml=DEPLOYMENT.replace(old, new), b__yaml=CONFIG_MAP) or "strategy" in new


def test_a_rollout_of_another_objects_pods_is_a_note() -> None:
    rollout = "apiVersion: argoproj.io/v1alpha1\nkind: Rollout\nmetadata: {name: a}\nspec: {workloadRef: {name: a}}\n"
    result = check(a__yaml=rollout)
    assert (result.findings, len(result.notes)) == ([], 1)


WEB = DEPLOYMENT.replace(STOCK, "web:1").replace(SERVER, "web").replace("app: a", "app: web")
WEB = "\n".join(line for line in WEB.splitlines() if "args:" not in line)


@pytest.mark.parametrize(
    ("deployment", "app", "port", "faults"),
    [
        (DEPLOYMENT, "a", 8501, []),
        (DEPLOYMENT, "a", 8051, ["targetPort 8051 is no port of the pods"]),
        (f"{DEPLOYMENT}---\n{WEB}", "web", 8051, []),
    ],
)
def test_a_service_leads_to_a_port_of_the_server(
    deployment: str, app: str, port: int, faults: list[str]
) -> None:
    ports = f"[{{name: api, port: 80, targetPort: {port}}}]"
    spec = f"{{selector: {{app: {app}}}, ports: {ports}}}"
    service = f"apiVersion: v1\nkind: Service\nmetadata: {{name: a}}\nspec: {spec}\n"
    assert messages(a__yaml=deployment, b__yaml=CONFIG_MAP, c__yaml=service) == faults


@pytest.mark.parametrize(
    ("flags", "faults"),
    [
        ("--rest_api_port=8601", ["another server of the pod listens on 8500"]),
        ("--port=8600, --rest_api_port=8601", []),
    ],
)
def test_two_servers_of_a_pod_have_ports_of_their_own(flags: str, faults: list[str]) -> None:
    first = DEPLOYMENT[DEPLOYMENT.index("      - name: a") : DEPLOYMENT.index("      volumes:")]
    first = first.replace("&probe ", "")
    second = first.replace("name: a\n", "name: b\n").replace('"--rest_api_port=8501"', flags)
    second = second.replace(
        "{httpGet: {path: /v1/models/a, port: 8501}}", "{httpGet: {path: /v1/models/a, port: 8601}}"
    )
    second = second.replace("startupProbe: ", "startupProbe: &other ").replace("*probe", "*other")
    deployment = DEPLOYMENT.replace("      volumes:", f"{second}      volumes:")
    assert messages(a__yaml=deployment, b__yaml=CONFIG_MAP) == faults
