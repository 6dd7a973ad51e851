"""An emptyDir begins empty: a server finds its models there only where something else in the pod writes them."""

import pytest

from tests.unit.serving_config.field_cases import messages
from tests.unit.serving_config.test_check_kubernetes_cases import CONFIG_MAP, DEPLOYMENT

pytestmark = pytest.mark.usefixtures("empty_folder")

EMPTY = DEPLOYMENT.replace("nfs: {server: b, path: /m}", "emptyDir: {}")
NOTHING = "nothing puts /models/a (model a) into the volume at /models"
LOADER = "{name: loader, image: 'amazon/aws-cli:2.17.0', volumeMounts: [{name: models, mountPath: /m}]}"
FLAGS = EMPTY.replace(
    "--model_config_file=/config/models.config", '--model_name=a", "--model_base_path=/models/a'
)


@pytest.mark.parametrize("text", [EMPTY, FLAGS])
def test_models_in_a_volume_that_nothing_fills_are_a_fault(text: str) -> None:
    assert messages(a__yaml=text, b__yaml=CONFIG_MAP) == [NOTHING]


@pytest.mark.parametrize("key", ["initContainers", "containers"])
def test_another_container_may_fill_it(key: str) -> None:
    text = EMPTY.replace("containers:\n", f"containers:\n      - {LOADER}\n")
    if key == "initContainers":
        text = EMPTY.replace("containers:\n", f"initContainers: [{LOADER}]\n      containers:\n")
    assert NOTHING not in messages(a__yaml=text, b__yaml=CONFIG_MAP)


def test_a_script_may_fill_it() -> None:
    script = "fetch && exec tensorflow_model_server --rest_api_port=8501 --model_name=a --model_base_path=/models/a"
    lines = [line for line in EMPTY.splitlines() if "args:" not in line]
    text = "\n".join(lines).replace(
        "command: [/usr/bin/tensorflow_model_server]", f"command: [sh, -c, '{script}']"
    )
    assert messages(a__yaml=text) == []


def test_an_image_of_ones_own_may_fill_it() -> None:
    text = EMPTY.replace("image: tensorflow/serving", "image: example/serving")
    assert messages(a__yaml=text, b__yaml=CONFIG_MAP) == []


def test_an_empty_volume_for_something_else_is_no_fault() -> None:
    text = DEPLOYMENT.replace(
        "{name: models, mountPath", "{name: tmp, mountPath: /tmp}, {name: models, mountPath"
    )
    text = text.replace("volumes: [", "volumes: [{name: tmp, emptyDir: {}}, ")
    assert messages(a__yaml=text, b__yaml=CONFIG_MAP) == []


SERVICE = """\
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata: {name: a}
spec:
  predictor:
    shareProcessNamespace: true
    terminationGracePeriodSeconds: 90
    containers:
      - name: kserve-container
        image: tensorflow/serving:2.20.0
        command: [/usr/bin/tensorflow_model_server]
        args: [--rest_api_port=8080, --model_name=a, --model_base_path=/mnt/models]
        env: [{name: NAME, value: "gs://bucket/a"}]
        lifecycle: {preStop: {sleep: {seconds: 60}}}
        startupProbe: &probe {httpGet: {path: /v1/models/a, port: 8080}}
        readinessProbe: *probe
        livenessProbe: *probe
"""


@pytest.mark.parametrize(("name", "faults"), [("STORAGE_URI", 0), ("STORAGE", 1)])
def test_kserve_brings_the_models_of_storage_uri(name: str, faults: int) -> None:
    text = SERVICE.replace("NAME", name)
    found = messages(a__yaml=text, kustomization__yaml="resources: [a.yaml]\n")
    assert found == ["nothing puts /mnt/models (model a) into the container"] * faults


@pytest.mark.parametrize(
    ("old", "new", "faults"),
    [
        ("mountPath: /models}", "mountPath: /data}", 1),
        ("mountPath: /models}", "mountPath: /models/a/1}", 0),
        ("image: tensorflow/serving:2.20.0", "image: example/serving:1", 0),
    ],
)
def test_the_stock_image_holds_no_model(old: str, new: str, faults: int) -> None:
    text = FLAGS.replace("emptyDir: {}", "nfs: {server: b, path: /m}").replace(old, new)
    if old.startswith("image"):
        text = text.replace("mountPath: /models}", "mountPath: /data}")
    found = messages(a__yaml=text, b__yaml=CONFIG_MAP)
    assert found == ["nothing puts /models/a (model a) into the container"] * faults
