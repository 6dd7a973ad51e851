"""What an engine holds of the memory that its predictions took."""

from __future__ import annotations

import contextlib
import time
from concurrent import futures
from pathlib import Path

import pytest
from slimserve import Client

from tests.robustness.faults.conftest import inputs, write_counting_model
from tests.robustness.faults.mixed_load import Process
from tests.support.serving import Serving

BALLAST = 20_000_000  # bytes of a request
AT_ONCE = 8


@pytest.mark.timeout(120)
def test_an_idle_engine_gives_back_what_its_predictions_freed(tmp_path: Path) -> None:
    write_counting_model(tmp_path / "1")
    engine = Serving("--engine", "embedded", "--model", f"counting={tmp_path}", "--port", 0)
    with contextlib.closing(engine), Client(engine.address, model="counting") as client:
        process = Process(engine.process.pid)
        before = process.held()["anonymous_mib"]
        with futures.ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(lambda _: client.predict(inputs(BALLAST, BALLAST)), range(2 * AT_ONCE)))
        busy = process.held()["anonymous_mib"]
        end = time.monotonic() + 30
        while process.held()["anonymous_mib"] > before + (busy - before) / 4 and time.monotonic() < end:
            time.sleep(0.1)
        assert process.held()["anonymous_mib"] <= before + (busy - before) / 4
