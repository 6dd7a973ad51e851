"""Deployments of public repositories: `check` says of each what a person who read it said.

    python -m tests.robustness.public_deployments.fetching FOLDER
    SLIMSERVE_CLONES=FOLDER python -m pytest -m soak tests/robustness/public_deployments

`files.tsv` names them by repository, commit, whose hash is the digest of all that is in it, and path; and what was
judged right, by the message of each fault, " | " between.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from slimserve.serving_config.check.inspection import inspect

from tests.robustness.public_deployments.fetching import DEPLOYMENTS, paths_of
from tests.robustness.public_models.fetching import unpack

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1800)]


@pytest.mark.parametrize(
    "row", DEPLOYMENTS, ids=[f"{row['repository']}/{row['path']}" for row in DEPLOYMENTS]
)
def test_check_says_what_a_person_said(row: dict[str, str], tmp_path: Path) -> None:
    try:
        files = unpack(row["repository"], paths_of(row["repository"]), tmp_path, row["commit"])
    except OSError as error:
        pytest.skip(str(error))
    result = inspect([files / row["path"]], None, [])
    assert {finding.message for finding in result.findings} == set(filter(None, row["faults"].split(" | ")))
    assert result.files
