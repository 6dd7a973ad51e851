"""The environment of what slimserve is compared with, and of the plot: never dependencies of the product."""

from __future__ import annotations

import subprocess
import venv
from pathlib import Path

from benchmarks.side import ROOT

_FOLDER = ROOT / ".venv" / "peers"
_PACKAGES = ("ovmsclient==2023.1", "openvino==2026.4.1", "nncf==3.4.0", "matplotlib==3.10.8")


def peers_python() -> Path | None:
    """The environment's Python, made and filled on first use; None where the package registry is out of reach."""
    python = _FOLDER / "bin" / "python"
    installed = _FOLDER / "installed.txt"
    wanted = "\n".join(_PACKAGES)
    if installed.exists() and installed.read_text() == wanted:
        return python
    venv.create(_FOLDER, with_pip=True, clear=True)
    command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *_PACKAGES]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        return None
    installed.write_text(wanted)
    return python
