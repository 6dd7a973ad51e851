"""Variables of a container: who fills them in, and from where their values come."""

from pathlib import Path

import pytest

from tests.unit.serving_config.field_cases import STOCK, check, compose, messages

SERVER = "/usr/bin/tensorflow_model_server"
MODELS = "volumes: ['m:/models:ro'], healthcheck: {test: [CMD, bash, -c, 'exec 3<>/dev/tcp/a/8501; echo /v1/models/a']}"
VOLUMES = "volumes: {m: {}}"
ASKS = "the health check asks for the model a"
MEANT = "--model_name=", "--model_base_path=/models/"


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("deploy/a/1").mkdir(parents=True)
    Path("deploy/a/1/saved_model.pb").write_bytes(b"\x12\x00")


def left(variable: str) -> list[str]:
    """What is said of a variable that nothing fills in."""
    return sorted(f"nothing fills in the variable of {flag}{variable}" for flag in MEANT)


# Nothing but a shell fills in $NAME.


@pytest.mark.parametrize("variable", ["$$MODEL", "$${MODEL}", "$$(MODEL)"])
@pytest.mark.parametrize("entry", [f"entrypoint: [{SERVER}], ", ""])
def test_a_list_of_compose_is_taken_as_it_is(variable: str, entry: str) -> None:
    flags = ", ".join(["'--rest_api_port=8501'", *(f"'{flag}{variable}'" for flag in MEANT)])
    found = compose(f"{entry}command: [{flags}], environment: {{MODEL: a}}, {MODELS}", VOLUMES)
    assert sorted(found) == left(variable.removeprefix("$"))


def test_a_shell_fills_in_what_a_list_does_not() -> None:
    flags = " ".join(f"{flag}$$MODEL" for flag in MEANT)
    service = f"entrypoint: [sh, -c, 'exec {SERVER} --rest_api_port=8501 {flags}'], {MODELS}"
    assert compose(f"{service}, environment: {{MODEL: a}}", VOLUMES) == []
    assert compose(f"{service}, environment: {{MODEL: b}}", VOLUMES) == [ASKS]


@pytest.mark.parametrize(("exec_form", "faults"), [(True, left("${MODEL}")), (False, [])])
def test_the_exec_form_of_a_dockerfile_is_taken_as_it_is(exec_form: bool, faults: list[str]) -> None:
    words = [SERVER, *(f"{flag}${{MODEL}}" for flag in MEANT)]
    line = "[" + ", ".join(f'"{word}"' for word in words) + "]" if exec_form else "exec " + " ".join(words)
    text = f"FROM {STOCK}\nENV MODEL=a\nCOPY a /models/a\nUSER 1000\nENTRYPOINT {line}\n"
    assert sorted(messages(Dockerfile=text)) == faults


POD = """\
apiVersion: v1
kind: Pod
metadata: {name: a, labels: {model: a}}
spec:
  shareProcessNamespace: true
  terminationGracePeriodSeconds: 90
  containers:
  - name: a
    image: IMAGE
    COMMAND
    env: [ENV]
    envFrom: [FROM]
    ports: [{containerPort: 8501}]
    lifecycle: {preStop: {sleep: {seconds: 60}}}
    startupProbe: &probe {httpGet: {path: /v1/models/a, port: 8501}}
    readinessProbe: *probe
    livenessProbe: *probe
    volumeMounts: [{name: models, mountPath: /models}]
  volumes: [{name: models, nfs: {server: b, path: /m}}]
"""


def pod(
    command: str = "args: []", env: str = "", source: str = "", image: str = STOCK, **more: str
) -> list[str]:
    """The faults of a pod whose probes ask for the model `a` on port 8501."""
    text = POD.replace("IMAGE", image).replace("COMMAND", command).replace("ENV", env).replace("FROM", source)
    return sorted(messages(pod__yaml=text, **more))


def arguments(variable: str) -> str:
    return f"command: [{SERVER}, '--rest_api_port=$(REST)', {', '.join(repr(flag + variable) for flag in MEANT)}]"


REST = "{name: REST, value: '8501'}"


@pytest.mark.parametrize("variable", ["${MODEL}", "$MODEL", "$(OTHER)", "$$(MODEL)"])
def test_kubernetes_fills_in_its_own_form_of_what_is_set(variable: str) -> None:
    found = pod(arguments(variable), f"{REST}, {{name: MODEL, value: a}}")
    assert found == left(variable.replace("$$", "$"))


@pytest.mark.parametrize(("model", "port", "faults"), [("a", 8501, 0), ("b", 8501, 1), ("a", 9000, 4)])
def test_what_kubernetes_fills_in_is_judged(model: str, port: int, faults: int) -> None:
    env = (
        f"{{name: FIRST, value: {model}}}, {{name: MODEL, value: $(FIRST)}}, {{name: REST, value: '{port}'}}"
    )
    assert len(pod(arguments("$(MODEL)"), env)) == faults


def test_a_file_that_another_tool_fills_in_first_is_not_judged() -> None:
    assert pod(arguments("${MODEL}"), REST, image="tensorflow/serving:${TAG}") == []


def test_what_kustomize_fills_in_is_not_judged() -> None:
    kustomization = (
        "resources: [pod.yaml]\nvars: [{name: MODEL, objref: {kind: Pod, name: a, apiVersion: v1}}]\n"
    )
    assert pod(arguments("$(MODEL)").replace("$(REST)", "8501"), kustomization__yaml=kustomization) == []


# Where values come from.


@pytest.mark.parametrize(
    ("environment", "faults"),
    [
        ("env_file: a.env", []),
        ("env_file: [b.env, a.env]", []),
        ("env_file: [a.env, b.env]", [ASKS]),
        ("env_file: [a.env, {path: no.env, required: false}]", []),
        ("env_file: {path: no.env, required: false}".replace("{", "[{").replace("}", "}]"), []),
        ("env_file: b.env, environment: {MODEL_NAME: a}", []),
        ("environment: [MODEL_NAME]", []),
        ("environment: {MODEL_NAME: }", []),
        ("environment: {OTHER: a}", [ASKS]),
    ],
)
def test_the_variables_of_a_service(environment: str, faults: list[str]) -> None:
    Path("deploy/a.env").write_text("MODEL_NAME=a\n")
    Path("deploy/b.env").write_text("# ours\nMODEL_NAME='b'\n")
    assert compose(f"{environment}, {MODELS}", VOLUMES) == faults


@pytest.mark.parametrize(("value", "faults"), [("a", []), ("b", [ASKS])])
def test_a_variable_that_is_handed_on_comes_from_the_file_of_the_project(
    value: str, faults: list[str]
) -> None:
    Path("deploy/.env").write_text(f"MODEL_NAME={value}\n")
    assert compose(f"environment: [MODEL_NAME], {MODELS}", VOLUMES) == faults


CONFIG_MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m}\ndata: {MODEL_NAME: VALUE}\n"


@pytest.mark.parametrize(("value", "faults"), [("a", []), ("b", [ASKS])])
@pytest.mark.parametrize(
    "source",
    [
        {"source": "{configMapRef: {name: m}}"},
        {"env": "{name: MODEL_NAME, valueFrom: {configMapKeyRef: {name: m, key: MODEL_NAME}}}"},
    ],
)
def test_a_variable_of_a_pod_comes_from_what_is_at_hand(
    value: str, faults: list[str], source: dict[str, str]
) -> None:
    found = pod(**source, map__yaml=CONFIG_MAP.replace("VALUE", value))
    assert sorted(set(found)) == faults


@pytest.mark.parametrize(
    "source",
    [
        {"source": "{secretRef: {name: elsewhere}}"},
        {"source": "{configMapRef: {name: elsewhere}}"},
        {"env": "{name: MODEL_NAME, valueFrom: {secretKeyRef: {name: s, key: k}}}"},
        {"env": "{name: MODEL_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}"},
    ],
)
def test_a_variable_that_comes_from_elsewhere_is_not_judged(source: dict[str, str]) -> None:
    assert pod(**source) == []


def test_nothing_is_said_of_the_model_of_a_file_that_is_not_at_hand() -> None:
    text = f"services: {{s: {{image: '{STOCK}', init: true, env_file: .env.local, {MODELS}}}}}\n{VOLUMES}\n"
    assert check(compose__yml=text).findings == []
