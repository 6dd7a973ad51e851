"""DeepLab's checkpoints are recognised by their variables: which network, and which parts of it there are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from slimserve.export.checkpoint.published.table import PUBLISHED
from slimserve.export.checkpoint.recognition import find_network_in
from slimserve.export.errors import ExportError
from slimserve.export.networks import NETWORKS, Network

from tests.support.checkpoints import tensorflow_v2
from tests.support.deeplab_checkpoints import DECODER, random_weights, with_all_parts
from tests.support.selected import listing, refusal

CLASSES = 21


def shapes_of(network: Network) -> dict[str, tuple[int, ...]]:
    return {
        name: tuple(size or CLASSES for size in shape) for name, shape in network.expected_variables().items()
    }


def test_the_parts_are_those_that_have_variables() -> None:
    place = find_network_in(listing(shapes_of(with_all_parts("deeplab_mobilenet_v2"))))
    assert place.network.name == "deeplab_mobilenet_v2"
    assert "deeplab_mobilenet_v2 with image pooling, atrous branches, a decoder; " in place.notes[-1]
    assert "an image in tiles has others" in place.notes[-1]
    assert {f"{DECODER}/weights", "aspp3_pointwise/weights"} <= place.network.expected_variables().keys()
    assert place.network.spacing(16) == 4


def test_the_published_mobilenet_has_no_branches_and_no_decoder() -> None:
    place = find_network_in(listing(shapes_of(NETWORKS["deeplab_mobilenet_v2"])))
    assert "with image pooling and without atrous branches, a decoder; " in place.notes[-1]
    assert place.network.spacing(8) == 8


def test_the_width_is_that_of_the_variables() -> None:
    half = {
        name: tuple(size // 2 if size > 21 else size for size in shape)
        for name, shape in shapes_of(NETWORKS["deeplab_mobilenet_v2"]).items()
    }
    network = find_network_in(listing(half)).network
    assert {
        name: tuple(size or CLASSES for size in shape) for name, shape in network.expected_variables().items()
    } == half


def test_the_rates_of_branches_are_assumed_and_it_is_said() -> None:
    """No variable tells them."""
    with_branches = find_network_in(listing(shapes_of(with_all_parts("deeplab_mobilenet_v2"))))
    assert "the rates of its branches are 6, 12, 18 at an output stride of 16" in with_branches.notes[-1]
    without = find_network_in(listing(shapes_of(NETWORKS["deeplab_mobilenet_v2"])))
    assert "rates" not in without.notes[-1]


@pytest.mark.parametrize(("number", "says"), [(1, "1 atrous branch"), (4, "4 atrous branches")])
def test_other_branches_than_the_published_are_refused(number: int, says: str) -> None:
    shapes = shapes_of(NETWORKS["deeplab_mobilenet_v2"])
    for branch in range(1, number + 1):
        shapes[f"aspp{branch}_depthwise/depthwise_weights"] = (3, 3, 320, 1)
    with pytest.raises(ExportError, match=f"{says}, and their rates are known only .* other atrous_rates"):
        find_network_in(listing(shapes))


@pytest.mark.parametrize(
    ("instead_of", "variable", "flag"),
    [
        ("aspp", "aspp1/weights", "aspp_with_separable_conv=false"),
        (
            "decoder/decoder_conv",
            "decoder/decoder_conv0/decoder_conv0_1/weights",
            "decoder_use_separable_conv=false",
        ),
        ("", "decoder/feature_projection1/weights", "several numbers for decoder_output_stride"),
    ],
)
def test_another_flag_of_deeplabs_training_is_named(instead_of: str, variable: str, flag: str) -> None:
    separable = re.compile(rf"{instead_of}\d_(depthwise|pointwise)/")
    shapes = shapes_of(with_all_parts("deeplab_mobilenet_v2"))
    kept = {name: shape for name, shape in shapes.items() if not separable.match(name)}
    with pytest.raises(ExportError) as caught:
        find_network_in(listing(kept | {variable: (3, 3, 320, 256)}))
    assert str(caught.value) == (
        f"the checkpoint has {variable}: DeepLab's train.py made it with {flag}, and such a network is not exported"
    )


@pytest.mark.parametrize("name", ["deeplab_mobilenet_v2", "deeplab_xception_41", "deeplab_resnet_v1_50_beta"])
def test_a_last_layer_by_another_name_leaves_it_deeplab(name: str) -> None:
    shapes = {
        variable.replace("logits/semantic", "logits/my_data"): shape
        for variable, shape in shapes_of(NETWORKS[name]).items()
    }
    place = find_network_in(listing(shapes))
    assert place.network.name == name


def test_a_mobilenet_is_no_deeplab() -> None:
    place = find_network_in(listing(shapes_of(NETWORKS["mobilenet_v2"])))
    assert place.network.name == "mobilenet_v2"


def test_more_than_the_network_has_in_its_scopes_is_refused(tmp_path: Path) -> None:
    """Of a training without batch normalization behind the branches, whose scores are a sum."""
    weights = random_weights(NETWORKS["deeplab_mobilenet_v2"], CLASSES, 8)
    weights["logits/semantic_1/weights"] = weights["logits/semantic/weights"]
    complaint = refusal(tensorflow_v2(tmp_path / "model", weights))
    assert "not deeplab_mobilenet_v2 alone: it also has logits/semantic_1/weights" in complaint


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize("above", ["", "tower_0/"])
def test_a_head_on_a_backbone_that_is_not_exported_never_becomes_a_classifier(kept: bool, above: str) -> None:
    """As research/deeplab trains resnet_v1_50, whose own last layer may have been kept as it was."""
    shapes = shapes_of(NETWORKS["resnet_v1_50"])
    shapes = {name: shape for name, shape in shapes.items() if kept or "/logits/" not in name}
    shapes |= {"aspp0/weights": (1, 1, 2048, 256), "logits/semantic/weights": (1, 1, 256, CLASSES)}
    shapes = {f"{above}{name}": shape for name, shape in shapes.items()}
    for wanted in (None, NETWORKS["resnet_v1_50"]):
        with pytest.raises(ExportError) as caught:
            find_network_in(listing(shapes), wanted)
        assert f"not resnet_v1_50 alone: {above}logits/semantic/weights scores its features" in str(
            caught.value
        )
        assert "deeplab_resnet_v1_50_beta" in str(caught.value)
        assert "give the checkpoint that this training began with" in str(caught.value)


def test_a_deeplab_that_is_called_by_its_backbones_name_says_its_own() -> None:
    shapes = shapes_of(NETWORKS["deeplab_mobilenet_v2"]) | shapes_of(NETWORKS["mobilenet_v2"])
    with pytest.raises(ExportError, match="say --net deeplab_mobilenet_v2, or leave --net out"):
        find_network_in(listing(shapes), NETWORKS["mobilenet_v2"])


def test_the_head_of_a_deeplab_beside_a_classifier_is_not_the_classifiers() -> None:
    shapes = shapes_of(NETWORKS["deeplab_mobilenet_v2"]) | shapes_of(NETWORKS["resnet_v1_50"])
    assert find_network_in(listing(shapes), NETWORKS["resnet_v1_50"]).network.name == "resnet_v1_50"


def test_the_published_are_those_that_are_exported_but_for_other_architectures() -> None:
    networks = {
        published.network for published in PUBLISHED.values() if published.network.startswith("deeplab")
    }
    assert networks - NETWORKS.keys() == {"deeplab_dense_prediction_cell", "deeplab_mobilenet_v3"}
