"""Write a folder of files so that nobody ever sees half of it."""

import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from ..errors import ServingConfigError


def write(out: Path, files: Mapping[str, str], private: str) -> None:
    """Write `files`, texts by their paths below `out`.

    A new folder appears whole; in one that exists, each file is replaced whole.

    Args:
        private: a folder below `out` that only its owner may enter.

    Raises:
        ServingConfigError: the folder cannot be written.
    """
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as parent:
            stage = Path(parent) / out.name
            for name, text in files.items():
                target = stage / name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(text, encoding="utf-8", newline="\n")
            for path in (stage, *stage.rglob("*")):  # whatever the umask: the server is another user
                path.chmod(0o755 if path.is_dir() else 0o644)
            if (stage / private).is_dir():
                (stage / private).chmod(0o700)
            _publish(stage, out, files, private)
    except OSError as error:
        raise ServingConfigError(
            f"cannot write {out}: {error.strerror or error}; choose another --out"
        ) from error


def remove(out: Path, names: Iterable[str]) -> None:
    """Remove these files below `out`, and the folders that they leave empty."""
    for name in names:
        (out / name).unlink(missing_ok=True)
        parent = (out / name).parent
        if parent != out and parent.is_dir() and not any(parent.iterdir()):
            parent.rmdir()


def _publish(stage: Path, out: Path, files: Mapping[str, str], private: str) -> None:
    if not out.exists():
        os.rename(stage, out)
        return
    if (stage / private).is_dir() and (out / private).is_dir():
        (out / private).chmod(0o700)  # before its files come
    for name in files:
        parent = (out / name).parent
        if not parent.exists():
            parent.mkdir(parents=True)
            shutil.copymode((stage / name).parent, parent)
        target = out / name
        if target.is_symlink():  # stays one: what it leads to is the file
            target = target.resolve()
            beside = target.with_name(f".{target.name}.new")
            shutil.copy(stage / name, beside)
            os.replace(beside, target)
        else:
            os.replace(stage / name, target)
