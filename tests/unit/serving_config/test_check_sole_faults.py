"""Of one fault in a sound deployment `check` says one thing, on its line, and nothing else.

`sole_faults.tsv` has them: in `file`, the first `old` becomes `new`; one finding must stand at `place` and begin with
`message`. A line end is written \\n.
"""

import csv
import re
from pathlib import Path

import pytest

from tests.unit.serving_config.checked_deployment import copy_deployment, lines, replace

with Path(__file__).with_name("sole_faults.tsv").open(encoding="utf-8", newline="") as file:
    FAULTS = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def plain(text: str) -> str:
    return re.sub(r"\\(.)", lambda match: "\n" if match[1] == "n" else match[1], text)


@pytest.mark.parametrize(
    "fault", FAULTS, ids=[f"{fault['place']} {fault['message'][:40]}" for fault in FAULTS]
)
def test_one_fault_is_found_once(fault: dict[str, str], tmp_path: Path) -> None:
    deployment = copy_deployment(tmp_path)
    replace(deployment / fault["file"], plain(fault["old"]), plain(fault["new"]))

    found = lines(deployment)

    assert len(found) == 1, found
    assert found[0].startswith(f"{fault['place']}: {plain(fault['message'])}"), found
