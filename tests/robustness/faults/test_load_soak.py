"""Half an hour of mixed load leaves the engine as it was after three minutes: `SOAK_SECONDS=180` for a trial."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT

SECONDS = float(os.environ.get("SOAK_SECONDS", "1800"))
pytestmark = [pytest.mark.soak, pytest.mark.timeout(SECONDS + 1200)]


@pytest.fixture(scope="module")
def figures(models: Path) -> dict[str, Any]:
    """What tests.robustness.faults.mixed_load found, in a process of its own."""
    command = [sys.executable, "-m", "tests.robustness.faults.mixed_load", "--seconds", str(SECONDS)]
    command += ["--model", f"vgg_16={models / 'vgg_16'}"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-5000:]
    found: dict[str, Any] = {}
    for line in run.stdout.splitlines():
        found |= json.loads(line)
    print(json.dumps(found, indent=1))
    return found


def test_every_call_ends_as_it_should(figures: dict[str, Any]) -> None:
    assert figures["unexpected"] == []


@pytest.mark.parametrize("part", ["resident_mib", "anonymous_mib"])
def test_memory_stays_within_five_percent(figures: dict[str, Any], part: str) -> None:
    """All of it, and what the kernel cannot hide by dropping the pages of TensorFlow's libraries."""
    assert figures["end"][part] <= 1.05 * figures["start"][part]


def test_no_thread_is_left_behind(figures: dict[str, Any]) -> None:
    # Thread pools grow to their bounds when first needed, a leak with the number of calls, which is in the thousands.
    assert figures["end"]["threads"] <= figures["start"]["threads"] + 8


def test_no_descriptor_is_left_behind(figures: dict[str, Any]) -> None:
    assert figures["end"]["descriptors"] <= figures["start"]["descriptors"]


def test_latency_stays_as_it_was(figures: dict[str, Any]) -> None:
    """On the clock of the engine's processor time, so that neighbours on the machine do not count."""
    assert figures["p99_last_third"] <= 1.25 * figures["p99_first_third"]
