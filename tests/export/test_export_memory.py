"""What an answer about a large image costs the server, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT

_SEGMENT_2048 = """
import sys
import numpy as np
from tests.memory import peak
from tests.saved_model import SavedModel
from pathlib import Path
blocks = np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3)).astype(np.uint8)
image = blocks.repeat(32, axis=1).repeat(32, axis=2)
with SavedModel(Path(sys.argv[1])) as model:
    label_map = model("segment", images=image)["label_map"]
assert label_map.shape == (1, 2048, 2048), label_map.shape
print(peak())
"""


def test_2048x2048_pixels_of_1000_classes_fit_6_gb(model_1000: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-c", _SEGMENT_2048, model_1000],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert int(result.stdout) < 6e9
