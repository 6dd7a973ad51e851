"""What the benchmarks of one run share: how thorough to be, the peers, the models they measure."""

from __future__ import annotations

import functools
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.side import FEWEST_ROUNDS, ROOT, BenchmarkError, Side

DEMO_CHECKPOINT = ROOT / "demo" / "vgg_16.ckpt"


@dataclass(frozen=True, eq=False)
class Run:
    """One run.

    Attributes:
        quick: few repetitions, nothing large.
        peers: the Python of the environment with ovmsclient and matplotlib; None where it could not be made.
        folder: for the models of this run; removed after it.
        server: a tensorflow_model_server; None for the embedded engine.
        say: shows what is going on.
    """

    quick: bool
    peers: Path | None
    folder: Path
    say: Callable[[str], None]
    server: Path | None = None

    def rounds(self, full: int) -> int:
        """Repetitions: `full` of them, or the least that show a spread."""
        return min(full, FEWEST_ROUNDS) if self.quick else full

    @functools.cached_property
    def checkpoint_1000(self) -> Path:
        """A V1 checkpoint of the published size: 1000 classes, random weights."""
        self.say("writing a checkpoint with 1000 classes")
        file = self.folder / "vgg_16.ckpt"
        Side("benchmarks.models:write_random_checkpoint", file=str(file), classes=1000).close()
        return file

    @functools.cached_property
    def demo_checkpoint(self) -> Path:
        """The demo checkpoint, of texture classes, made where it is missing."""
        if not DEMO_CHECKPOINT.exists():
            self.say("writing the demo checkpoint")
            DEMO_CHECKPOINT.parent.mkdir(exist_ok=True)
            run_module("export.demo", DEMO_CHECKPOINT)
        return DEMO_CHECKPOINT

    @functools.cached_property
    def plain(self) -> Path:
        """The usual export of `checkpoint_1000`: tf-slim's graph, restored and stored by SavedModelBuilder."""
        self.say("writing the usual export")
        folder = self.folder / "plain"
        Side(
            "benchmarks.models:write_plain", checkpoint=str(self.checkpoint_1000), folder=str(folder)
        ).close()
        return folder

    @functools.cached_property
    def photos(self) -> Path:
        """A folder of images to calibrate on."""
        folder = self.folder / "photos"
        folder.mkdir()
        Side("benchmarks.models:write_photos", folder=str(folder), count=10).close()
        return folder

    def exported(self, checkpoint: Path, *options: str) -> Path:
        """The version folder that `python -m export` writes with these options, written when first asked for."""
        out = self.folder / "_".join([checkpoint.parent.name, *options, "vgg_16"]).replace("/", "-")
        if not out.exists():
            self.say(" ".join(["exporting", *options]))
            run_module("export", "--ckpt", checkpoint, "--out", out, *options)
        return out / "1"


def run_module(module: str, *arguments: str | Path) -> None:
    """Run `python -m module arguments`; raise BenchmarkError with the end of what it says where it fails."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if result.returncode:
        raise BenchmarkError(f"python -m {module}: {result.stderr.strip()[-2000:]}")
