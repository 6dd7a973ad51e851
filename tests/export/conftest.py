"""Full-size checkpoints and models exported from them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from export.checkpoint import open_checkpoint
from export.checkpoint_writer import write_checkpoint
from export.demo.random_weights import random_checkpoint
from tests.conftest import run_module
from tests.saved_model import SavedModel


@pytest.fixture(scope="session")
def weights(demo_checkpoint: Path) -> dict[str, np.ndarray]:
    """The demo checkpoint's tensors by name."""
    with open_checkpoint(demo_checkpoint) as checkpoint:
        return {name: checkpoint.read(name) for name in checkpoint.tensors}


@pytest.fixture(scope="session")
def export_demo(demo_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Export the demo checkpoint with these options; return the version folder."""

    def export(*options: str) -> Path:
        out = tmp_path_factory.mktemp("exported") / "vgg_16"
        result = run_module("export", "--ckpt", demo_checkpoint, "--out", out, *options)
        assert result.returncode == 0, result.stderr
        return out / "1"

    return export


@pytest.fixture(scope="session")
def aligned(models: Path) -> Iterator[SavedModel]:
    """The default export of the demo checkpoint."""
    with SavedModel(models / "vgg_16" / "1") as model:
        yield model


@pytest.fixture(scope="session")
def valid(export_demo: Callable[..., Path]) -> Iterator[SavedModel]:
    """The demo checkpoint exported as the slim tutorial segments."""
    with SavedModel(export_demo("--geometry", "valid", "--upsampling", "nearest")) as model:
        yield model


@pytest.fixture(scope="session")
def checkpoint_1000(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A V1 checkpoint with random weights and ImageNet's number of classes."""
    checkpoint = tmp_path_factory.mktemp("imagenet") / "vgg_16.ckpt"
    write_checkpoint(checkpoint, random_checkpoint(1000), "V1")
    return checkpoint


@pytest.fixture(scope="session")
def model_1000(checkpoint_1000: Path) -> Path:
    """The version folder exported from `checkpoint_1000`."""
    out = checkpoint_1000.parent / "models" / "vgg_16"
    result = run_module("export", "--ckpt", checkpoint_1000, "--out", out)
    assert result.returncode == 0, result.stderr
    return out / "1"
