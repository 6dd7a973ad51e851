"""Fetch the repositories of `files.tsv`: `python -m tests.robustness.public_deployments.fetching FOLDER`."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

from tests.robustness.public_models.fetching import clone

with open(Path(__file__).with_name("files.tsv"), encoding="utf-8", newline="") as file:
    DEPLOYMENTS = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def paths_of(repository: str) -> tuple[str, ...]:
    """All that is listed of a repository: files belong together."""
    return tuple(row["path"] for row in DEPLOYMENTS if row["repository"] == repository)


if __name__ == "__main__":
    for name, commit in {row["repository"]: row["commit"] for row in DEPLOYMENTS}.items():
        print(clone(name, Path(sys.argv[1]), commit))
