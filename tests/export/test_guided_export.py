"""Label maps whose borders follow the image, as those of a network that pools globally do: a MobileNet's exports."""

from __future__ import annotations

from pathlib import Path

import pytest
from slimserve.export.networks import NETWORKS
from slimserve.export.pipeline import Export, export_checkpoint
from slimserve.export.plan.options import GraphOptions, Request


@pytest.fixture(scope="module")
def exported(mobilenet_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Export:
    out = tmp_path_factory.mktemp("guided") / "mobilenet_v1"
    return export_checkpoint(Request(mobilenet_checkpoint, out))


def test_the_export_says_that_borders_follow_the_image(exported: Export) -> None:
    assert exported.record["options"]["upsampling"] == "guided"
    assert "borders led by the image's colours up to 96 pixels around" in exported.record["label_maps"]


def test_what_the_reference_decides_is_compared(exported: Export) -> None:
    labels = exported.record["parity"]["labels"]
    assert labels["pixels_same"] == labels["pixels_decided"] > labels["pixels"] / 2


def test_tiles_share_what_the_filter_spans_too() -> None:
    network = NETWORKS["mobilenet_v1"]
    bilinear = GraphOptions(upsampling="bilinear").of(network).receptive_field(network)
    assert GraphOptions().of(network).receptive_field(network) == bilinear + 2 * 96
