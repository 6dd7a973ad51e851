"""Networks that are made of slim's and are others are called what they are, and their variables not to be renamed."""

from __future__ import annotations

import re
from collections.abc import Collection

import pytest
from slimserve.export.checkpoint.incomplete import why_incomplete
from slimserve.export.checkpoint.recognition import find_network_in
from slimserve.export.errors import ExportError
from slimserve.export.networks import NETWORKS
from slimserve.export.types import Shape

from tests.support.selected import listing

NORMALIZATION = ("beta", "gamma", "moving_mean", "moving_variance")
Shapes = dict[str, Shape]


def shapes_of(name: str, without: Collection[str] = ()) -> Shapes:
    """The variables of a network, but for those that have any of these in their names."""
    return {
        variable: tuple(size or 5 for size in shape)
        for variable, shape in NETWORKS[name].expected_variables().items()
        if not any(part in variable for part in without)
    }


def normalized(shapes: Shapes, kind: str, leaves: Collection[str]) -> Shapes:
    """The same with a normalization of this name in place of the biases of all layers but the last."""
    found = {}
    for name, shape in shapes.items():
        if name.endswith("/biases") and "/fc8/" not in name:
            found |= {name.replace("biases", f"{kind}/{leaf}"): shape for leaf in leaves}
        else:
            found[name] = shape
    return found


def outside_of_the_arg_scope(name: str) -> Shapes:
    """As slim builds a network without one: biases where batch normalization was, but for `preact` of version 2."""
    found = {}
    for variable, shape in shapes_of(name).items():
        layer, batch_norm, leaf = variable.partition("/BatchNorm/")
        if not batch_norm:
            found[variable] = shape
        elif leaf == "beta":
            found[f"{layer}/biases"] = shape
    return found


def why(shapes: Shapes) -> str:
    checkpoint = listing(shapes)
    place = find_network_in(checkpoint)
    missing = [name for name in place.network.expected_variables() if place.tensor(name) not in shapes]
    return why_incomplete(checkpoint, place, missing)


@pytest.mark.parametrize("kind", ["BatchNorm", "bn", "batch_normalization"])
def test_batch_normalization_that_a_vgg_has_not_is_to_be_folded(kind: str) -> None:
    assert why(normalized(shapes_of("vgg_a"), kind, NORMALIZATION)) == (
        f"it was trained with batch normalization (vgg_a/conv1/conv1_1/{kind} and 9 more), which slim's vgg_a has not "
        "there: with s = gamma (1 without) / sqrt(moving_variance + epsilon), save weights * s as weights and beta - "
        "moving_mean * s as biases, and leave it out; or train without it"
    )


def test_batch_normalization_without_its_statistics_is_not_to_be_renamed() -> None:
    assert "it was trained with batch normalization" in why(
        normalized(shapes_of("vgg_a"), "BatchNorm", ["beta"])
    )


@pytest.mark.parametrize("kind", ["GroupNorm", "LayerNorm", "InstanceNorm"])
def test_another_normalization_that_a_vgg_has_not_cannot_be_folded(kind: str) -> None:
    assert why(normalized(shapes_of("vgg_a"), kind, ["beta", "gamma"])) == (
        f"it was trained with another normalization (vgg_a/conv1/conv1_1/{kind} and 9 more), which slim's vgg_a has "
        "not there: train without it, as weights and biases cannot stand for it"
    )


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("inception_v1", "InceptionV1/Conv2d_1a_7x7"),
        ("mobilenet_v1", "MobilenetV1/Conv2d_0"),
        ("resnet_v1_50", "resnet_v1_50/block1/unit_1/bottleneck_v1/conv1"),
        ("resnet_v2_50", "resnet_v2_50/block1/unit_1/bottleneck_v2/conv1"),
    ],
)
def test_a_network_without_its_arg_scope_is_called_so(name: str, layer: str) -> None:
    said = why(outside_of_the_arg_scope(name))
    assert said.startswith(
        f"it was trained without slim's arg_scope, so with biases in place of batch normalization ({layer}/biases and "
    )
    assert said.endswith(f"that is another network than slim's {name}; train it within the arg_scope")


def test_another_normalization_in_place_of_batch_normalization_is_called_so() -> None:
    shapes = shapes_of("inception_v1", without=["moving_"])
    assert why({name.replace("BatchNorm", "GroupNorm"): shape for name, shape in shapes.items()}) == (
        "it was trained with another normalization in place of batch normalization "
        "(InceptionV1/Conv2d_1a_7x7/GroupNorm and 56 more): that is another network than slim's inception_v1, and is "
        "not exported"
    )


def test_batch_normalization_by_another_name_is_a_matter_of_names() -> None:
    shapes = shapes_of("inception_v1")
    said = why({name.replace("BatchNorm", "batch_normalization"): shape for name, shape in shapes.items()})
    assert said.endswith(
        "batch_normalization/beta has the shape of the first, by a name that slim does not give"
    )


@pytest.mark.parametrize(
    ("beside", "kind"),
    [
        ("resnet_v1_50/rpn_conv/3x3/weights", "a detector"),
        ("build_rpn/rpn_cls_score/weights", "a detector"),
        ("resnet_v1_50/cls_score/weights", "a detector"),
        ("resnet_v1_50/bbox_pred/weights", "a detector"),
        ("block4_box/conv_cls/weights", "a detector"),
        ("multibox_head/loc_0/weights", "a detector"),
        ("feature_fusion/Conv/weights", "a detector of text, as EAST,"),
        ("BoxPredictor_0/ClassPredictor/weights", "a detector of the Object Detection API"),
    ],
)
def test_a_detector_is_not_called_a_classifier_without_its_last_layer(beside: str, kind: str) -> None:
    shapes = shapes_of("resnet_v1_50", without=["/logits/"])
    assert why(shapes | {beside: (3, 3, 8, 8)}) == (
        f"it is {kind} with a resnet_v1_50 inside, as {beside} tells, and detectors are not exported; give a "
        "checkpoint of the classifier"
    )


def test_deeplab_on_a_plain_resnet_is_called_so() -> None:
    shapes = shapes_of("resnet_v1_50", without=["/logits/"])
    head = shapes_of("deeplab_resnet_v1_50_beta", without=["resnet_v1_50/"])
    said = (
        "and it is DeepLab on the plain resnet_v1_50 (--model_variant=resnet_v1_50), which is not exported: of its "
        "ResNets only the beta variants are, "
    )
    with pytest.raises(ExportError, match=re.escape(said)):
        find_network_in(listing(shapes | head))


def test_deeplab_without_its_pyramid_names_the_flag() -> None:
    backbone = shapes_of("deeplab_mobilenet_v2", without=["aspp", "image_pooling", "concat_projection"])
    said = "DeepLab on mobilenet_v2, trained with aspp_with_batch_norm=false of its train.py, which is not exported"
    with pytest.raises(ExportError, match=said):
        find_network_in(listing(backbone))
