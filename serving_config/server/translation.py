"""Which server sees this machine's own paths in the place of those below /models, for the commands that reload it.

TensorFlow Serving knows no root for base paths. Without a container, `up` gives it the list of models with paths of
this machine. A roll-out sends the server a new list, and has to write the paths in the same way: it finds here what
`up` has left for as long as its server runs.
"""

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

from .ports import is_loopback


def cache_folder() -> Path | None:
    """The user's folder for what can be made anew; None for a user without a home."""
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "slimserve"
    except RuntimeError:
        return None


@contextlib.contextmanager
def known(port: int, models_root: Path) -> Iterator[None]:
    """Let others know, while the context is open, that the server on the port sees `models_root` as /models."""
    folder = cache_folder()
    note = folder / f"paths-{port}.json" if folder else None
    if note is None:
        yield
        return
    note.parent.mkdir(parents=True, exist_ok=True)
    note.write_text(json.dumps({"process": os.getpid(), "models_root": str(models_root.resolve())}))
    try:
        yield
    finally:
        note.unlink(missing_ok=True)


def models_root(address: str) -> Path | None:
    """What the server at HOST:PORT sees as /models, where that is known: it is on this machine, and `up` runs it."""
    folder, port = cache_folder(), address.rpartition(":")[2]
    if folder is None or not is_loopback(address):
        return None
    try:
        note = json.loads((folder / f"paths-{port}.json").read_text())
        os.kill(note["process"], 0)  # it was killed where that fails, and left its note behind
    except (OSError, ValueError):
        return None
    return Path(note["models_root"])
