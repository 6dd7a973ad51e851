"""Kubernetes objects that people write: what a cluster does with each, and faults seeded one by one."""

import pytest

from tests.unit.serving_config.field_cases import MODEL, check, messages

pytestmark = pytest.mark.usefixtures("empty_folder")

STOCK, SERVER = "tensorflow/serving:2.20.0", "/usr/bin/tensorflow_model_server"


DEPLOYMENT = f"""\
apiVersion: apps/v1
kind: Deployment
metadata: {{name: a}}
spec:
  replicas: 1
  selector: {{matchLabels: {{app: a}}}}
  template:
    metadata: {{labels: {{app: a}}}}
    spec:
      shareProcessNamespace: true
      terminationGracePeriodSeconds: 90
      containers:
      - name: a
        image: {STOCK}
        command: [{SERVER}]
        args: ["--rest_api_port=8501", "--model_config_file=/config/models.config"]
        lifecycle: {{preStop: {{sleep: {{seconds: 60}}}}}}
        startupProbe: &probe {{httpGet: {{path: /v1/models/a, port: 8501}}}}
        readinessProbe: *probe
        livenessProbe: *probe
        volumeMounts: [{{name: config, mountPath: /config}}, {{name: models, mountPath: /models}}]
      volumes: [{{name: config, configMap: {{name: files}}}}, {{name: models, nfs: {{server: b, path: /m}}}}]
"""
CONFIG_MAP = (
    f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: files}}\ndata:\n  models.config: |\n    {MODEL}\n"
)
TAKES_AWAY = "a rolling update takes replicas away before new ones are ready"


def autoscaler(most: int) -> str:
    target = "scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: a}"
    return (
        "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: a}\n"
        f"spec: {{{target}, minReplicas: 1, maxReplicas: {most}}}\n"
    )


@pytest.mark.parametrize(("replicas", "faults"), [(1, []), (3, []), (4, [TAKES_AWAY])])
def test_a_quarter_of_the_replicas_is_rounded_down(replicas: int, faults: list[str]) -> None:
    assert messages(a__yaml=DEPLOYMENT.replace("replicas: 1", f"replicas: {replicas}")) == faults


@pytest.mark.parametrize(("most", "faults"), [(3, []), (4, [TAKES_AWAY])])
def test_the_autoscalers_most_replicas_count(most: int, faults: list[str]) -> None:
    assert messages(a__yaml=DEPLOYMENT.replace("  replicas: 1\n", ""), b__yaml=autoscaler(most)) == faults


def test_recreate_has_words_of_its_own() -> None:
    text = DEPLOYMENT.replace("  replicas: 1\n", "  strategy: {type: Recreate}\n")
    assert messages(a__yaml=text) == ["Recreate ends every replica before the first new one starts"]


@pytest.mark.parametrize("kustomization", [None, "resources: [a.yaml, b.yaml]\n"])
def test_a_config_map_is_read_where_it_stands(kustomization: str | None) -> None:
    files = {"a__yaml": DEPLOYMENT, "b__yaml": CONFIG_MAP}
    if kustomization:
        files["kustomization__yaml"] = kustomization
    assert messages(**files) == []
    broken = check(**{**files, "b__yaml": CONFIG_MAP.replace('name: "a"', 'nam: "a"')}).findings
    assert [(finding.line, finding.message) for finding in broken] == [(6, "ModelConfig has no field nam")]


@pytest.mark.parametrize(
    ("plain", "wrong", "message"),
    [
        ('"a"', '"b"', "the health check asks for the model a"),
        (
            '"tensorflow" }',
            '"tensorflow" version_labels { key: "stable" value: 1 } }',
            "labels on versions that are not loaded yet",
        ),
    ],
)
@pytest.mark.parametrize(
    "mounted", ["mountPath: /config}", "mountPath: /config/models.config, subPath: models.config}"]
)
def test_a_server_is_held_to_the_config_map_that_it_mounts(
    plain: str, wrong: str, message: str, mounted: str
) -> None:
    deployment = DEPLOYMENT.replace("mountPath: /config}", mounted)
    assert messages(a__yaml=deployment, b__yaml=CONFIG_MAP) == []
    assert message in messages(a__yaml=deployment, b__yaml=CONFIG_MAP.replace(plain, wrong, 1))


def test_metrics_are_where_the_config_map_says() -> None:
    annotations = 'annotations: {prometheus.io/scrape: "true", prometheus.io/path: /metrics}, '
    deployment = DEPLOYMENT.replace("metadata: {labels", f"metadata: {{{annotations}labels").replace(
        "/models.config", '/models.config", "--monitoring_config_file=/config/monitoring.config'
    )
    text = "prometheus_config { enable: true, path: '/metrics' }"
    files = f'{CONFIG_MAP}  monitoring.config: "{text}"\n'
    assert messages(a__yaml=deployment, b__yaml=files) == []
    wrong = files.replace("/metrics", "/elsewhere")
    assert messages(a__yaml=deployment, b__yaml=wrong) == ["Prometheus is sent to /metrics"]


def test_a_config_map_that_nobody_makes_is_a_fault_of_a_kustomization() -> None:
    files = {"a__yaml": DEPLOYMENT, "b__yaml": CONFIG_MAP.replace("name: files", "name: others")}
    found = messages(**files, kustomization__yaml="resources: [a.yaml, b.yaml]\n")
    assert "the volume config wants files, which no kustomization generates" in found


SERVICE_OF_HELM = "apiVersion: v1\nkind: Service\nspec:\n  ports:\n  - port: {{ .Values.port }}\n"


@pytest.mark.parametrize(
    "text", ['metadata:\n  {{- include "x" . }}\n', "kind: {{ .Values.kind }}: x\n", SERVICE_OF_HELM]
)
def test_a_template_of_helm_is_a_note(text: str) -> None:
    result = check(a__yaml=text)
    assert result.findings == []
    assert "check what `helm template` prints" in result.notes[0]


def test_the_values_of_a_chart_are_no_compose_file() -> None:
    values = "services: {grpc: 8500}\n"
    assert messages(values__yaml=values, Chart__yaml="apiVersion: v2\nname: a\n") == []
    assert messages(**{"docker-compose__yml": values}) == ["services.grpc is 8500"]


# Faults between objects, seeded one by one.


def claim(name: str, mode: str) -> str:
    return (
        f"apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {{name: {name}}}\n"
        f"spec: {{accessModes: [{mode}], resources: {{requests: {{storage: 1Gi}}}}}}\n"
    )


def with_claim(replicas: int) -> str:
    text = DEPLOYMENT.replace("nfs: {server: b, path: /m}", "persistentVolumeClaim: {claimName: models}")
    strategy = "strategy: {rollingUpdate: {maxUnavailable: 0}}"
    return text.replace("replicas: 1", f"replicas: {replicas}\n  {strategy}")


@pytest.mark.parametrize(
    ("mode", "replicas"), [("ReadWriteOnce", 1), ("ReadWriteMany", 4), ("ReadOnlyMany", 2)]
)
def test_a_claim_that_every_replica_can_mount_is_no_fault(mode: str, replicas: int) -> None:
    assert messages(a__yaml=with_claim(replicas), c__yaml=claim("models", mode)) == []


@pytest.mark.parametrize("mode", ["ReadWriteOnce", "ReadWriteOncePod"])
def test_a_claim_of_one_node_does_not_do_for_several_replicas(mode: str) -> None:
    found = messages(a__yaml=with_claim(2), c__yaml=claim("models", mode))
    assert found == ["the claim models is mounted by one node, and there are several replicas"]


def test_a_claim_of_another_name_is_a_fault() -> None:
    files = {"a__yaml": with_claim(1), "b__yaml": CONFIG_MAP, "c__yaml": claim("model", "ReadWriteOnce")}
    kustomization = "resources: [a.yaml, b.yaml, c.yaml]\n"
    assert (
        messages(**files)
        == messages(**files, kustomization__yaml=kustomization)
        == ["the claim models is not there"]
    )


def test_a_claim_may_be_in_the_cluster_already() -> None:
    other = with_claim(1).replace("name: a", "name: b").replace("claimName: models", "claimName: logs")
    assert messages(a__yaml=with_claim(1), b__yaml=other, c__yaml=claim("logs", "ReadWriteOnce")) == []


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "lifecycle: {preStop: {sleep: {seconds: 60}}}",
            "lifecycle: {preStop: {exec: {command: [/bin/true]}}}",
            None,
        ),
        ("seconds: 60", "seconds: 0", None),
        (
            "command: [/usr",
            "securityContext: {runAsUser: 0}\n        command: [/usr",
            "the server runs as root",
        ),
        ("containers:", "securityContext: {runAsUser: 0}\n      containers:", "the server runs as root"),
        (
            "command: [/usr",
            "resources: {limits: {memory: 64Mi}}\n        command: [/usr",
            "64Mi of memory is less",
        ),
        (
            "command: [/usr",
            "resources: {limits: {memory: 1Gi}, requests: {memory: 1500M}}\n        command: [/usr",
            "1500M of memory is requested, and the limit is 1Gi",
        ),
        (
            "command: [/usr",
            "resources: {limits: {memory: 100M}}\n        command: [/usr",
            "100M of memory is less",
        ),
    ],
)
def test_a_seeded_fault_of_a_pod_is_found(old: str, new: str, message: str | None) -> None:
    (found,) = messages(a__yaml=DEPLOYMENT.replace(old, new))
    assert found.startswith(message or "preStop ends at once")


@pytest.mark.parametrize("script", ["[/bin/sh, -c, sleep 60]", "[/drain.sh]"])
def test_a_hook_that_is_not_read_is_no_fault(script: str) -> None:
    assert messages(a__yaml=DEPLOYMENT.replace("sleep: {seconds: 60}", f"exec: {{command: {script}}}")) == []


def other(kind: str, version: str, spec: str) -> str:
    return f"apiVersion: {version}\nkind: {kind}\nmetadata: {{name: b}}\nspec: {{{spec}}}\n"


PORTS = DEPLOYMENT.replace(
    "volumeMounts:", "ports: [{name: grpc, containerPort: 8500}]\n        volumeMounts:"
)
SELECTOR = "selector: {matchLabels: {app: a}}"


@pytest.mark.parametrize(
    ("sound", "broken", "message"),
    [
        ("maxUnavailable: 1", "maxUnavailable: 0", "maxUnavailable 0 lets no pod go"),
        ("minAvailable: 1", "minAvailable: 100%", "minAvailable 100% of 2 lets no pod go"),
        ("minAvailable: 50%", "minAvailable: 51%", "minAvailable 51% of 2 lets no pod go"),
        ("minAvailable: 0", "minAvailable: 2", "minAvailable 2 of 2 lets no pod go"),
    ],
)
def test_a_budget_that_lets_no_pod_go_is_a_fault(sound: str, broken: str, message: str) -> None:
    for amount, found in ((sound, []), (broken, [message])):
        budget = other("PodDisruptionBudget", "policy/v1", f"{amount}, {SELECTOR}")
        assert messages(a__yaml=PORTS.replace("replicas: 1", "replicas: 2"), b__yaml=budget) == found


@pytest.mark.parametrize(
    ("port", "faults"), [("8500", []), ("grpc", []), ("9000", ["port 9000 is no port of the pods"])]
)
def test_a_network_policy_lets_in_where_the_pods_listen(port: str, faults: list[str]) -> None:
    spec = f"podSelector: {{matchLabels: {{app: a}}}}, ingress: [{{ports: [{{port: {port}}}]}}]"
    assert messages(a__yaml=PORTS, b__yaml=other("NetworkPolicy", "networking.k8s.io/v1", spec)) == faults


def test_a_service_may_name_a_port_that_the_pods_do_not_declare() -> None:
    service = other("Service", "v1", "selector: {app: a}, ports: [{port: 80, targetPort: 8500}]")
    assert messages(a__yaml=DEPLOYMENT, b__yaml=service) == []


def test_a_config_map_of_nearly_that_name_is_the_one_that_was_meant() -> None:
    files = {"a__yaml": DEPLOYMENT, "b__yaml": CONFIG_MAP.replace("name: files", "name: file")}
    assert messages(**files) == ["the volume config wants files, which is not there"]


@pytest.mark.parametrize(
    ("most", "faults"), [(0, []), (2, []), (1, ["minReplicas 2 is above maxReplicas 1"])]
)
def test_the_replicas_of_kserve_have_bounds_that_fit(most: int, faults: list[str]) -> None:
    model = "model: {modelFormat: {name: tensorflow}, storageUri: gs://a/b}"
    text = (
        "apiVersion: serving.kserve.io/v1beta1\nkind: InferenceService\nmetadata: {name: a}\n"
        f"spec: {{predictor: {{minReplicas: 2, maxReplicas: {most}, {model}}}}}\n"
    )
    assert messages(a__yaml=text) == faults


SERVICE = (
    "apiVersion: v1\nkind: Service\nmetadata: {name: serving}\n"
    "spec: {selector: {app: a}, ports: [{name: grpc, port: 8500}]}\n"
)


@pytest.mark.parametrize(
    "text",
    [
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndata: {1: a, models.config: 5}\n",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: [x]\ndata: [1]\n",
        "apiVersion: v1\nkind: [a]\nmetadata: {name: x}\n",
        "apiVersion: serving.kserve.io/v1beta1\nkind: InferenceService\nmetadata: [a]\nspec: {predictor: [1]}\n",
    ],
)
def test_an_object_of_an_odd_shape_stops_no_check(text: str) -> None:
    assert not [message for message in messages(a__yaml=text) if "cannot be checked" in message]
