"""A reader's copy of the project, in which commands are typed."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Workshop:
    """A folder, and a shell in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        programs = str(Path(sys.executable).parent)
        self.environment = os.environ | {
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "COLUMNS": "100",
        }

    def type(self, command: str) -> str:
        """Run a line in the shell; return what it prints."""
        result = subprocess.run(
            ["bash", "-ceu", command],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=400,
            check=False,
        )
        assert result.returncode == 0, f"$ {command}\n{result.stdout}{result.stderr}"
        return result.stdout

    def run(self, program: str) -> str:
        """Run a Python program; return what it prints."""
        (self.folder / "example.py").write_text(program, "utf-8")
        return self.type("python example.py")

    @contextmanager
    def serving(self, command: str) -> Iterator[None]:
        """Keep a server running that `command` starts. One at a time on a machine: the pages say port 8500."""
        with (Path(tempfile.gettempdir()) / "slimserve-port-8500.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            process = subprocess.Popen(
                command.split(), cwd=self.folder, env=self.environment, stdout=subprocess.PIPE, text=True
            )
            assert process.stdout is not None
            try:
                assert any(line.startswith("ready: ") for line in process.stdout), (
                    "the server ended before it was ready"
                )
                yield
            finally:
                process.terminate()
                process.communicate(timeout=60)
