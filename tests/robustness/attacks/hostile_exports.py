"""Export mutated checkpoints by the whole command, each in a process.

Run it by `python -m tests.robustness.attacks.hostile_exports`.

A mutant must be refused in one line or exported to the right bits, within a minute and 3 GB, and nothing may be
written but the version folder.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
from collections import Counter
from functools import partial
from pathlib import Path
from time import monotonic

from slimserve.export.demo.checkpoint_writer import write_checkpoint

from tests.robustness.faults.exports import Log, digests, fork_export, import_what_exports_need
from tests.support.small_network import SMALL, know_the_small_network, small_weights

LONGEST = 60.0  # seconds
LARGEST = 3 << 30  # bytes
RECORD = "assets.extra/export.json"  # names the checkpoint


class Exporter:
    """Exports mutants into a folder of its own.

    Attributes:
        peak: the most memory that an export took, bytes.
        slowest: seconds of the longest.
    """

    def __init__(self, root: Path, sound: Path) -> None:
        self.peak, self.slowest = 0, 0.0
        self._root, self._out = root, root / "models" / SMALL.name
        self._log = Log()
        (root / "temporary").mkdir()
        tempfile.tempdir = os.environ["TMPDIR"] = str(root / "temporary")
        self._right: dict[str, str] = {}
        outcome = self.attack(sound, may_differ=True)
        assert outcome == "exported", self._log.text()

    def attack(self, path: Path, may_differ: bool) -> str:
        """Return "refused" or "exported", or what went wrong."""
        before = set(self._root.rglob("*"))
        code = self._run(["--ckpt", str(path), "--net", SMALL.name, "--out", str(self._out), "--json"])
        new, said = set(self._root.rglob("*")) - before, self._log.text()
        if code == 0:
            files = digests(self._out / "1")
            files.pop(RECORD)
            self._right = self._right or files
            stray = [entry for entry in new if not f"{entry}/".startswith(f"{self._out.parent}/")]
            shutil.rmtree(self._out.parent)
            right = may_differ or files == self._right
            return "exported" if right and not stray else f"wrong bits, or stray files: {stray}"
        if code != 1 or said.count("\n") != 1 or not said.startswith("error: "):
            return f"ended with {code}: {said[-500:]}"
        return f"left {sorted(new)}" if new else "refused"

    def _run(self, arguments: list[str]) -> int:
        start = monotonic()
        pid = fork_export(arguments, self._log, partial(signal.alarm, int(LONGEST)))
        _, status, usage = os.wait4(pid, 0)
        self.slowest = max(self.slowest, monotonic() - start)
        self.peak = max(self.peak, 1024 * usage.ru_maxrss)
        return os.waitstatus_to_exitcode(status)


def main() -> int:
    """Print a line for each failure, then a summary as JSON; exit 1 when anything failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    know_the_small_network()
    import_what_exports_need()
    from tests.robustness.attacks.hostile_checkpoints import Attack

    writers = {version: partial(write_checkpoint, format=version) for version in ("V1", "V2")}
    outcomes: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as root:
        mutants = Attack(Path(root), options.seed, small_weights(), writers)
        exporter = Exporter(Path(root), mutants.sound / "v1")
        for number in range(options.count):
            folder = Path(root) / "mutant"
            folder.mkdir()
            kind, path, may_differ = mutants.mutant(number, folder)
            outcome = exporter.attack(path, may_differ)
            outcomes[outcome.split()[0]] += 1
            if outcome not in ("refused", "exported"):
                print(number, kind, outcome, file=sys.stderr)
            shutil.rmtree(folder)
    print(json.dumps({"outcomes": outcomes, "slowest": exporter.slowest, "peak": exporter.peak}))
    return int(bool(outcomes.keys() - {"refused", "exported"}) or exporter.peak > LARGEST)


if __name__ == "__main__":
    sys.exit(main())
