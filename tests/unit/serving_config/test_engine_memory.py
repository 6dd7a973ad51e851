"""What an engine holds of the memory that its predictions took, in requests and answers or between two operations."""

from __future__ import annotations

import contextlib
import ctypes
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from slimserve import Client
from slimserve.serving_config.engine import freed_memory

from tests.robustness.faults.conftest import inputs, write_counting_model
from tests.robustness.faults.mixed_load import Process
from tests.support.serving import Serving

BALLAST = 20_000_000  # bytes of a request
AT_ONCE = 8
VALUES = 50_000_000  # float32, between two operations


class _Engine:
    """An engine that serves two models.

    Attributes:
        counting, summing: clients of the models.
    """

    def __init__(self, models: Path) -> None:
        write_counting_model(models / "counting" / "1")
        _write_summing_model(models / "summing" / "1")
        served = [f"{name}={models / name}" for name in ("counting", "summing")]
        self._server = Serving(
            "--engine", "embedded", "--model", served[0], "--model", served[1], "--port", 0
        )
        self.counting, self.summing = (
            Client(self._server.address, model=name) for name in ("counting", "summing")
        )
        self._process = Process(self._server.process.pid)

    def anonymous_mib(self) -> int:
        """Resident memory that is no file's."""
        return self._process.held()["anonymous_mib"]

    def close(self) -> None:
        for part in (self.counting, self.summing, self._server):
            part.close()


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Engine]:
    with contextlib.closing(_Engine(tmp_path_factory.mktemp("models"))) as running:
        yield running


@pytest.mark.timeout(120)
def test_an_idle_engine_gives_back_what_its_predictions_freed(engine: _Engine) -> None:
    before = engine.anonymous_mib()
    with futures.ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda _: engine.counting.predict(inputs(BALLAST, BALLAST)), range(2 * AT_ONCE)))
    most = before + (engine.anonymous_mib() - before) / 4
    _wait_until(lambda: engine.anonymous_mib() <= most)
    assert engine.anonymous_mib() <= most


@pytest.mark.timeout(120)
def test_an_idle_engine_gives_back_what_lay_between_two_operations(engine: _Engine) -> None:
    engine.summing.predict({"count": np.int32(1)})
    most = engine.anonymous_mib() + VALUES * 4 / 2**20 / 4
    engine.summing.predict({"count": np.int32(VALUES)})
    _wait_until(lambda: engine.anonymous_mib() <= most)
    assert engine.anonymous_mib() <= most


def test_a_busy_engine_gives_back_what_it_has_grown_by(monkeypatch: pytest.MonkeyPatch) -> None:
    held, trims = [2**30], []
    monkeypatch.setattr(freed_memory, "_resident", lambda: held[0])
    monkeypatch.setattr(freed_memory, "_BUSY_SECONDS", 0)
    monkeypatch.setattr(
        ctypes, "CDLL", mock.Mock(side_effect=OSError)
    )  # this process keeps its malloc as it is
    memory = freed_memory.FreedMemory(lambda: None)
    monkeypatch.setattr(memory, "_trim", trims.append)
    for grown, given_back in ((0, 0), (2**26, 0), (2**28, 1), (2**28, 1), (2**29, 2)):
        held[0] = 2**30 + grown
        memory.give_back()
        assert len(trims) == given_back


def _wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not condition() and time.monotonic() < end:
        time.sleep(0.1)


def _write_summing_model(folder: Path) -> None:
    """A model that makes `count` values, their running sums, and answers with the last."""
    import tensorflow as tf

    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        count = v1.placeholder(tf.int32, [], "count")
        sums = tf.cumsum(tf.fill([count], 1.0))
        signature = v1.saved_model.predict_signature_def({"count": count}, {"last": sums[-1]})
        builder = v1.saved_model.Builder(str(folder))
        builder.add_meta_graph_and_variables(session, ["serve"], {"serving_default": signature})
        builder.save()
