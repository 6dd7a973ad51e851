"""What is measured of a server, on a small network: the figures are there; how fast anything is, they say."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from benchmarks.serving import serving
from benchmarks.side import BenchmarkError, Side


def test_callers_of_a_served_export_are_timed_and_its_memory_is_read(small_models: Path) -> None:
    with serving(small_models / "small" / "1") as server:
        assert server.seconds > 0
        assert server.resident() > 50e6  # bytes: more than an interpreter, so TensorFlow's process is counted
        arguments = {"side": 64, "batch": 2, "callers": 3, "seconds": 0.2}
        with Side("benchmarks.callers:crowd", address=server.address, **arguments) as crowd:
            crowd.step()
            found = crowd.step().detail
        assert 0 < found["p50"] <= found["p99"]
        assert 0 < found["share"] < 3 * found["p99"]
        with Side("benchmarks.callers:sizes", address=server.address, sides=[32, 64], times=2) as sizes:
            assert sizes.step().detail.keys() == {"ordered", "mixed"}


def test_a_server_that_does_not_start_is_named(small_models: Path) -> None:
    binary = Path(shutil.which("false") or "/bin/false")
    with (
        pytest.raises(BenchmarkError, match=f"{binary} ended before it was ready"),
        serving(small_models / "small" / "1", binary),
    ):
        pass
