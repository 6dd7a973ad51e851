"""Full-size checkpoints and models exported from them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from PIL import Image
from slimserve.export import cli
from slimserve.export.checkpoint.contents import open_checkpoint
from slimserve.export.demo.checkpoint_writer import write_checkpoint
from slimserve.export.networks import NETWORKS

from tests.conftest import Keep
from tests.support.saved_model import SavedModel
from tests.support.scenes import random_scene
from tests.support.slim_checkpoints import random_weights


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
def export_demo(
    demo_checkpoint: Path, kept: Keep, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Path]:
    """Export the demo checkpoint with these options; return the version folder."""

    def export(*options: str) -> Path:
        def make(folder: Path) -> None:
            export_here("--ckpt", demo_checkpoint, "--out", folder / "vgg_16", *options)

        if any(Path(option).is_absolute() for option in options):  # on files of this run
            folder = tmp_path_factory.mktemp("exported")
            make(folder)
        else:
            name = "exported" + "".join(options)
            folder = kept(name, make, ["slimserve.export.cli"], demo_checkpoint, *options)
        return folder / "vgg_16" / "1"

    return export


@pytest.fixture(scope="session")
def aligned(models: Path) -> Iterator[SavedModel]:
    """The default export of the demo checkpoint, as TensorFlow Serving runs it."""
    with SavedModel(models / "vgg_16" / "1", rewritten=True) as model:
        yield model


@pytest.fixture(scope="session")
def narrow(narrow_models: Path) -> Iterator[SavedModel]:
    """The default export of VGG-16 with a sixteenth of its channels."""
    with SavedModel(narrow_models / "vgg_16" / "1") as model:
        yield model


@pytest.fixture(scope="session")
def valid(export_demo: Callable[..., Path]) -> Iterator[SavedModel]:
    """The demo checkpoint exported as the slim tutorial segments."""
    with SavedModel(export_demo("--geometry", "valid", "--upsampling", "nearest")) as model:
        yield model


@pytest.fixture(scope="session")
def int8(export_demo: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The version folder of the demo checkpoint in 8 bits: ranges from eight scenes, and two are held out."""
    folder = tmp_path_factory.mktemp("scenes")
    for seed in range(10):
        image, _ = random_scene(np.random.default_rng([8, seed]))
        Image.fromarray(image).save(folder / f"{seed}.png")
    return export_demo("--precision", "int8", "--calibrate", str(folder))


@pytest.fixture(scope="session")
def mobilenet_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A MobileNet v1 of seven classes with random weights."""
    path = tmp_path_factory.mktemp("mobilenet") / "mobilenet.ckpt"
    write_checkpoint(path, random_weights(NETWORKS["mobilenet_v1"], 7))
    return path


@pytest.fixture(scope="session")
def checkpoint_1000(kept: Keep) -> Path:
    """A V1 checkpoint with random weights and ImageNet's number of classes."""

    def make(folder: Path) -> None:
        from slimserve.export.demo.checkpoint_writer import write_checkpoint
        from slimserve.export.demo.random_weights import random_checkpoint

        write_checkpoint(folder / "vgg_16.ckpt", random_checkpoint(1000), "V1")

    modules = ["slimserve.export.demo.checkpoint_writer", "slimserve.export.demo.random_weights"]
    return kept("random_of_1000", make, modules) / "vgg_16.ckpt"


@pytest.fixture(scope="session")
def model_1000(checkpoint_1000: Path, kept: Keep) -> Path:
    """The version folder exported from `checkpoint_1000`."""

    def make(folder: Path) -> None:
        export_here("--ckpt", checkpoint_1000, "--out", folder / "vgg_16")

    return kept("model_1000", make, ["slimserve.export.cli"], checkpoint_1000) / "vgg_16" / "1"
