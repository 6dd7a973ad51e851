"""Forms of deployment files that people use: what the real server accepts is no fault, what it does not is one."""

from pathlib import Path

import pytest
from slimserve.serving_config.check.inspection import Result, inspect

MODEL = 'model_config_list { config { name: "a" base_path: "/models/a" model_platform: "tensorflow" } }'
STOCK, SERVER = "tensorflow/serving:2.20.0", "/usr/bin/tensorflow_model_server"
SCRIPT = "the image's entry point script keeps SIGTERM from the server"


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def check(**files: str) -> Result:
    """The verdict on files of one folder; `__` in a name stands for a dot."""
    for name, text in files.items():
        path = Path("deploy", name.replace("__", "."))
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return inspect([Path("deploy")], None, [])


def messages(**files: str) -> list[str]:
    return [finding.message for finding in check(**files).findings]


def compose(service: str, rest: str = "") -> list[str]:
    text = f"services:\n  s: {{image: '{STOCK}', init: true, {service}}}\n{rest}"
    return messages(compose__yml=text)


# The stock image's own script.


@pytest.mark.parametrize("environment", ["{MODEL_NAME: a}", "[MODEL_NAME=a]"])
def test_the_stock_script_serves_the_model_of_the_environment_on_both_ports(environment: str) -> None:
    service = f"environment: {environment}, volumes: ['./a:/models/a:ro'], ports: ['127.0.0.1:8501:8501']"
    assert compose(service) == [SCRIPT]


def test_the_stock_script_needs_the_model_where_it_looks() -> None:
    found = compose("environment: {MODEL_NAME: b}, volumes: ['./a:/models/a:ro']")
    assert "nothing puts /models/b (model b) into the container" in found


def test_a_flag_after_the_stock_script_replaces_the_scripts_own() -> None:
    service = "command: ['--rest_api_port=9000'], volumes: ['m:/models:ro'], ports: ['127.0.0.1:9000:9000']"
    assert compose(service, "volumes: {m: {}}") == [SCRIPT]


def test_a_variable_that_the_stock_script_ignores_is_named() -> None:
    found = compose(
        "environment: {MODEL_CONFIG_FILE: /m.config}, volumes: ['m:/models:ro']", "volumes: {m: {}}"
    )
    assert "MODEL_CONFIG_FILE is set" in found


@pytest.mark.parametrize("environment", ["ENV MODEL_NAME=a", "ENV MODEL_NAME a"])
def test_a_dockerfile_sets_the_model_of_the_stock_script(environment: str) -> None:
    found = messages(Dockerfile=f"FROM {STOCK}\nCOPY a /models/a\n{environment}\nUSER 1000\n")
    assert found == ["the server is not the entry point, and gets no signals"]


# Shells.


@pytest.mark.parametrize(
    ("entrypoint", "script"),
    [
        ("[/bin/bash, -c]", f"{SERVER} --port=8500 --model_name=a --model_base_path=/models/a"),
        (
            "[sh, -ec]",
            "mkdir -p /tmp/a && exec tensorflow_model_server --port=8500 --model_base_path=/models/a",
        ),
    ],
)
def test_the_flags_in_a_shells_script_are_read(entrypoint: str, script: str) -> None:
    service = f"entrypoint: {entrypoint}, command: ['{script}'], volumes: ['m:/models:ro'],"
    assert compose(f"{service} ports: ['127.0.0.1:8500:8500']", "volumes: {m: {}}") == []
    assert compose(f"{service} ports: ['127.0.0.1:9000:9000']", "volumes: {m: {}}") == [
        "s publishes port 9000"
    ]


def test_a_shell_that_stays_keeps_signals_from_the_server() -> None:
    script = "echo start; tensorflow_model_server --model_base_path=/models/a; echo end"
    found = compose(
        f"entrypoint: [sh, -c], command: ['{script}'], volumes: ['m:/models:ro']", "volumes: {m: {}}"
    )
    assert found == ["the shell keeps SIGTERM from the server"]


def test_a_script_that_does_not_name_the_server_is_a_note() -> None:
    text = f"services:\n  s: {{image: '{STOCK}', init: true, entrypoint: [sh, -c], command: [/start.sh]}}\n"
    result = check(compose__yml=text)
    assert (result.findings, len(result.notes)) == ([], 1)


# What puts files into the container.


@pytest.mark.parametrize(
    ("kind", "entry", "path"),
    [
        ("configs", "{source: list, target: /etc/models.config}", "/etc/models.config"),
        ("configs", "list", "/list"),
        ("secrets", "{source: list, target: models.config}", "/run/secrets/models.config"),
        ("secrets", "list", "/run/secrets/list"),
    ],
)
def test_configs_and_secrets_of_compose_are_files(kind: str, entry: str, path: str) -> None:
    service = f"entrypoint: [{SERVER}], command: ['--model_config_file={path}'], {kind}: [{entry}], "
    rest = f"volumes: {{m: {{}}}}\n{kind}: {{list: {{file: ./FILE}}}}"
    Path("deploy").mkdir()
    Path("deploy/models.config").write_text(MODEL)
    assert compose(f"{service} volumes: ['m:/models:ro']", rest.replace("FILE", "models.config")) == []
    missing = compose(f"{service} volumes: ['m:/models:ro']", rest.replace("FILE", "other.config"))
    assert missing == ["deploy/other.config is not there"]


@pytest.mark.parametrize(
    "copies",
    [
        "WORKDIR /models\nCOPY models.config list.config\nCOPY a a\n",
        "WORKDIR /\nWORKDIR models\nCOPY models.config ./list.config\nCOPY a/ ./a\n",
        "COPY models.config /models/list.config\nCOPY a/ /models/a/\n",
    ],
)
def test_what_a_dockerfile_copies_is_relative_to_its_working_directory(copies: str) -> None:
    Path("deploy/a/1").mkdir(parents=True)
    Path("deploy/a/1/saved_model.pb").write_bytes(b"\x12\x00")
    command = 'CMD ["--model_config_file=/models/list.config"]'
    text = f'FROM {STOCK}\n{copies}USER 1000\nENTRYPOINT ["{SERVER}"]\n{command}\n'
    assert messages(Dockerfile=text, models__config=MODEL) == []
    moved = text.replace("list.config\n", "elsewhere.config\n", 1)
    found = messages(Dockerfile=moved, models__config=MODEL)
    assert found == ["--model_config_file: nothing puts /models/list.config into the container"]


# Addresses of models.


@pytest.mark.parametrize("address", ["gs://bucket/a", "file:///models/a"])
def test_an_address_that_the_server_reads_is_no_fault(address: str) -> None:
    assert messages(models__config=MODEL.replace("/models/a", address)) == []


@pytest.mark.parametrize("address", ["s3://bucket/a", "https://example.com/a"])
def test_an_address_that_the_server_waits_for_without_end_is_a_fault(address: str) -> None:
    wanted = f"the server reads no {address.partition(':')[0]}:// (it reads folders, file:// and gs://)"
    assert messages(models__config=MODEL.replace("/models/a", address)) == [wanted]
    assert wanted in compose(f"entrypoint: [{SERVER}], command: ['--model_base_path={address}']")


# Files that are no text protos.


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"model_config_list": {"config": []}}', "this is JSON"),
        ("model_config_list:\n  config:\n    name: a\n", "this is YAML"),
        ("model_config_list:\n  config:\n  - name: a\n", "this is YAML"),
        (f"// ours\n{MODEL}", "a comment begins with //"),
        (f"/* ours */ {MODEL}", "a comment begins with //"),
        (MODEL.replace('"a"', "“a”"), "typographic quotes"),
        (MODEL.replace('"a"', "‘a’"), "typographic quotes"),
        (f"\ufeff{MODEL}", "a byte order mark, on which the server ends"),
    ],
)
def test_another_format_is_named(text: str, message: str) -> None:
    assert messages(models__config=text) == [message]


def test_a_list_without_a_model_is_a_note() -> None:
    result = check(models__config="model_config_list {}")
    assert result.findings == []
    assert "the server starts, and waits for a reload" in result.notes[0]


@pytest.mark.parametrize("number", ["inf", "-inf", "nan", "0.5f", "1e3"])
def test_every_notation_of_a_number_is_read(number: str) -> None:
    logging = f"logging_config {{ sampling_config {{ sampling_rate: {number} }} }}"
    assert messages(models__config=MODEL.replace('name: "a"', f'name: "a" {logging}')) == []


# Kubernetes.


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
      volumes: [{{name: config, configMap: {{name: files}}}}, {{name: models, emptyDir: {{}}}}]
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


def test_a_config_map_that_nobody_makes_is_a_fault_of_a_kustomization() -> None:
    files = {"a__yaml": DEPLOYMENT, "b__yaml": CONFIG_MAP.replace("name: files", "name: others")}
    found = messages(**files, kustomization__yaml="resources: [a.yaml, b.yaml]\n")
    assert "the volume config wants files, which no kustomization generates" in found


@pytest.mark.parametrize("text", ['metadata:\n  {{- include "x" . }}\n', "kind: {{ .Values.kind }}: x\n"])
def test_a_template_of_helm_is_a_note(text: str) -> None:
    result = check(a__yaml=text)
    assert result.findings == []
    assert "check what `helm template` prints" in result.notes[0]


# Faults between objects, seeded one by one.


def claim(name: str, mode: str) -> str:
    return (
        f"apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {{name: {name}}}\n"
        f"spec: {{accessModes: [{mode}], resources: {{requests: {{storage: 1Gi}}}}}}\n"
    )


def with_claim(replicas: int) -> str:
    text = DEPLOYMENT.replace("emptyDir: {}", "persistentVolumeClaim: {claimName: models}")
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
    found = messages(**files, kustomization__yaml="resources: [a.yaml, b.yaml, c.yaml]\n")
    assert found == ["the claim models is not there"]


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
        ("minAvailable: 1", "minAvailable: 100%", "minAvailable 100% lets no pod go"),
    ],
)
def test_a_budget_that_lets_no_pod_go_is_a_fault(sound: str, broken: str, message: str) -> None:
    for amount, found in ((sound, []), (broken, [message])):
        budget = other("PodDisruptionBudget", "policy/v1", f"{amount}, {SELECTOR}")
        assert messages(a__yaml=PORTS, b__yaml=budget) == found


@pytest.mark.parametrize(
    ("port", "faults"), [("8500", []), ("grpc", []), ("9000", ["port 9000 is no port of the pods"])]
)
def test_a_network_policy_lets_in_where_the_pods_listen(port: str, faults: list[str]) -> None:
    spec = f"podSelector: {{matchLabels: {{app: a}}}}, ingress: [{{ports: [{{port: {port}}}]}}]"
    assert messages(a__yaml=PORTS, b__yaml=other("NetworkPolicy", "networking.k8s.io/v1", spec)) == faults


def test_a_service_may_name_a_port_that_the_pods_do_not_declare() -> None:
    service = other("Service", "v1", "selector: {app: a}, ports: [{port: 80, targetPort: 8500}]")
    assert messages(a__yaml=DEPLOYMENT, b__yaml=service) == []
