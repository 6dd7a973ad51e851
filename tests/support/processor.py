"""What this machine's processor can do, by its flags and by what oneDNN is told to take it for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_NO_AVX512 = {"SSE41", "AVX", "AVX2", "AVX2_VNNI"}
TOLD_TO_DO_WITHOUT = os.environ.get("ONEDNN_MAX_CPU_ISA", "").upper() in _NO_AVX512


def has_bfloat16() -> bool:
    """Whether oneDNN can convolve in bfloat16 on it (its "Data Types": Intel AVX-512, or AVX2 with NE_CONVERT)."""
    flags = Path("/proc/cpuinfo").read_text().split()
    return not TOLD_TO_DO_WITHOUT and ("avx512bw" in flags or "avx_ne_convert" in flags)


NEEDS_BFLOAT16 = pytest.mark.skipif(
    not has_bfloat16(), reason="this processor has no instructions for convolutions in bfloat16"
)
