"""Deployments as people write them, which the real thing takes: none of what they do is called a fault."""

from pathlib import Path

import pytest

from tests.unit.serving_config.field_cases import MODEL, check, messages

SERVER = (
    "tensorflow_model_server, --port=8500, --rest_api_port=8501, --model_name=a, --model_base_path=/models/a"
)


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "deploy/a/1").mkdir(parents=True)
    (tmp_path / "deploy/a/1/saved_model.pb").write_bytes(b"\x12\x00")


def service(more: str, rest: str = "") -> list[str]:
    """The faults of a compose file with a sound service, which says more."""
    text = f"services:\n  serving:\n    image: tensorflow/serving:2.16.1\n    init: true\n    entrypoint: [{SERVER}]\n"
    if "/models" not in more:
        more += "\nvolumes: ['./a:/models/a:ro']"
    lines = "".join(f"    {line}\n" for line in more.strip().splitlines())
    return messages(compose__yml=f"{text}{lines}{rest}")


@pytest.mark.parametrize(
    "more",
    [
        "ports: ['127.0.0.1:8500-8501:8500-8501']",
        "ports: ['127.0.0.1::8500/tcp', {target: 8501, host_ip: 127.0.0.1, published: '8501', mode: host}]",
        "expose: [8501, '8500']",
        "restart: on-failure:3",
        "mem_limit: 4096m\nmemswap_limit: -1\nshm_size: 1gb\ncpus: 1.5",
        "deploy: {resources: {limits: {cpus: '0.50', memory: 2048M}, reservations: {memory: 1GiB}}}",
        "deploy: {resources: {reservations: {devices: [{driver: nvidia, count: 1, capabilities: [gpu]}]}}}",
        "runtime: nvidia\nenvironment: [NVIDIA_VISIBLE_DEVICES=all, TF_CPP_MIN_LOG_LEVEL]",
        "stop_grace_period: 1m30s\nhealthcheck: {test: ['CMD-SHELL', 'bash -c \"</dev/tcp/127.0.0.1/8501\"']}",
        "healthcheck: {test: ['NONE']}",
        "healthcheck: {disable: true}",
        "env_file: [{path: secret.env, required: false}]",
        "tmpfs: /tmp:size=64m",
        "user: '1000'",
        "labels: ['traefik.port=8501', 'price=$$5']",
        "volumes: ['C:\\models\\a:/models/a:ro']",
        "volumes: ['${PWD}/a:/models/a:ro', '/etc/localtime:/etc/localtime:ro', {type: volume, target: /tmp}]",
        "extra_hosts: ['host.docker.internal:host-gateway']\nnetwork_mode: bridge",
    ],
)
def test_a_compose_service(more: str) -> None:
    assert service(more) == []


def test_what_a_service_names_may_stand_at_the_end_of_the_file() -> None:
    more = "networks: [default, back]\nsecrets: [key]\nconfigs: [{source: c, target: /c}]\nvolumes: ['m:/models:ro']"
    rest = "networks: {back: {external: true}}\nsecrets: {key: {external: true}}\n"
    rest += "configs: {c: {content: x}}\nvolumes: {m: }\n"
    assert service(more, rest) == []


def test_another_file_may_bring_what_a_service_names() -> None:
    text = "services: {web: {image: nginx:1.25, depends_on: [serving], networks: [front]}}\n"
    assert messages(compose__yml=f"include: [serving/compose.yml]\n{text}") == []
    base = "services: {serving: {image: nginx:1.25}}\nnetworks: {front: }\n"
    assert messages(compose__yml=base, compose__override__yml=text) == []


def test_services_of_two_profiles_may_publish_one_port() -> None:
    text = "services:\n"
    for name in ("cpu", "gpu"):
        text += f"  {name}: {{image: nginx:1.25, profiles: [{name}], ports: ['80:80']}}\n"
    assert messages(compose__yml=text) == []


def test_a_private_file_of_variables_is_seldom_at_hand() -> None:
    result = check(compose__yml="services: {web: {image: nginx:1.25, env_file: .env}}\n")
    assert result.findings == []
    assert "env_file names .env, which is not there" in result.notes[0]


def test_the_command_of_an_image_of_ones_own_is_its_first_process() -> None:
    command = "tensorflow_model_server --model_base_path=/m"
    text = f"services: {{s: {{image: 'example/tfs:1', init: true, command: {command}}}}}\n"
    assert messages(compose__yml=text) == []


STOCK = "FROM tensorflow/serving:2.16.1\nUSER 1000\n"
ENTRY = f"ENTRYPOINT [{', '.join(repr(word) for word in SERVER.split(', '))}]\n".replace("'", '"')


@pytest.mark.parametrize(
    "text",
    [
        f'{STOCK}COPY --chown=1000 ["a", "/models/a"]\n{ENTRY}',
        f"{STOCK}COPY --link --chmod=0555 a /models/a\nHEALTHCHECK --start-interval=2s --retries=5 CMD true\n{ENTRY}",
        "FROM tensorflow/serving:2.16.1 as tfs\nFROM gcr.io/distroless/cc-debian12:nonroot\n"
        f"COPY --from=tfs /usr/bin/x /\nCOPY a /models/a\nUSER nonroot\n{ENTRY}",
        "FROM ubuntu:22.04\nRUN apt-get install tensorflow-model-server\nUSER 1000\n"
        "CMD exec tensorflow_model_server --rest_api_port=${PORT:-8501} --model_name=a --model_base_path=/models/a\n",
        f"ARG TAG=2.16.1\nFROM --platform=$ARCH tensorflow/serving:${{TAG}}\nCOPY a/ /models/a/\nUSER 1000\n{ENTRY}",
    ],
    ids=["list", "options", "distroless", "apt", "arguments"],
)
def test_a_dockerfile(text: str) -> None:
    assert messages(Dockerfile=text) == []


def test_the_folder_of_a_build_may_be_above_its_dockerfile() -> None:
    Path("deploy/docker").mkdir()
    Path("deploy/docker/models.config").write_text(MODEL)
    entry = '["tensorflow_model_server", "--model_config_file=/etc/models.config"]'
    Path("deploy/docker/Dockerfile").write_text(
        f"{STOCK}COPY a/ /models/a/\nCOPY docker/models.config /etc/\nENTRYPOINT {entry}\n"
    )
    assert messages() == []


@pytest.mark.parametrize(
    "text",
    [
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: a}\nspec: {}\n",
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: 'system:a'}\nrules: []\n",
        "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {type: ExternalName, externalName: a.example}\n",
        "apiVersion: batch/v1\nkind: Job\nmetadata: {name: a}\nspec: {template: {spec: {restartPolicy: Never, "
        "containers: [{name: a, image: curlimages/curl}]}}}\n",
        "apiVersion: v1\nkind: PersistentVolume\nmetadata: {name: a}\nspec: {capacity: {storage: 100Gi}, "
        "accessModes: [ReadOnlyMany], nfs: {server: a, path: /a}}\n",
        "apiVersion: v1\nkind: ResourceQuota\nmetadata: {name: a}\nspec: {hard: {requests.cpu: '4', pods: '10'}}\n",
        "apiVersion: serving.kserve.io/v1beta1\nkind: InferenceService\nmetadata: {name: a}\nspec: {predictor: {model: "
        "{modelFormat: {name: tensorflow}, storageUri: 'gs://bucket/a'}}}\n",
    ],
    ids=["gateway", "role", "external", "job", "volume", "quota", "kserve"],
)
def test_an_object_of_kubernetes(text: str) -> None:
    assert messages(a__yaml=text) == []


def test_a_service_may_select_a_pod_or_a_stateful_set() -> None:
    pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: a, labels: {app: a}}\n"
    pod += "spec: {containers: [{name: a, image: redis}]}\n"
    other = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: b}\nspec: {selector: {matchLabels: {app: b}}, "
    other += "template: {metadata: {labels: {app: b}}, spec: {containers: [{name: b, image: redis}]}}}\n"
    service = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {selector: {app: a}, ports: [{port: 80}]}\n"
    assert messages(a__yaml="---\n".join((pod, other, service))) == []


@pytest.mark.parametrize("amount", ["1.5Gi", "2G", "1e9", "1500M", "2147483648"])
def test_a_quantity_in_any_notation(amount: str) -> None:
    pod = f"containers: [{{name: a, image: redis, resources: {{limits: {{memory: {amount}, nvidia.com/gpu: 1}}}}}}]"
    assert messages(a__yaml=f"apiVersion: v1\nkind: Pod\nmetadata: {{name: a}}\nspec: {{{pod}}}\n") == []
