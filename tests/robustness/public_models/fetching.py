"""Public repositories by name and commit, whose hash is the digest of all that is in them.

    python -m tests.robustness.public_models.fetching FOLDER
    SLIMSERVE_CLONES=FOLDER python -m pytest -m soak tests/robustness/public_models

SLIMSERVE_CLONES may also be a folder that holds clones already, as FOLDER/OWNER/NAME. Without it they are fetched.
"""

from __future__ import annotations

import csv
import io
import os
import subprocess
import sys
from pathlib import Path

_ADDRESS = "https://github.com/{}"


def repositories() -> dict[str, str]:
    """The commit of each."""
    with open(Path(__file__).with_name("repositories.tsv"), encoding="ascii", newline="") as file:
        return {row["repository"]: row["commit"] for row in csv.DictReader(file, delimiter="\t")}


def clone(repository: str, folder: Path, commit: str = "") -> Path:
    """Its git folder, fetched into `folder` if need be. Raises OSError, in words, where it cannot be had."""
    kept = Path(os.environ.get("SLIMSERVE_CLONES") or folder) / repository
    commit = commit or repositories()[repository]
    if not kept.exists():
        _git("init", "--quiet", "--bare", str(kept))
        try:
            _git("-C", str(kept), "fetch", "--quiet", "--depth=1", _ADDRESS.format(repository), commit)
        except OSError:
            kept.rename(kept.with_suffix(".failed"))
            raise
    _git("-C", str(kept), "cat-file", "-e", f"{commit}^{{commit}}")
    return kept


def unpack(repository: str, under: str | tuple[str, ...], folder: Path, commit: str = "") -> Path:
    """Write the files of the repository below paths, or all, to a folder; return it. What a clone lacks is named."""
    commit = commit or repositories()[repository]
    git = clone(repository, folder, commit)
    listed = _git("-C", str(git), "ls-tree", "-r", "-z", "--name-only", commit).decode().split("\0")
    names = [name for name in listed if name.startswith(under) and name]
    asked = "".join(f"{commit}:{name}\n" for name in names).encode()
    answers = io.BytesIO(_git("-C", str(git), "cat-file", "--batch", given=asked))
    for name in names:
        head = answers.readline().split()
        if head[-1] == b"missing":
            print(f"{repository}/{name}: not in this clone")
            continue
        target = folder / "files" / repository / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(answers.read(int(head[-1])))
        answers.read(1)
    return folder / "files" / repository


def _git(*arguments: str, given: bytes = b"") -> bytes:
    try:
        result = subprocess.run(
            ["git", *arguments], input=given, capture_output=True, check=False, timeout=600
        )
    except FileNotFoundError as error:
        raise OSError("git is not installed") from error
    if result.returncode:
        said = result.stderr.decode(errors="replace").strip().splitlines() or ["it said nothing"]
        raise OSError(f"git {' '.join(arguments[:4])}: {said[-1]}")
    return result.stdout


if __name__ == "__main__":
    for name in repositories():
        print(clone(name, Path(sys.argv[1])))
