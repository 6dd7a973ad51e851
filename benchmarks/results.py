"""What a run has measured so far, kept in a file: a run that was stopped goes on with what is left."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

from benchmarks.rows import Row, Series, as_json, entry_of
from benchmarks.side import BenchmarkError


class Results:
    """Entries by benchmark, and what kept a benchmark from giving any.

    Attributes:
        machine: what they were measured on.
        found: entries by benchmark.
        failed: messages by benchmark.
    """

    def __init__(self, machine: dict[str, Any], file: Path | None) -> None:
        """Keep what will be found in `file`, if there is one."""
        self.machine = machine
        self.found: dict[str, list[Row | Series]] = {}
        self.failed: dict[str, str] = {}
        self._file = file

    def resume(self) -> None:
        """Take what the last run left in the file.

        Raises:
            BenchmarkError: there is nothing, or it was measured on another machine or with other versions.
        """
        if not self._file or not self._file.exists():
            raise BenchmarkError("there is no complete run that was stopped: leave out --resume")
        kept = json.loads(self._file.read_text("utf-8"))
        if kept["machine"] != self.machine:
            raise BenchmarkError(
                "the run to go on with was on another machine or with other versions: leave out --resume"
            )
        self.found = {name: list(map(entry_of, entries)) for name, entries in kept["found"].items()}

    def add(self, name: str, entries: Sequence[Row | Series]) -> None:
        """Keep what a benchmark found."""
        self.found[name] = list(entries)
        if not self._file:
            return
        found = {name: [as_json(entry) for entry in entries] for name, entries in self.found.items()}
        self._file.parent.mkdir(exist_ok=True)
        draft = self._file.with_suffix(".tmp")
        draft.write_text(json.dumps({"machine": self.machine, "found": found}), "utf-8")
        draft.replace(self._file)

    def forget(self) -> None:
        """Remove the file."""
        if self._file:
            self._file.unlink(missing_ok=True)

    def entries(self) -> list[Row | Series]:
        """All entries."""
        return [entry for entries in self.found.values() for entry in entries]

    def as_json(self) -> dict[str, Any]:
        """All entries for scripts, with the machine and the date."""
        entries = self.entries()
        return {
            "machine": {"date": datetime.now(timezone.utc).date().isoformat(), **self.machine},
            "rows": [as_json(entry) for entry in entries if isinstance(entry, Row)],
            "series": [as_json(entry) for entry in entries if isinstance(entry, Series)],
            "failed": self.failed,
        }


def this_machine(quick: bool, server: Path | None = None) -> dict[str, Any]:
    """The processor, the server and the versions that figures depend on."""
    cpu = Path("/proc/cpuinfo").read_text()
    model = next((line.partition(":")[2].strip() for line in cpu.splitlines() if "model name" in line), "")
    packages = ("tensorflow", "tf-slim", "numpy", "grpcio", "protobuf")
    return {
        "processor": model or platform.machine(),
        "cores": os.cpu_count(),
        "server": "tensorflow_model_server" if server else "the embedded engine",
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in packages},
        "quick": quick,
    }
