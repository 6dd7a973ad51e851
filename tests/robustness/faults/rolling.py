"""Callers of several replicas while these are replaced: every answer is that of one version, and none fails."""

from __future__ import annotations

import collections
import itertools
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from slimserve import Client, Segmentation

from tests.conftest import ROOT

CALLERS = 8
IMAGE = np.random.default_rng(15).integers(0, 256, (96, 320, 3), np.uint8)


def _scene(scene: Segmentation) -> tuple[Any, ...]:
    names = tuple(sorted((area.id, area.name) for area in scene.areas()))
    return scene.model_version, names, scene.label_map.tobytes()


def _classify(client: Client) -> tuple[Any, ...]:
    answer = client.classify(IMAGE)
    return answer.model_version, tuple((each.id, each.name) for each in answer.predictions)


def _analyze(client: Client) -> tuple[Any, ...]:
    both = client.analyze(IMAGE)
    ranked = both.classification
    version, *rest = _scene(both.segmentation)
    assert ranked.model_version == version
    return version, *rest, tuple((each.id, each.name) for each in ranked.predictions)


def _stream(client: Client) -> tuple[Any, ...]:
    """The items of a stream may be of several versions, each item of one: give the last."""
    answers = [_scene(item.answer) for item in client.stream([IMAGE] * 3, task="segment", concurrency=2)]
    by_version = {answer[0]: answer for answer in answers}
    assert set(answers) == set(by_version.values())
    return answers[-1]


TASKS: Mapping[str, Callable[[Client], tuple[Any, ...]]] = {
    "classify": _classify,
    "segment": lambda client: _scene(client.segment(IMAGE)),
    "tiles": lambda client: _scene(client.segment(IMAGE, tile=128, overlap=32)),
    "analyze": _analyze,
    "stream": _stream,
}


def answers_of(address: str, model: str) -> set[tuple[str, tuple[Any, ...]]]:
    """What the one version behind an address answers to each task."""
    with Client(address, model=model) as client:
        client.wait_until_ready(60)
        return {(task, ask(client)) for task, ask in TASKS.items()}


class Replica:
    """A process of `versioned_replica`."""

    def __init__(self, port: int, version: int) -> None:
        command = [sys.executable, "-m", "tests.robustness.faults.versioned_replica", str(port), str(version)]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())
        self.address = f"127.0.0.1:{self.port}"

    def end(self, number: int = signal.SIGKILL) -> None:
        self.process.send_signal(signal.SIGCONT)
        self.process.send_signal(number)
        self.process.wait(60)
        assert self.process.stdout is not None
        self.process.stdout.close()


def roll(
    replicas: list[Replica], start: Callable[[int, int], Replica], load: Load, client: Client, between: int
) -> None:
    """Replace every replica by one of version 2, then of version 1, killed and ended in turn; some calls in between."""
    for version in (2, 1):
        for number in range(len(replicas)):
            replicas[number].end(signal.SIGTERM if number % 2 else signal.SIGKILL)
            replicas[number] = start(replicas[number].port, version)
            client.wait_until_ready(60, replicas=len(replicas))
            load.until(load.calls + between)


class Load:
    """Calls in a closed loop from several threads.

    Attributes:
        calls: how many have been answered.
        wrong: what is not as expected, with how often: errors, and answers that are not those of one version.
        longest: seconds that the slowest call took.
    """

    def __init__(self, client: Client, expected: set[tuple[str, tuple[Any, ...]]]) -> None:
        self._client, self._expected = client, expected
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self.calls = 0
        self.longest = 0.0
        self.wrong: collections.Counter[str] = collections.Counter()
        self.versions: set[int] = set()

    def _work(self, first: int) -> None:
        tasks = list(TASKS)
        for task in itertools.cycle(tasks[first:] + tasks[:first]):
            if self._stop.is_set():
                return
            begun = time.monotonic()
            wrong, version = "", 0
            try:
                answer = TASKS[task](self._client)
                version = answer[0]
                if (task, answer) not in self._expected:
                    wrong = f"{task}: not an answer of version {version}: {answer[1]}"
            except Exception as error:
                wrong = f"{task}: {type(error).__name__}: {error}"
            with self._lock:
                self.calls += 1
                self.versions.add(version)
                self.longest = max(self.longest, time.monotonic() - begun)
                if wrong:
                    self.wrong[wrong] += 1

    @contextmanager
    def running(self) -> Iterator[None]:
        """Call while the block runs."""
        threads = [
            threading.Thread(target=self._work, args=(number % len(TASKS),)) for number in range(CALLERS)
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()

    def until(self, calls: int) -> None:
        """Wait until so many calls have been answered."""
        end = time.monotonic() + 900
        while self.calls < calls:
            assert time.monotonic() < end, f"{self.calls} calls, {self.wrong}"
            time.sleep(0.02)
