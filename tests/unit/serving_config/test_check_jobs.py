"""Jobs that run the server's image: they run to an end, are called by nobody, and restart by their own rules."""

import pytest

from tests.unit.serving_config.field_cases import STOCK, messages

pytestmark = pytest.mark.usefixtures("empty_folder")


def job(kind: str, restart: str, image: str = STOCK) -> list[str]:
    container = f"{{name: a, image: {image!r}, args: [--model_name=m]}}"
    spec = f"template: {{spec: {{{restart}containers: [{container}]}}}}"
    if kind == "CronJob":
        spec = f"schedule: '* * * * *', jobTemplate: {{spec: {{{spec}}}}}"
    return messages(a__yaml=f"apiVersion: batch/v1\nkind: {kind}\nmetadata: {{name: a}}\nspec: {{{spec}}}\n")


@pytest.mark.parametrize("kind", ["Job", "CronJob"])
@pytest.mark.parametrize("image", [STOCK, "redis:7"])
@pytest.mark.parametrize(
    ("restart", "faults"),
    [
        ("restartPolicy: Never, ", []),
        ("restartPolicy: OnFailure, ", []),
        ("restartPolicy: Always, ", ["restartPolicy is Always"]),
        ("", ["restartPolicy is Always"]),
    ],
)
def test_a_job_does_not_restart_always(kind: str, image: str, restart: str, faults: list[str]) -> None:
    assert job(kind, restart, image) == faults
