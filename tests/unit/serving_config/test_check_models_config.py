"""Fields of a models.config that the real server refuses although they are well-formed, and those that it takes."""

import pytest

from tests.unit.serving_config.field_cases import MODEL, messages

pytestmark = pytest.mark.usefixtures("empty_folder")

PLATFORM = 'model_platform: "tensorflow"'


def of(fields: str) -> list[str]:
    """The faults of a model with these fields in the place of its platform."""
    return messages(models__config=MODEL.replace(PLATFORM, fields))


@pytest.mark.parametrize(
    "logging", ["{}", '{ log_collector_config { type: "file" filename_prefix: "/tmp/log" } }']
)
def test_the_server_has_no_logger_of_requests(logging: str) -> None:
    assert of(f"{PLATFORM} logging_config {logging}") == ["the server ends at once on logging_config"]


@pytest.mark.parametrize(
    ("fields", "faults"),
    [
        ("model_type: TENSORFLOW", []),
        ("model_type: 1", []),
        (f"model_type: MODEL_TYPE_UNSPECIFIED {PLATFORM}", []),
        ("model_type: TENSORFLOW model_platform: ''", []),
        ("model_type: OTHER", ["model_type is OTHER"]),
        ("model_type: 2", ["model_type is 2"]),
        ("model_type: MODEL_TYPE_UNSPECIFIED", ["the model a has no model_platform"]),
        ("model_type: 0", ["the model a has no model_platform"]),
        ("model_platform: ''", ["the model a has no model_platform"]),
        (f"model_type: OTHER {PLATFORM}", ["model_type is set beside model_platform"]),
    ],
)
def test_a_model_has_a_platform_or_the_type_of_tensorflow(fields: str, faults: list[str]) -> None:
    assert of(fields) == faults
