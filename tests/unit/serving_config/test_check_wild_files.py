"""Ways to describe a server that are seen in public repositories: none is called a fault that the real thing takes."""

from pathlib import Path

import pytest
from slimserve.serving_config.check.inspection import inspect

BASE = "FROM tensorflow/serving:2.14.0\nUSER 1000\n"
SERVER = '"tensorflow_model_server", "--port=8500", "--rest_api_port=8501", "--model_name=m"'
SCRIPT = "the server is not the entry point, and gets no signals"


def found(folder: Path, **files: str) -> tuple[list[str], list[str]]:
    """The messages of faults, and the notes, on files by their names (`__` stands for a dot)."""
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)
    result = inspect([folder], None, [])
    return [finding.message for finding in result.findings], result.notes


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        (f'ENTRYPOINT [{SERVER}, "--model_base_path=/app/m"]\nWORKDIR /app\nCOPY m /app/m/1', []),
        ("COPY m /models/m/1\nENV MODEL_NAME=m", [SCRIPT]),
        (
            f'ENTRYPOINT [{SERVER},\n  "--model_base_path=/models/m"]',
            ['"--model_base_path=/models/m"] is no instruction'],
        ),
        ("RUN <<EOF\nmkdir /models\nEOF\nCOPY <<A <<'B' /x/\none\nA\ntwo\nB\nENV MODEL_NAME=m", [SCRIPT]),
        ("ENV MODEL_NAME=m\nRUN curl -s https://example.org/m.tar.gz | tar -C /models -xz", [SCRIPT]),
        (
            "ENV MODEL_NAME=m\nADD https://example.org/m.tar.gz /tmp/\nRUN tar -C /models -xf /tmp/m.tar.gz",
            [SCRIPT],
        ),
        ("ARG NAME=m\nENV MODEL_NAME=$NAME\nCOPY m /models/$NAME/1", [SCRIPT]),
        (
            "COPY m /models/m\nENTRYPOINT exec tensorflow_model_server --rest_api_port=${PORT:-8501} "
            "--model_name=m --model_base_path=/models/m",
            [],
        ),
        (
            f'COPY --link m/ /models/m/\nENTRYPOINT ["tini", "--", {SERVER}, "--model_base_path=/models/m"]',
            [],
        ),
        (
            "COPY m /models/m\nENTRYPOINT tensorflow_model_server --model_name=m --model_base_path=/models/m; sleep 1",
            [SCRIPT],
        ),
    ],
    ids=[
        *("workdir", "version", "no instruction", "here-documents", "RUN", "archive", "variable"),
        *("shell with exec", "tini", "shell"),
    ],
)
def test_a_dockerfile(text: str, faults: list[str], tmp_path: Path) -> None:
    assert found(tmp_path, Dockerfile=BASE + text + "\n") == (faults, [])


@pytest.mark.parametrize(
    "name", ["dockerfile", "Dockerfile-dev", "Dockerfile.gpu", "model.dockerfile", "Containerfile"]
)
def test_a_dockerfile_of_another_name(name: str, tmp_path: Path) -> None:
    assert found(tmp_path, **{name: BASE + "COPY m /models/m/1\nENV MODEL_NAME=m\n"}) == ([SCRIPT], [])


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("ARG TAG=2.14.0\nFROM tensorflow/serving:${TAG}\n", [SCRIPT]),
        ("ARG IMAGE='ubuntu:20.04'\nFROM $IMAGE\n", [SCRIPT]),
        (
            "ARG TAG=latest-gpu\nFROM tensorflow/serving:${TAG:-2.14.0}\n",
            ["the image tensorflow/serving:latest-gpu has no version", SCRIPT],
        ),
        ("ARG IMAGE\nFROM $IMAGE\n", [SCRIPT]),
        (
            "FROM tensorflow/serving:2.14.0 AS serving\nUSER 1000\nFROM alpine AS other\nFROM serving\n",
            [SCRIPT],
        ),
    ],
    ids=["tag", "image", "moving", "unknown", "stage"],
)
def test_the_image_that_a_stage_begins_with(text: str, faults: list[str], tmp_path: Path) -> None:
    command = "CMD tensorflow_model_server --model_name=m --model_base_path=/models/m >> /tmp/log 2>&1\n"
    dockerfile = text + "USER 1000\nRUN get-models\n" + (command if "IMAGE" in text else "ENV MODEL_NAME=m\n")
    assert found(tmp_path, Dockerfile=dockerfile) == (faults, [])


def test_a_development_image_serves_nothing(tmp_path: Path) -> None:
    assert found(tmp_path, Dockerfile="FROM tensorflow/serving:2.14.0-devel\nRUN bazel build\n") == ([], [])


def test_a_script_that_the_build_writes_is_a_note(tmp_path: Path) -> None:
    text = (
        'FROM ubuntu:22.04\nRUN echo \'tensorflow_model_server "$@"\' > /start.sh\nENTRYPOINT ["/start.sh"]\n'
    )
    faults, (note,) = found(tmp_path, Dockerfile=text)
    assert faults == []
    assert ":3: what /start.sh runs was not checked" in note


@pytest.mark.parametrize("entry", ["", 'ENTRYPOINT ["/usr/bin/tf_serving_entrypoint.sh"]\n'])
@pytest.mark.parametrize("makes", ["RUN echo 'tensorflow_model_server --port=${PORT}' >", "COPY start.sh"])
def test_the_script_of_the_stock_image_may_be_replaced(makes: str, entry: str, tmp_path: Path) -> None:
    text = f"{BASE}{makes} /usr/bin/tf_serving_entrypoint.sh\n{entry}"
    compose = "services: {s: {build: ., init: true, ports: ['127.0.0.1:8600:8600']}}\n"
    faults, notes = found(tmp_path, Dockerfile=text, compose__yaml=compose)
    assert faults == []
    assert any("the image's own tf_serving_entrypoint.sh runs was not checked" in note for note in notes)


def test_a_template_of_openshift_is_a_note(tmp_path: Path) -> None:
    faults, (note,) = found(tmp_path, t__yaml="kind: Template\napiVersion: v1\nobjects: []\n")
    assert faults == []
    assert "Template was not checked, check what `oc process` prints" in note


def test_a_script_of_ones_own_is_a_note(tmp_path: Path) -> None:
    text = BASE + 'COPY m /models/m\nCOPY start.sh /start.sh\nENTRYPOINT ["/start.sh"]\n'
    faults, (note,) = found(tmp_path, Dockerfile=text)
    assert faults == []
    assert "what /start.sh runs was not checked, only a command that names tensorflow_model_server is" in note


COMPOSE = """\
services:
  serving:
    image: tensorflow/serving:2.14.0
    init: true
    entrypoint: [tensorflow_model_server, --port=8500, --model_config_file=/models.config]
    volumes:
      - ./m:/models/m/1:ro
      - ./models.config:/models.config:ro
"""
CONFIG = 'model_config_list { config { name: "m" base_path: "/models/m" model_platform: "tensorflow" } }\n'


def test_a_version_may_be_mounted_by_itself(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    assert found(tmp_path, compose__yaml=COMPOSE, models__config=CONFIG) == ([], [])


def test_a_configuration_is_read_whatever_its_suffix(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    text = COMPOSE.replace("models.config", "serving.conf")
    assert found(tmp_path, compose__yaml=text, serving__conf=CONFIG) == ([], [])
    faults, _ = found(tmp_path, compose__yaml=text, serving__conf=CONFIG.replace("base_path", "base_pth"))
    assert faults == ["ModelConfig has no field base_pth"]


def test_services_that_extend_others_are_a_note(tmp_path: Path) -> None:
    base = "services: {serving: {image: 'tensorflow/serving:2.14.0', init: true}}\n"
    more = (
        "services: {serving: {extends: {file: base.yaml, service: serving}, environment: [MODEL_NAME=m]}}\n"
    )
    faults, notes = found(tmp_path, base__yaml=base, compose__yaml=more)
    assert faults == []
    assert ["made of several services" in note for note in notes] == [True, True]


def test_a_health_check_needs_what_the_image_lacks(tmp_path: Path) -> None:
    check = '    healthcheck: {test: ["CMD", "curl", "-f", "http://localhost:8501/v1/models/m"]}\n'
    (tmp_path / "m").mkdir()
    faults, _ = found(tmp_path, compose__yaml=COMPOSE + check, models__config=CONFIG)
    assert faults == ["the image has no curl for the health check"]


@pytest.mark.parametrize(("threads", "faults"), [(1, ["--grpc_max_threads=1 answers no call"]), (2, [])])
def test_a_server_needs_a_thread_beside_the_one_that_waits(
    threads: int, faults: list[str], tmp_path: Path
) -> None:
    (tmp_path / "m").mkdir()
    text = COMPOSE.replace("--port=8500", f"--port=8500, --grpc_max_threads={threads}")
    assert found(tmp_path, compose__yaml=text, models__config=CONFIG) == (faults, [])


@pytest.mark.parametrize(("cpus", "notes"), [("2", 0), ("2.5", 1), ("4", 1)])
def test_more_cpus_than_this_machine_has_are_noted(
    cpus: str, notes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    (tmp_path / "m").mkdir()
    limits = f'    deploy: {{resources: {{limits: {{cpus: "{cpus}"}}}}}}\n'
    faults, said = found(tmp_path, compose__yaml=COMPOSE + limits, models__config=CONFIG)
    assert faults == []
    assert [f"wants {cpus} CPUs, and this machine has 2" in note for note in said] == [True] * notes


@pytest.mark.parametrize("image", ["example/server:1", "tensorflow/serving:2.14.0"])
def test_an_image_of_ones_own_may_begin_with_flags_of_its_own(image: str, tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    text = COMPOSE.replace(
        "entrypoint: [tensorflow_model_server, --port=8500", "command: [--grpc_max_threads=4"
    )
    text = text.replace("tensorflow/serving:2.14.0", image) + "    ports: ['127.0.0.1:8601:8601']\n"
    faults, _ = found(tmp_path, compose__yaml=text, models__config=CONFIG)
    assert faults == ([] if image == "example/server:1" else ["serving publishes port 8601"])


WORKLOAD = """\
apiVersion: apps/v1
kind: KIND
metadata: {name: s}
spec:
  MORE
  selector: {matchLabels: {app: s}}
  template:
    metadata: {labels: {app: s}}
    spec:
      shareProcessNamespace: true
      terminationGracePeriodSeconds: 90
      containers:
        - name: s
          image: IMAGE
          command: [tensorflow_model_server]
          args: [--port=8500, --rest_api_port=8501, --model_name=m, --model_base_path=/models/m]
          lifecycle: {preStop: {sleep: {seconds: 60}}}
          startupProbe: &probe {tcpSocket: {port: 8500}}
          readinessProbe: *probe
          livenessProbe: *probe
          volumeMounts: [{name: models, mountPath: /models}]
      VOLUMES
"""


def workload(kind: str, more: str = "", image: str = "tensorflow/serving:2.14.0", volumes: str = "") -> str:
    text = WORKLOAD.replace("KIND", kind).replace("MORE", more).replace("IMAGE", image)
    return text.replace("VOLUMES", volumes or "volumes: [{name: models, hostPath: {path: /srv}}]")


def test_the_claims_of_a_stateful_set_are_volumes(tmp_path: Path) -> None:
    claims = (
        "serviceName: s\n  volumeClaimTemplates: [{metadata: {name: models}, spec: {accessModes: [ReadWriteOnce], "
        "resources: {requests: {storage: 1Gi}}}}]"
    )
    assert found(tmp_path, all__yaml=workload("StatefulSet", claims, volumes="volumes: []")) == ([], [])
    other = workload("StatefulSet", claims.replace("name: models", "name: model"), volumes="volumes: []")
    assert found(tmp_path, all__yaml=other)[0] == ["volumeMounts names the volume models, which is not there"]


def test_a_list_is_its_objects(tmp_path: Path) -> None:
    service = "{apiVersion: v1, kind: Service, metadata: {name: s}, spec: {selector: {app: s}, ports: [{port: 8500}]}}"
    text = "apiVersion: v1\nkind: List\nitems:\n- " + workload("Deployment", "replicas: 1").rstrip().replace(
        "\n", "\n  "
    )
    assert found(tmp_path, all__yaml=f"{text}\n- {service}\n") == ([], [])
    faults, _ = found(tmp_path, all__yaml=f"{text}\n- {service.replace('app: s', 'app: other')}\n")
    assert faults == ["the Service selects no deployment's pods"]


@pytest.mark.parametrize(("images", "faults"), [("newTag: 2.14.0", 0), ("newName: tensorflow/serving", 1)])
def test_a_kustomization_gives_an_image_its_tag(images: str, faults: int, tmp_path: Path) -> None:
    kustomization = f"resources: [all.yaml]\nimages: [{{name: tensorflow/serving, {images}}}]\n"
    text = workload("Deployment", "replicas: 1", image="tensorflow/serving")
    messages, _ = found(tmp_path, all__yaml=text, kustomization__yaml=kustomization)
    assert messages == ["the image tensorflow/serving has no version"] * faults


def test_bases_of_a_kustomization_are_its_resources(tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    assert found(tmp_path, kustomization__yaml="bases: [base]\n")[0] == []
    faults, _ = found(tmp_path, kustomization__yaml="bases: [base, other]\n")
    assert faults == ["the resource other is not there"]


def test_a_service_of_nothing_is_a_note(tmp_path: Path) -> None:
    faults, (note,) = found(
        tmp_path, **{"docker-compose__yml": "services:\n  caller: {environment: [A=1]}\n"}
    )
    assert faults == []
    assert "caller has neither image nor build" in note


def test_a_stage_of_nearly_that_name_is_the_one_that_was_meant(tmp_path: Path) -> None:
    text = f"FROM python:3.11 AS export\n{BASE}COPY --from=exprt /m /models/m\nENV MODEL_NAME=m\n"
    assert found(tmp_path, Dockerfile=text)[0] == ["there is no stage exprt"]
    assert found(tmp_path, Dockerfile=text.replace("exprt", "example/other:1"))[0] == [SCRIPT]
