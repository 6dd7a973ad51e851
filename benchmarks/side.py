"""The sides of a comparison, each in a process of its own, stepped in turn."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np

ROOT = Path(__file__).parent.parent
FEWEST_ROUNDS, ENOUGH_SECONDS = 3, 30


class BenchmarkError(Exception):
    """A benchmark cannot be run; the message says why."""


class Measurement(NamedTuple):
    """What one step took: seconds, and bytes resident before it, after it, and at most during it.

    `detail` is what the step returned where that is a dict: seconds of its parts.
    """

    seconds: float
    before: int
    after: int
    peak: int
    detail: dict[str, float]


class Side:
    """A worker process; `setup` is what its factory took. Close it, or use it as a context manager.

    Args:
        factory: `module:function`; its module is imported in the worker, and counted in `setup`.
        python: the interpreter; the peers have one of their own.
        arguments: of the factory, as JSON can carry them.

    Raises:
        BenchmarkError: the worker failed; with the end of what it wrote.
    """

    def __init__(self, factory: str, python: str | Path = sys.executable, **arguments: Any) -> None:
        self._factory = factory
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 closed in close()
        self._process = subprocess.Popen(
            [str(python), "-m", "benchmarks.worker", factory, json.dumps(arguments)],
            cwd=ROOT,
            env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        try:
            self.setup = self._answer()
        except BaseException:
            self.close()
            raise

    def step(self) -> Measurement:
        """Run the step once."""
        return self._ask("step")

    def answer(self) -> np.ndarray:
        """Run the step once and return the array that it returns."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "answer.npy"
            self._ask(f"save {file}")
            array: np.ndarray = np.load(file)
            return array

    def close(self) -> None:
        """End the worker."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.close()
            self._process.wait(10)
        except (OSError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._errors.close()

    def _ask(self, line: str) -> Measurement:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> Measurement:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._process.wait()
            self._errors.seek(0)
            end = self._errors.read().strip()[-2000:]
            raise BenchmarkError(f"{self._factory} failed:\n{end}")
        return Measurement(**json.loads(line))

    def __enter__(self) -> Side:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def interleave(sides: Mapping[str, Side], rounds: int, warmup: int = 1) -> dict[str, list[Measurement]]:
    """Step every side once a round, so that what else the machine does falls on all of them alike.

    `rounds` times, or FEWEST_ROUNDS and as many more as begin within ENOUGH_SECONDS.
    """
    for _ in range(warmup):
        for side in sides.values():
            side.step()
    taken: dict[str, list[Measurement]] = {name: [] for name in sides}
    start = time.monotonic()
    for count in range(rounds):
        if count >= FEWEST_ROUNDS and time.monotonic() - start > ENOUGH_SECONDS:
            break
        for name, side in sides.items():
            taken[name].append(side.step())
    return taken
