"""The numbers that versions get, and those that they cannot have."""

from __future__ import annotations

from pathlib import Path

import pytest
from slimserve.export.errors import ExportError
from slimserve.export.savedmodel.publication import LARGEST_VERSION, draft_version, next_version


def test_version_written_with_zeros_is_taken(tmp_path: Path) -> None:
    (tmp_path / "01").mkdir()
    with pytest.raises(ExportError, match="01 is already there"), draft_version(tmp_path, 1, 0):
        pass


def test_version_that_appears_meanwhile_is_taken(tmp_path: Path) -> None:
    with draft_version(tmp_path, 1, 0) as draft:
        (tmp_path / "01").mkdir()
        with pytest.raises(ExportError, match="01 is already there"):
            draft.publish()
    assert [path.name for path in tmp_path.iterdir()] == ["01"]


def test_number_behind_the_largest_is_refused(tmp_path: Path) -> None:
    (tmp_path / str(LARGEST_VERSION)).mkdir()
    with (
        pytest.raises(ExportError, match="is the largest version there can be"),
        draft_version(tmp_path, None, 0),
    ):
        pass


@pytest.mark.parametrize("name", [str(2**63), "9" * 30, "\u0667"])
def test_folder_that_no_server_takes_for_a_version_does_not_count(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    assert next_version(tmp_path) == 1
