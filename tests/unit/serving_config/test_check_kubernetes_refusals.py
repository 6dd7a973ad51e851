"""What a cluster refuses, or reads otherwise than it looks: users, devices, shares of pods, old autoscalers."""

import pytest

from tests.unit.serving_config.field_cases import messages
from tests.unit.serving_config.test_check_kubernetes_cases import DEPLOYMENT, SELECTOR, TAKES_AWAY, other

pytestmark = pytest.mark.usefixtures("empty_folder")

COMMAND = "command: [/usr"
NO_USER = "runAsNonRoot without runAsUser, and the image's user is root"


def container(field: str, deployment: str = DEPLOYMENT) -> list[str]:
    """The faults of a deployment whose container has one field more."""
    return messages(a__yaml=deployment.replace(COMMAND, f"{field}\n        {COMMAND}"))


def pod(field: str) -> str:
    return DEPLOYMENT.replace("containers:", f"{field}\n      containers:")


@pytest.mark.parametrize(
    ("of_pod", "of_container", "faults"),
    [
        ("runAsNonRoot: true", "", [NO_USER]),
        ("", "runAsNonRoot: true", [NO_USER]),
        ("runAsNonRoot: true, runAsUser: 65532", "", []),
        ("runAsNonRoot: true", "runAsUser: 65532", []),
        ("runAsUser: 65532", "runAsNonRoot: true", []),
        ("runAsNonRoot: true", "runAsNonRoot: false", []),
    ],
)
def test_the_stock_image_needs_a_user_that_is_not_root(
    of_pod: str, of_container: str, faults: list[str]
) -> None:
    field = f"securityContext: {{{of_container}}}"
    assert container(field, pod(f"securityContext: {{{of_pod}}}")) == faults


def test_an_image_of_ones_own_may_have_a_user() -> None:
    own = pod("securityContext: {runAsNonRoot: true}").replace("tensorflow/serving", "example/serving")
    assert messages(a__yaml=own) == []


@pytest.mark.parametrize(
    ("resources", "faults"),
    [
        ("limits: {nvidia.com/gpu: 1}", []),
        ("limits: {nvidia.com/gpu: 1}, requests: {nvidia.com/gpu: 1}", []),
        ("limits: {nvidia.com/gpu: 1}, requests: {nvidia.com/gpu: '1'}", []),
        ("requests: {nvidia.com/gpu: 1}", ["nvidia.com/gpu is requested without a limit"]),
        (
            "limits: {nvidia.com/gpu: 2}, requests: {nvidia.com/gpu: 1}",
            ["1 of nvidia.com/gpu is requested, and the limit is 2"],
        ),
        (
            "limits: {nvidia.com/gpu: 1}, requests: {nvidia.com/gpu: 2}",
            ["2 of nvidia.com/gpu is requested, and the limit is 1"],
        ),
    ],
)
def test_a_gpu_is_requested_by_its_limit(resources: str, faults: list[str]) -> None:
    assert container(f"resources: {{{resources}}}") == faults


@pytest.mark.parametrize(
    ("amount", "faults"),
    [
        ("maxUnavailable: '1'", ["maxUnavailable is '1'"]),
        ("minAvailable: half", ["minAvailable is 'half'"]),
        ("maxUnavailable: 1", []),
        ("maxUnavailable: '100%'", []),
    ],
)
def test_a_number_of_pods_stands_without_quotes(amount: str, faults: list[str]) -> None:
    budget = other("PodDisruptionBudget", "policy/v1", f"{amount}, {SELECTOR}")
    assert messages(a__yaml=DEPLOYMENT, b__yaml=budget) == faults


@pytest.mark.parametrize(
    ("rolling", "faults"),
    [
        ("maxUnavailable: 20%, maxSurge: 0", [TAKES_AWAY]),
        ("maxUnavailable: 20%, maxSurge: 0%", [TAKES_AWAY]),
        ("maxUnavailable: 20%, maxSurge: 1%", []),
        ("maxUnavailable: 34%, maxSurge: 1", [TAKES_AWAY]),
        ("maxUnavailable: 33%, maxSurge: 1", []),
        ("maxUnavailable: 0, maxSurge: '1'", ["maxSurge is '1'"]),
    ],
)
def test_of_shares_that_come_to_nothing_kubernetes_takes_one(rolling: str, faults: list[str]) -> None:
    strategy = f"replicas: 3\n  strategy: {{rollingUpdate: {{{rolling}}}}}"
    assert messages(a__yaml=DEPLOYMENT.replace("replicas: 1", strategy)) == faults


@pytest.mark.parametrize(
    ("resources", "share", "faults"),
    [
        ("requests: {cpu: 1}", 70, []),
        ("limits: {cpu: 1}", 70, []),
        ("", 70, ["the container a requests no cpu, of which this is a share"]),
        (
            "requests: {cpu: 1}, limits: {cpu: 2}",
            300,
            ["targetCPUUtilizationPercentage 300 is never reached, the limit is 200 % of the request"],
        ),
    ],
)
def test_an_autoscaler_of_version_1_measures_a_share_of_the_request(
    resources: str, share: int, faults: list[str]
) -> None:
    spec = "scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: a}, maxReplicas: 3"
    spec += f", targetCPUUtilizationPercentage: {share}"
    deployment = DEPLOYMENT.replace("  replicas: 1\n", "").replace(
        COMMAND, f"resources: {{{resources}}}\n        {COMMAND}"
    )
    scaler = other("HorizontalPodAutoscaler", "autoscaling/v1", spec)
    assert messages(a__yaml=deployment, b__yaml=scaler) == faults


FROM_FIELD = "valueFrom: {fieldRef: {fieldPath: metadata.name}}"
TWO_PROBES = "livenessProbe: {httpGet: {path: /v1/models/a, port: 8501}, tcpSocket: {port: 8501}}"


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("readinessProbe: *probe", "readinessProbe: {periodSeconds: 5}", "readinessProbe has no handler"),
        ("livenessProbe: *probe", TWO_PROBES, "livenessProbe has httpGet and tcpSocket"),
        ("{sleep: {", "{exec: {command: [sleep, '60']}, sleep: {", "preStop has exec and sleep"),
        ("nfs: {", "emptyDir: {}, nfs: {", "the volume models is emptyDir and nfs"),
        (
            COMMAND,
            f"env: [{{name: A, value: a, {FROM_FIELD}}}]\n        {COMMAND}",
            "A has value beside valueFrom",
        ),
        ("replicas: 1", "replicas: -1", "replicas is -1"),
        ("port: 8501}}", "port: 8501}, timeoutSeconds: -5}", "timeoutSeconds is -5"),
    ],
)
def test_a_cluster_takes_one_of_several_ways_and_no_number_below_0(old: str, new: str, fault: str) -> None:
    assert fault in messages(a__yaml=DEPLOYMENT.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("replicas: 1", "replicas: 0"),
        ("port: 8501}}", "port: 8501}, timeoutSeconds: 5}"),
        (COMMAND, f"env: [{{name: A, value: a}}, {{name: B, {FROM_FIELD}}}]\n        {COMMAND}"),
    ],
)
def test_each_way_by_itself_is_sound(old: str, new: str) -> None:
    assert messages(a__yaml=DEPLOYMENT.replace(old, new)) == []


HEAD = DEPLOYMENT.partition("spec:\n")[0]
LABELS = "metadata: {labels: {app: a}}\n"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (f"{HEAD}spec:\n", "spec lacks selector and template"),
        (HEAD, "spec lacks selector and template"),
        (
            f"{HEAD}spec:\n  selector: {{matchLabels: {{app: a}}}}\n  template:\n    {LABELS}",
            "spec.template.spec lacks containers",
        ),
        ("apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {}\n", "spec lacks containers"),
        ("apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n", "spec lacks containers"),
        ("apiVersion: batch/v1\nkind: Job\nmetadata: {name: a}\nspec: null\n", "spec lacks template"),
    ],
)
def test_an_object_without_a_spec_lacks_what_an_empty_one_does(text: str, fault: str) -> None:
    assert messages(a__yaml=text) == [fault]


@pytest.mark.parametrize("kind", ["ConfigMap", "Secret", "ServiceAccount", "Namespace"])
def test_an_object_that_needs_no_spec_is_whole_without_one(kind: str) -> None:
    assert messages(a__yaml=f"apiVersion: v1\nkind: {kind}\nmetadata: {{name: a}}\n") == []


@pytest.mark.parametrize(
    ("metadata", "faults"),
    [
        ("metadata: {}", ["the Deployment has no name"]),
        ("metadata:", ["the Deployment has no name"]),
        ("", ["the Deployment has no name"]),
        ("metadata: {labels: {app: a}}", ["the Deployment has no name"]),
        ("metadata: {generateName: a-}", []),
    ],
)
def test_an_object_has_a_name(metadata: str, faults: list[str]) -> None:
    assert messages(a__yaml=DEPLOYMENT.replace("metadata: {name: a}", metadata, 1)) == faults


@pytest.mark.parametrize(
    ("source", "faults"),
    [
        ("path: /srv/models", []),
        ("path: /srv/models, type: ''", []),
        ("path: /srv/models, type: DirectoryOrCreate", []),
        ("path: /srv/models, type: directory", ["type is directory"]),
        ("path: ./models", ["hostPath is ./models, which is no place on a node"]),
    ],
)
def test_a_folder_of_the_node_is_written_from_its_root(source: str, faults: list[str]) -> None:
    assert (
        messages(a__yaml=DEPLOYMENT.replace("nfs: {server: b, path: /m}", f"hostPath: {{{source}}}"))
        == faults
    )
