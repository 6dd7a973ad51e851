"""What an answer about a large image costs the server, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from slimserve.export.demo.checkpoint_writer import write_checkpoint
from slimserve.export.networks.layers import Convolution, Layers
from slimserve.export.pipeline import export_checkpoint
from slimserve.export.plan.options import Request
from slimserve.export.types import Padding, Tensor

from tests.conftest import ROOT
from tests.support.small_network import SMALL, small_weights

LIMIT = 6e9  # bytes
VGG_16 = 553e6  # bytes of its weights

_SEGMENT_2048 = """
import sys
import numpy as np
from tests.support.memory import peak
from tests.support.saved_model import SavedModel
from pathlib import Path
blocks = np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3)).astype(np.uint8)
image = blocks.repeat(32, axis=1).repeat(32, axis=2)
with SavedModel(Path(sys.argv[1]), rewritten=True) as model:
    label_map = model("segment", images=image)["label_map"]
assert label_map.shape == (1, 2048, 2048), label_map.shape
print(peak())
"""


def _logits(images: Tensor, layers: Layers, head_padding: Padding, output_stride: int) -> Tensor:
    """The first block, whose feature maps are the largest, and the cells of VGG-16; a small network in between."""
    net = layers.conv(images, Convolution("conv1_1", 64, 3))
    net = layers.conv(net, Convolution("conv1_2", 64, 3))
    for block in range(2, 6):
        net = layers.conv(layers.max_pool(net), Convolution(f"conv{block}", 8, 3))
    net = layers.conv(layers.max_pool(net), Convolution("fc6", 4096, 7, padding=head_padding))
    return layers.conv(net, Convolution("fc8", None, 1, relu=False))


def peak_at_2048x2048(folder: Path) -> int:
    """Bytes that a process needs to segment an image of that size with the exported model."""
    result = subprocess.run(
        [sys.executable, "-c", _SEGMENT_2048, folder], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    print(f"{int(result.stdout) / 1e9:.2f} GB")
    return int(result.stdout)


@pytest.mark.soak
def test_feature_maps_and_1000_classes_of_2048x2048_pixels_leave_room_for_the_weights(tmp_path: Path) -> None:
    network = replace(SMALL, name="large_maps", logits=_logits)
    write_checkpoint(tmp_path / "large_maps.ckpt", small_weights(network, 1000))
    exported = export_checkpoint(
        Request(tmp_path / "large_maps.ckpt", tmp_path / "large_maps", network=network)
    )
    # The weights, and once more what a layer makes of its own.
    assert peak_at_2048x2048(exported.path) < LIMIT - 2 * VGG_16


@pytest.mark.soak
def test_2048x2048_pixels_of_1000_classes_fit_6_gb(model_1000: Path) -> None:
    assert peak_at_2048x2048(model_1000) < LIMIT
