"""The `checkpoint` file of a training folder, which says which checkpoint is the latest."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PureWindowsPath

STATE_FILE = "checkpoint"
_START = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:#[^\n]*\n\s*)*(?:all_)?model_checkpoint_path")
_PATH = re.compile(r'^\s*model_checkpoint_path\s*:\s*["\']([^"\'\n]*)', re.MULTILINE)
_LARGEST = 1 << 20  # bytes


def is_state(path: Path) -> bool:
    """Tell whether a file says which checkpoint is the latest, whatever it is called."""
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        return bool(_START.match(stream.read(512)))


def paths_in(state: Path) -> list[str]:
    """Return what the file names, the likeliest reading first; nothing where it names nothing."""
    with state.open("rb") as stream:
        content = stream.read(_LARGEST)
    encoding = "utf-16" if content.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    text = content.decode(encoding, "replace")
    return [name for name in _readings(text) if name and "\0" not in name]


def _readings(text: str) -> Iterator[str]:
    """As TensorFlow reads it, then as it was meant by whoever wrote a path of Windows into it without escapes."""
    from google.protobuf import text_format
    from tensorflow.python.training.checkpoint_state_pb2 import CheckpointState

    with suppress(text_format.ParseError):
        yield text_format.Parse(text, CheckpointState()).model_checkpoint_path
    if plain := _PATH.search(text):
        yield plain[1]


def candidates(folder: Path, name: str, *, unpacked: bool) -> list[Path]:
    """Return where the checkpoint of a path that the file in `folder` names may lie, the likeliest first.

    A path that leads elsewhere is an old one where the folder was copied or moved: what lies beside the file comes
    first. In a folder `unpacked` from an archive nothing else counts.
    """
    parts = PureWindowsPath(name)  # takes / and \ for separators
    beside = folder / parts.name
    if unpacked:
        return [beside]
    if parts.root or parts.drive:
        return [beside, folder / name]
    return [folder / name, folder.joinpath(*parts.parts), beside]
