"""Full-size checkpoints and models exported from them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from slimserve.export import cli
from slimserve.export.checkpoint.contents import open_checkpoint

from tests.support.saved_model import SavedModel


def export_here(*arguments: str | Path) -> None:
    """Run `python -m export` with these arguments in this process: a new one takes seconds to import TensorFlow."""
    with mock.patch.dict(os.environ):  # what the command sets is not for the tests
        assert cli.main([str(argument) for argument in arguments]) == 0


@pytest.fixture(scope="session")
def weights(demo_checkpoint: Path) -> dict[str, np.ndarray]:
    """The demo checkpoint's tensors by name."""
    with open_checkpoint(demo_checkpoint) as checkpoint:
        return {name: checkpoint.read(name) for name in checkpoint.tensors}


@pytest.fixture(scope="session")
def export_demo(demo_checkpoint: Path, made_once: Callable[..., Path]) -> Callable[..., Path]:
    """Export the demo checkpoint with these options; return the version folder."""

    def export(*options: str) -> Path:
        def make(folder: Path) -> None:
            export_here("--ckpt", demo_checkpoint, "--out", folder / "vgg_16", *options)

        return made_once(("exported" + "".join(options)).replace("/", "-"), make) / "vgg_16" / "1"

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
def model_1000(checkpoint_1000: Path, made_once: Callable[..., Path]) -> Path:
    """The version folder exported from `checkpoint_1000`."""

    def make(folder: Path) -> None:
        export_here("--ckpt", checkpoint_1000, "--out", folder / "vgg_16")

    return made_once("model_1000", make) / "vgg_16" / "1"
