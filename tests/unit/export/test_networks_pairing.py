"""Checkpoints, options and labels that do not go together: the mistake is named, and the likely right option."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from slimserve.export.checkpoint.contents import open_checkpoint
from slimserve.export.checkpoint.recognition import find_network_in
from slimserve.export.errors import ExportError
from slimserve.export.networks import NETWORKS
from slimserve.export.pipeline import export_checkpoint
from slimserve.export.plan.options import GraphOptions, Request
from slimserve.export.weights.labels import find_labels

from tests.support.checkpoints import tensorflow_v2


def checkpoint(path: Path, *names: str) -> Path:
    """One that holds tensors of these names."""
    return tensorflow_v2(path, {name: np.zeros(2, np.float32) for name in names})


def complaint(path: Path, wanted: str | None = None) -> str:
    with open_checkpoint(path) as opened, pytest.raises(ExportError) as caught:
        find_network_in(opened, NETWORKS[wanted] if wanted else None)
    return str(caught.value)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_is_recognised_by_its_variables(name: str, tmp_path: Path) -> None:
    variables = list(NETWORKS[name].expected_variables())
    with open_checkpoint(checkpoint(tmp_path / "model", *variables, "global_step")) as opened:
        assert find_network_in(opened).network.name == name


def test_another_networks_checkpoint_is_named_with_the_option_for_it(tmp_path: Path) -> None:
    path = checkpoint(tmp_path / "model", "resnet_v1_50/conv1/weights")
    assert complaint(path, "vgg_16") == (
        f"{path} is not vgg_16: it holds resnet_v1_50, its variables start with resnet_v1_50/; "
        "say --net resnet_v1_50, or leave --net out"
    )


def test_of_two_networks_in_a_checkpoint_one_must_be_chosen(tmp_path: Path) -> None:
    path = checkpoint(tmp_path / "model", "InceptionV3/a", "vgg_16/b")
    assert complaint(path) == f"{path} holds inception_v3 and vgg_16: say which with --net"


def test_the_one_that_is_asked_for_is_taken_of_two(tmp_path: Path) -> None:
    with open_checkpoint(checkpoint(tmp_path / "model", "InceptionV3/a", "vgg_16/b")) as opened:
        assert find_network_in(opened, NETWORKS["inception_v3"]).network.name == "inception_v3"


def test_a_network_that_cannot_be_exported_is_called_by_its_scope(tmp_path: Path) -> None:
    path = checkpoint(tmp_path / "model", "EfficientNet/Conv2d_0/weights", "global_step")
    assert complaint(path) == (
        f"{path} holds none of the networks that can be exported, which `python -m export --help` lists: "
        "its variables start with EfficientNet/"
    )


def test_an_incomplete_checkpoint_is_called_by_its_networks_name(tmp_path: Path) -> None:
    path = checkpoint(tmp_path / "model", "InceptionV3/Conv2d_1a_3x3/weights")
    with pytest.raises(ExportError, match=r"lacks InceptionV3/.*: it is no complete inception_v3$"):
        export_checkpoint(Request(path, tmp_path / "out"))


@pytest.mark.parametrize(
    ("options", "left_out"),
    [
        (GraphOptions(output_stride=16), "--output-stride"),
        (GraphOptions(geometry="valid", upsampling="nearest"), "--geometry and --upsampling"),
    ],
)
def test_segmentation_is_not_asked_of_a_classifier(
    options: GraphOptions, left_out: str, tmp_path: Path
) -> None:
    path = checkpoint(tmp_path / "model", "InceptionV4/a")
    with pytest.raises(ExportError) as caught:
        export_checkpoint(Request(path, tmp_path / "out", graph=options))
    assert str(caught.value).startswith(
        "inception_v4 pools its features before its last layer: it classifies and cannot segment; "
        f"leave out {left_out}, or take"
    )


@pytest.mark.parametrize("name", ["alexnet_v2", "overfeat"])
def test_an_output_stride_that_a_network_lacks_is_refused(name: str) -> None:
    with pytest.raises(ExportError, match=f"{name} has no output stride of 16: --output-stride must be 32"):
        GraphOptions(output_stride=16).of(NETWORKS[name])


def test_1001_classes_and_a_thousand_names(tmp_path: Path) -> None:
    (file := tmp_path / "names.txt").write_text("".join(f"name {i}\n" for i in range(1000)))
    with pytest.raises(ExportError) as caught:
        find_labels(file, [tmp_path / "model"], 1001)
    assert "has 1000 lines but the checkpoint has 1001 classes" in str(caught.value)
    assert "let 'background' be line 1" in str(caught.value)


def test_1000_classes_and_names_with_the_background(tmp_path: Path) -> None:
    (file := tmp_path / "names.txt").write_text("".join(f"name {i}\n" for i in range(1001)))
    with pytest.raises(ExportError, match="if line 1 is the background"):
        find_labels(file, [tmp_path / "model"], 1000)


def test_imagenets_names_begin_with_the_background_where_there_are_1001(tmp_path: Path) -> None:
    with_background = find_labels(None, [tmp_path / "model"], 1001)
    without = find_labels(None, [tmp_path / "model"], 1000)
    assert with_background.names == ("background", *without.names)
    assert with_background.identifiers[1] == without.identifiers[0] == "n01440764"
