"""What a run over a folder has done so far, kept beside its results: an interrupted run goes on from there.

One JSON object a line, written when an image's results are whole. A line that a crash cut short is passed over.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..limits import counted
from .files import replacing

Answer = dict[str, Any]  # JSON: what the results do not hold
State = dict[str, Any]


class Journal:
    """A journal in the file `path`; `settings` are what, beside the image, decides an answer.

    `check` gives an answer that was read from the file, its parts as what they have to be, or raises TypeError,
    ValueError or KeyError. `afresh` forgets what the file holds. Threads may share it. Use it as a context manager:
    the KeyboardInterrupt that ends the block says how to go on.
    """

    def __init__(
        self,
        path: Path,
        settings: Mapping[str, object],
        check: Callable[[Any], Answer],
        *,
        afresh: bool = False,
    ) -> None:
        self._path = path
        self._settings = dict(settings)
        self._entries = {} if afresh else _read(path, check)
        self._lock = threading.Lock()
        self._is_afresh = afresh
        self._added = 0

    def find(self, name: str, image: Path, results: Mapping[str, Path]) -> Answer | None:
        """Give the answer of that name, if the image has not changed since and its result files are still there."""
        entry = self._entries.get(name)
        if entry is None or entry["image"] != observe(image) or entry["settings"] != self._settings:
            return None
        if not _sizes(results).items() <= entry["results"].items():
            return None
        answer: Answer = entry["answer"]
        return answer

    def add(
        self, name: str, image: State, results: Mapping[str, Path], answer: Answer, **settings: object
    ) -> None:
        """Record an image, as it was observed before it was read, and its results, once they are written.

        `settings` are those that turned out to be others.
        """
        entry = {
            "name": name,
            "image": image,
            "settings": {**self._settings, **settings},
            "results": _sizes(results),
            "answer": answer,
        }
        # Opened each time: another run into the same folder may have put a file of its own in the place of this.
        with self._lock, open(self._path, "a", encoding="ascii") as file:
            file.write(json.dumps(entry) + "\n")
            self._added += 1

    def __enter__(self) -> Journal:
        with replacing(self._path) as draft, open(draft, "w", encoding="ascii") as file:
            file.writelines(json.dumps(entry) + "\n" for entry in self._entries.values())
        return self

    def __exit__(self, kind: object, *raised: object) -> None:
        if kind is KeyboardInterrupt:
            command = "the same command without --overwrite" if self._is_afresh else "the same command"
            words = f"stopped: {counted(self._added, 'image')} done; {command} goes on from there"
            raise KeyboardInterrupt(words) from None


def observe(image: Path) -> State:
    """Note what tells that an image is the same as before: where it is, its size, when it was changed."""
    try:
        state = os.stat(image)
    except OSError:  # whoever reads it says so better
        return {}
    return {"path": str(image.resolve()), "bytes": state.st_size, "modified_ns": state.st_mtime_ns}


def _read(path: Path, check: Callable[[Any], Answer]) -> dict[str, dict[str, Any]]:
    """Read the entries by name: of several for one, the last tells what its result files hold now."""
    entries = {}
    try:
        text = path.read_text(encoding="ascii", errors="replace")
    except FileNotFoundError:
        return {}
    for line in text.splitlines():
        try:
            entry = json.loads(line)
            entries[str(entry["name"])] = {
                "name": str(entry["name"]),
                **{part: dict(entry[part]) for part in ("image", "settings", "results")},
                "answer": check(entry["answer"]),
            }
        except (ValueError, TypeError, KeyError):
            continue
    return entries


def _sizes(results: Mapping[str, Path]) -> State:
    """Sizes of the result files by name; None for one that is missing."""
    return {path.name: path.stat().st_size if path.exists() else None for path in results.values()}
