"""Files that a save left behind which did not end: TensorFlow gives them their names once they are whole."""

from __future__ import annotations

import re
from pathlib import Path

_TEMPORARY = re.compile(r".+\.tempstate\d+")


def is_unfinished(path: Path) -> bool:
    """Tell by the name, as its bytes may begin like a checkpoint's."""
    return bool(_TEMPORARY.fullmatch(path.name))


def left_unfinished(folder: Path) -> str:
    """Say which of a folder's files a save left behind; "" where none did."""
    names = sorted(entry.name for entry in folder.iterdir() if is_unfinished(entry))
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f"{names[0]}{more}, which a save that did not end left behind" if names else ""
