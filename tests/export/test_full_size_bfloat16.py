"""VGG-16 in bfloat16 for x86 in full size: only there do many products round, as a narrow network's do not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.processor import NEEDS_BFLOAT16


@pytest.mark.soak
@NEEDS_BFLOAT16
def test_every_signature_of_a_full_size_export_passes_its_verification(
    export_demo: Callable[..., Path],
) -> None:
    folder = export_demo("--target", "x86", "--precision", "bfloat16")
    record = json.loads((folder / "assets.extra" / "export.json").read_text())
    assert (record["options"]["target"], record["warnings"]) == ("x86", [])
    assert record["parity"]["difference"] <= record["parity"]["tolerance"]
    assert {"classify", "classify_bytes", "classify_examples", "network", "segment"} <= set(
        record["parity"]["signatures"]
    )
