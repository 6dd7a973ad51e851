"""What this machine's processor can do, by its flags."""

from __future__ import annotations

from pathlib import Path


def has_bfloat16() -> bool:
    """Whether oneDNN can convolve in bfloat16 on it (its "Data Types": Intel AVX-512, or AVX2 with NE_CONVERT)."""
    flags = Path("/proc/cpuinfo").read_text().split()
    return "avx512bw" in flags or "avx_ne_convert" in flags
