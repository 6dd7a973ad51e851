"""What a server is told of and its container lacks: versions, files, programs; and labels without a place."""

import pytest

from tests.unit.serving_config.field_cases import MODEL, compose, messages
from tests.unit.serving_config.test_check_kubernetes_cases import CONFIG_MAP, DEPLOYMENT

pytestmark = pytest.mark.usefixtures("empty_folder")

VOLUMES = "volumes: {m: {}}"
NAMED = "environment: {MODEL_NAME: a}"


def configured(fields: str) -> list[str]:
    """The faults of a ConfigMap whose model has these fields as well."""
    text = MODEL.replace('"tensorflow"', f'"tensorflow" {fields}')
    return messages(a__yaml=DEPLOYMENT, b__yaml=CONFIG_MAP.replace(MODEL, text))


@pytest.mark.parametrize("folder", ["v1", "latest", "1.0"])
def test_a_folder_that_is_no_number_is_no_version(folder: str) -> None:
    (found,) = compose(f"{NAMED}, volumes: ['m:/models/a/{folder}:ro']", VOLUMES)
    assert found == f"no version of a is put into the container, /models/a has {folder}"


@pytest.mark.parametrize("places", [["1"], ["1/variables", "1/assets"], ["v1", "7"]])
def test_a_folder_that_is_a_number_is_a_version(places: list[str]) -> None:
    volumes = ", ".join(f"'m:/models/a/{place}:ro'" for place in places)
    assert compose(f"{NAMED}, volumes: [{volumes}]", VOLUMES) == []


def test_each_version_of_the_policy_is_mounted() -> None:
    text = MODEL.replace('"tensorflow"', '"tensorflow" model_version_policy { specific { versions: 2 } }')
    for version, faults in ((1, ["nothing puts version 2 of a into the container"]), (2, [])):
        deployment = DEPLOYMENT.replace("mountPath: /models}", f"mountPath: /models/a/{version}}}")
        assert messages(a__yaml=deployment, b__yaml=CONFIG_MAP.replace(MODEL, text)) == faults


@pytest.mark.parametrize("root", ["/models", "gs://bucket"])
def test_a_base_path_that_ends_in_a_version_is_one(root: str) -> None:
    config_map = CONFIG_MAP.replace("/models/a", f"{root}/a/1")
    assert messages(a__yaml=DEPLOYMENT, b__yaml=config_map) == [f"base_path {root}/a/1 is a version"]
    for other in ("b/1", "a/20240501"):  # may well hold versions
        assert messages(a__yaml=DEPLOYMENT, b__yaml=CONFIG_MAP.replace("/models/a", f"{root}/{other}")) == []


@pytest.mark.parametrize(
    ("policy", "missed"),
    [
        ("", ["old"]),
        ("model_version_policy { latest { num_versions: 1 } }", ["old"]),
        ("model_version_policy { latest { num_versions: 2 } }", []),
        ("model_version_policy { all {} }", []),
    ],
)
def test_no_more_versions_have_labels_than_are_loaded(policy: str, missed: list[str]) -> None:
    labels = 'version_labels { key: "old" value: 3 } version_labels { key: "new" value: 4 }'
    server = '--allow_version_labels_for_unavailable_models=true", "--model_config'
    text = MODEL.replace('"tensorflow"', f'"tensorflow" {policy} {labels}')
    deployment = DEPLOYMENT.replace("--model_config", server)
    found = messages(a__yaml=deployment, b__yaml=CONFIG_MAP.replace(MODEL, text))
    assert found == [f"the label {label} is on version 3, which the policy does not load" for label in missed]


def test_two_labels_may_share_the_only_version() -> None:
    labels = 'version_labels { key: "old" value: 3 } version_labels { key: "new" value: 3 }'
    assert configured(labels) == ["labels on versions that are not loaded yet"]


def test_a_flag_of_a_file_names_the_folder_of_a_config_map() -> None:
    deployment = DEPLOYMENT.replace("/config/models.config", "/config")
    assert messages(a__yaml=deployment, b__yaml=CONFIG_MAP) == [
        "--model_config_file: /config is a folder, which the ConfigMap files is mounted at"
    ]


@pytest.mark.parametrize("path", ["/conf/models.config", "models.config"])
def test_the_stock_image_has_no_file_that_nothing_mounts(path: str) -> None:
    deployment = DEPLOYMENT.replace("=/config/models.config", f"={path}")
    (found,) = messages(a__yaml=deployment, b__yaml=CONFIG_MAP)
    assert found == f"--model_config_file: nothing puts /{path.removeprefix('/')} into the container"
    assert messages(a__yaml=deployment.replace("tensorflow/serving", "me/serving"), b__yaml=CONFIG_MAP) == []


PROBE = "{exec: {command: [/bin/grpc_health_probe, -addr=:8500]}}"


@pytest.mark.parametrize(
    ("probe", "mount", "missing"),
    [
        (PROBE, "/models", "grpc_health_probe"),
        (PROBE, "/bin/grpc_health_probe", None),
        (PROBE.replace("/bin", "/probe"), "/probe", None),
        ("{exec: {command: [curl, localhost:8501/v1/models/a]}}", "/models", "curl"),
        ("{exec: {command: [curl, localhost:8501/v1/models/a]}}", "/usr/local/bin", None),
    ],
)
def test_a_probe_runs_a_program_of_the_image_or_of_a_mount(
    probe: str, mount: str, missing: str | None
) -> None:
    deployment = DEPLOYMENT.replace("livenessProbe: *probe", f"livenessProbe: {probe}")
    deployment = deployment.replace(
        "{name: models, mount", f"{{name: models, mountPath: {mount}}}, {{name: models, mount"
    )
    if mount == "/models":
        deployment = deployment.replace("{name: models, mountPath: /models}, ", "", 1)
    found = messages(a__yaml=deployment, b__yaml=CONFIG_MAP)
    assert found == ([f"the image has no {missing} for the health check"] if missing else [])


def test_a_health_check_may_run_a_program_that_is_mounted() -> None:
    test = "healthcheck: {test: [CMD, /bin/grpc_health_probe, -addr=:8500]}"
    program = "./grpc_health_probe:/bin/grpc_health_probe:ro"
    missing = "the image has no grpc_health_probe for the health check"
    assert compose(f"{NAMED}, {test}, volumes: ['m:/models:ro']", VOLUMES) == [missing]
    assert compose(f"{NAMED}, {test}, volumes: ['m:/models:ro', '{program}']", VOLUMES) == []


LACKS = "GOOGLE_APPLICATION_CREDENTIALS names /secrets/key.json, which nothing puts into the container"


KEY = "GOOGLE_APPLICATION_CREDENTIALS"
FOLDERS = pytest.mark.parametrize(("folder", "faults"), [("/secrets", []), ("/secret", [LACKS])])


@FOLDERS
def test_the_key_to_googles_store_is_in_the_container(folder: str, faults: list[str]) -> None:
    environment = f"environment: {{MODEL_NAME: a, MODEL_BASE_PATH: 'gs://b', {KEY}: /secrets/key.json}}"
    assert compose(f"{environment}, volumes: ['m:{folder}:ro']", VOLUMES) == faults


@FOLDERS
def test_the_key_to_googles_store_is_in_the_pod(folder: str, faults: list[str]) -> None:
    variable = f"        env: [{{name: {KEY}, value: /secrets/key.json}}]\n        args:"
    mount = f"{{name: models, mountPath: {folder}}}, {{name: models, mount"
    deployment = DEPLOYMENT.replace("        args:", variable).replace("{name: models, mount", mount)
    assert messages(a__yaml=deployment, b__yaml=CONFIG_MAP) == faults
