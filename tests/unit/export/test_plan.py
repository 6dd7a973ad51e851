"""What the plan takes from the checkpoint, and what it says of it."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from slimserve.export.checkpoint.contents import Checkpoint, open_checkpoint
from slimserve.export.checkpoint.files.locate import Located
from slimserve.export.checkpoint.formats.tensor_spec import TensorSpec
from slimserve.export.checkpoint.formats.v2 import V2Bundle
from slimserve.export.errors import ExportError
from slimserve.export.networks import NETWORKS
from slimserve.export.plan.options import GraphOptions
from slimserve.export.plan.plan import Plan

from tests.support.archives import archive, member
from tests.support.broadcast import variables
from tests.support.checkpoints import tensorflow_v1, tensorflow_v2

PARTS = ("index", "data-00000-of-00001")


def listed(network: str, scope: str = "", classes: int = 21, name: str = "model") -> Checkpoint:
    """A checkpoint that lists a network's variables and holds no data."""
    tensors = {
        f"{scope}{name}": TensorSpec(value.shape, value.dtype)
        for name, value in variables(NETWORKS[network], classes).items()
    }
    reader = cast(V2Bundle, SimpleNamespace(tensors=tensors, files=[]))
    return Checkpoint(Path(name), Located("V2", Path(name)), reader, ExitStack())


@pytest.mark.parametrize("stride", [8, 16, 32])
def test_tf_image_segmentations_resnets_are_exported_at_the_stride_they_were_trained_at(stride: int) -> None:
    plan = Plan.of(listed("resnet_v1_50", f"resnet_v1_50_{stride}s/"), GraphOptions())
    assert plan.options.output_stride == stride
    assert f"it was trained at an output stride of {stride}: the export has {stride}" in "; ".join(plan.notes)


def test_an_output_stride_that_is_asked_for_wins_and_the_trained_one_is_said() -> None:
    plan = Plan.of(listed("resnet_v1_50", "resnet_v1_50_8s/"), GraphOptions(output_stride=16))
    assert plan.options.output_stride == 16
    assert "it was trained at an output stride of 8: the export has 16" in "; ".join(plan.notes)


def test_other_scopes_say_nothing_of_strides() -> None:
    assert Plan.of(listed("resnet_v1_50", "tower_8s/"), GraphOptions()).options.output_stride == 32


def test_more_ranked_classes_than_there_are_is_said() -> None:
    plan = Plan.of(listed("resnet_v1_50", classes=3), GraphOptions(top_k=10))
    assert plan.notes == ["--top-k is 10, and there are 3 classes: answers rank all of them"]
    assert Plan.of(listed("resnet_v1_50", classes=3), GraphOptions(top_k=3)).notes == []


@pytest.mark.parametrize("classes", [1000, 1001])
def test_names_that_are_taken_from_the_number_of_classes_are_said(classes: int, tmp_path: Path) -> None:
    own = tmp_path / "labels.txt"
    own.write_text("".join(f"part {number}\n" for number in range(classes)))
    said = f"the classes have the names of ImageNet, as {classes} are those of the published checkpoints: --labels says"
    checkpoint = listed("resnet_v1_50", classes=classes)
    assert Plan.of(checkpoint, GraphOptions()).notes == [f"{said} otherwise"]
    assert Plan.of(checkpoint, GraphOptions(), labels_file=own).notes == []


def test_what_the_weights_warn_of_stands_beside_other_warnings() -> None:
    checkpoint = listed("overfeat")
    checkpoint.tensors = {**checkpoint.tensors, "new/weights": TensorSpec((4096, 3), np.dtype(np.float32))}
    outside, guess = Plan.of(checkpoint, GraphOptions()).warnings
    assert outside.startswith("1 variables outside of overfeat's scope")
    assert "a guess" in guess


@pytest.mark.parametrize(
    ("name", "crop"),
    [
        ("mobilenet_v1_1.0_128.ckpt", 128),
        ("mobilenet_v1_0.25_160_2017_06_14.tar.gz", 160),
        ("mobilenet_v1_1.0_2240.ckpt", 224),
        ("mobilenet_v1_1.0_500.ckpt", 224),
        ("mobilenet_v2_1.0_96.tgz", 224),
        ("model", 224),
    ],
)
def test_the_crop_is_that_in_the_name_of_a_published_checkpoint(name: str, crop: int) -> None:
    plan = Plan.of(listed("mobilenet_v1", name=name), GraphOptions())
    said = f"images are cropped to {crop}x{crop}, as the name of the checkpoint says"
    assert (plan.network.crop, plan.options.crop) == (crop, crop)
    assert (said in plan.notes) == (crop != 224)


@pytest.mark.parametrize(
    ("name", "crop"), [("mobilenet_v1_1.0_128", 128), ("MobileNet_V1_0.5_160", 160), ("run5", 224)]
)
def test_the_crop_does_not_depend_on_how_the_path_is_written(
    name: str, crop: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / name
    folder.mkdir()
    tensorflow_v2(folder / "model.ckpt-5000", variables(NETWORKS["mobilenet_v1"]))
    (tmp_path / "latest").symlink_to(folder)
    (tmp_path / "links").mkdir()
    for part in PARTS:
        (tmp_path / "links" / f"model.{part}").symlink_to(folder / f"model.ckpt-5000.{part}")
    monkeypatch.chdir(folder)
    prefix = folder / "model.ckpt-5000"
    ways = [
        folder,
        prefix,
        f"{prefix}.index",
        ".",
        "model.ckpt-5000",
        tmp_path / "latest",
        tmp_path / "links",
    ]
    for way in ways:
        with open_checkpoint(way) as checkpoint:
            assert (way, Plan.of(checkpoint, GraphOptions()).network.crop) == (way, crop)


def test_the_folder_above_the_one_of_the_checkpoint_says_no_crop() -> None:
    """It says none of its checkpoints by a longer path, so it says none by the path of the folder."""
    plan = Plan.of(listed("mobilenet_v1", name="mobilenet_v1_1.0_128/run1/model.ckpt-5000"), GraphOptions())
    assert plan.options.crop == 224


def test_an_archive_says_the_crop_by_its_name_and_its_folders(tmp_path: Path) -> None:
    prefix = tensorflow_v2(tmp_path / "model.ckpt", variables(NETWORKS["mobilenet_v1"]))
    members = [
        member(f"{prefix.name}.{part}", prefix.with_name(f"{prefix.name}.{part}").read_bytes())
        for part in PARTS
    ]
    (tmp_path / "mobilenet_v1_1.0_192").mkdir()
    for name, crop in (("mobilenet_v1_1.0_128.tar", 128), ("mobilenet_v1_1.0_192/weights.tar", 192)):
        with open_checkpoint(archive(tmp_path / name, *members)) as checkpoint:
            assert Plan.of(checkpoint, GraphOptions()).network.crop == crop


def test_a_link_says_the_crop_by_its_own_name_where_what_it_leads_to_does_not(tmp_path: Path) -> None:
    stored = tensorflow_v1(tmp_path / "0a1b2c", variables(NETWORKS["mobilenet_v1"]))
    (tmp_path / "mobilenet_v1_1.0_128.ckpt").symlink_to(stored)
    with open_checkpoint(tmp_path / "mobilenet_v1_1.0_128.ckpt") as checkpoint:
        assert Plan.of(checkpoint, GraphOptions()).network.crop == 128


def test_a_crop_that_no_name_says_is_called_a_guess() -> None:
    said = (
        "images are cropped to 224x224: a guess, as no name of the checkpoint or its folder says the side of its "
        "images; say it with --crop"
    )
    assert said in Plan.of(listed("mobilenet_v2"), GraphOptions()).notes
    assert said not in Plan.of(listed("mobilenet_v2"), GraphOptions(crop=224)).notes
    assert said not in Plan.of(listed("mobilenet_v2", name="mobilenet_v2_1.0_224.ckpt"), GraphOptions()).notes
    assert said not in Plan.of(listed("vgg_16"), GraphOptions()).notes


def test_a_crop_that_is_asked_for_wins_over_a_name() -> None:
    plan = Plan.of(listed("mobilenet_v1", name="mobilenet_v1_1.0_128.ckpt"), GraphOptions(crop=192))
    assert plan.options.crop == 192
    assert not any("cropped" in note for note in plan.notes)


@pytest.mark.parametrize(
    ("network", "scope", "chosen", "window"),
    [
        ("resnet_v1_50", "", {}, 7),
        ("resnet_v1_50", "", {"pooling_window": 1}, 1),
        ("resnet_v1_50", "", {"crop": 256, "preprocessing": "inception"}, 7),
        ("resnet_v1_50", "", {"crop": 299, "preprocessing": "inception"}, 9),
        ("resnet_v1_50", "resnet_v1_50_8s/", {}, 1),
        ("resnet_v1_50", "resnet_v1_50_8s/", {"pooling_window": 3}, 3),
        ("vgg_16", "", {}, 1),
    ],
)
def test_label_maps_are_decided_on_the_window_that_the_network_learnt_to_decide_on(
    network: str, scope: str, chosen: dict[str, Any], window: int
) -> None:
    plan = Plan.of(listed(network, scope), GraphOptions(**chosen))
    assert plan.options.pooling_window == window
    assert (f"averaged over {window}x{window} cells" in plan.about_label_maps) == (window > 1)


@pytest.mark.parametrize(
    ("network", "chosen", "upsampling"),
    [
        ("resnet_v1_50", {}, "guided"),
        ("mobilenet_v1", {"output_stride": 16}, "guided"),
        ("mobilenet_v1", {"upsampling": "bilinear"}, "bilinear"),
        ("resnet_v1_50", {"pooling_window": 1}, "bilinear"),
        ("vgg_16", {}, "bilinear"),
        ("vgg_16", {"upsampling": "guided"}, "guided"),
    ],
)
def test_borders_follow_the_image_where_scores_are_averaged_over_a_window(
    network: str, chosen: dict[str, Any], upsampling: str
) -> None:
    plan = Plan.of(listed(network), GraphOptions(**chosen))
    assert plan.options.upsampling == upsampling
    assert ("--upsampling guided" in plan.about_label_maps) == (upsampling == "guided")


@pytest.mark.parametrize(
    ("network", "window", "message"),
    [
        ("resnet_v1_50", 4, "--pooling-window must be odd, as a window has a middle, not 4"),
        ("vgg_16", 7, "vgg_16 .* leave out --pooling-window"),
        ("inception_v3", 7, "leave out --pooling-window"),
    ],
)
def test_a_window_that_a_network_cannot_have_is_refused(network: str, window: int, message: str) -> None:
    with pytest.raises(ExportError, match=message):
        Plan.of(listed(network), GraphOptions(pooling_window=window))
