"""Links to files that are not there: what git-annex, DVC and copies without their targets leave."""

from __future__ import annotations

import os
from pathlib import Path


def broken_link(path: Path) -> str:
    """Say that a path is a link to a file that is not there, and what to do; "" where it is none."""
    if not path.is_symlink() or path.exists():
        return ""
    target = os.readlink(path)
    advice = (
        "run `git annex get` in the repository"
        if ".git/annex/" in target
        else "bring that file, or copy it here"
    )
    return f"{path} is a link to {target}, which is not there: {advice}"
