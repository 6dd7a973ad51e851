"""Files that appear whole under their name, or not at all."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give the path of a draft to write, which takes the place of `path` when the block ends without an error."""
    # Not named after the file, whose name may be as long as names can be; several machines may share the folder.
    draft = path.with_name(f".{uuid.uuid4().hex}.tmp")
    try:
        yield draft
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)
