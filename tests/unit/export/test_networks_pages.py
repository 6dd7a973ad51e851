"""The registry, and what the pages say of variables: against published figures and names."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from slimserve.export.networks import NETWORKS

PUBLISHED = {
    "vgg_a", "vgg_16", "vgg_19", "alexnet_v2", "overfeat",
    "resnet_v1_50", "resnet_v1_101", "resnet_v1_152", "resnet_v1_200",
    "resnet_v2_50", "resnet_v2_101", "resnet_v2_152", "resnet_v2_200",
    "inception_v1", "inception_v2", "inception_v3", "inception_v4", "inception_resnet_v2",
    "mobilenet_v1", "mobilenet_v2", "nasnet_mobile", "nasnet_large",
}  # fmt: skip
# Millions of parameters with 1001 classes and without the auxiliary head, as published.
MILLIONS = {"inception_v4": 42.7, "inception_resnet_v2": 55.8, "nasnet_mobile": 5.3, "nasnet_large": 88.9}
# Some of the names in the published checkpoints, with shapes, from every part of the networks.
NAMES: dict[str, dict[str, tuple[int | None, ...]]] = {
    "inception_v4": {
        "InceptionV4/Conv2d_1a_3x3/weights": (3, 3, 3, 32),
        "InceptionV4/Conv2d_1a_3x3/BatchNorm/moving_variance": (32,),
        "InceptionV4/Mixed_3a/Branch_1/Conv2d_0a_3x3/weights": (3, 3, 64, 96),
        "InceptionV4/Mixed_4a/Branch_1/Conv2d_0c_7x1/weights": (7, 1, 64, 64),
        "InceptionV4/Mixed_5a/Branch_0/Conv2d_1a_3x3/weights": (3, 3, 192, 192),
        "InceptionV4/Mixed_5e/Branch_3/Conv2d_0b_1x1/weights": (1, 1, 384, 96),
        "InceptionV4/Mixed_6a/Branch_1/Conv2d_1a_3x3/weights": (3, 3, 224, 256),
        "InceptionV4/Mixed_6h/Branch_2/Conv2d_0e_1x7/weights": (1, 7, 224, 256),
        "InceptionV4/Mixed_7a/Branch_1/Conv2d_0c_7x1/weights": (7, 1, 256, 320),
        "InceptionV4/Mixed_7d/Branch_2/Conv2d_0d_1x3/weights": (1, 3, 512, 256),
        "InceptionV4/Mixed_7d/Branch_1/Conv2d_0c_3x1/BatchNorm/beta": (256,),
        "InceptionV4/Logits/Logits/weights": (1536, None),
        "InceptionV4/Logits/Logits/biases": (None,),
    },
    "inception_resnet_v2": {
        "InceptionResnetV2/Conv2d_4a_3x3/weights": (3, 3, 80, 192),
        "InceptionResnetV2/Mixed_5b/Branch_0/Conv2d_1x1/weights": (1, 1, 192, 96),
        "InceptionResnetV2/Repeat/block35_10/Branch_2/Conv2d_0c_3x3/weights": (3, 3, 48, 64),
        "InceptionResnetV2/Repeat/block35_1/Conv2d_1x1/biases": (320,),
        "InceptionResnetV2/Mixed_6a/Branch_1/Conv2d_1a_3x3/weights": (3, 3, 256, 384),
        "InceptionResnetV2/Repeat_1/block17_20/Branch_1/Conv2d_0b_1x7/weights": (1, 7, 128, 160),
        "InceptionResnetV2/Repeat_1/block17_20/Conv2d_1x1/weights": (1, 1, 384, 1088),
        "InceptionResnetV2/Mixed_7a/Branch_2/Conv2d_1a_3x3/BatchNorm/moving_mean": (320,),
        "InceptionResnetV2/Repeat_2/block8_9/Branch_1/Conv2d_0c_3x1/weights": (3, 1, 224, 256),
        "InceptionResnetV2/Block8/Conv2d_1x1/weights": (1, 1, 448, 2080),
        "InceptionResnetV2/Conv2d_7b_1x1/weights": (1, 1, 2080, 1536),
        "InceptionResnetV2/Logits/Logits/weights": (1536, None),
    },
    "mobilenet_v1": {
        "MobilenetV1/Conv2d_0/weights": (3, 3, 3, 32),
        "MobilenetV1/Conv2d_1_depthwise/depthwise_weights": (3, 3, 32, 1),
        "MobilenetV1/Conv2d_1_depthwise/BatchNorm/gamma": (32,),
        "MobilenetV1/Conv2d_13_pointwise/weights": (1, 1, 1024, 1024),
        "MobilenetV1/Conv2d_13_pointwise/BatchNorm/moving_variance": (1024,),
        "MobilenetV1/Logits/Conv2d_1c_1x1/weights": (1, 1, 1024, None),
    },
    "mobilenet_v2": {
        "MobilenetV2/Conv/weights": (3, 3, 3, 32),
        "MobilenetV2/expanded_conv/depthwise/depthwise_weights": (3, 3, 32, 1),
        "MobilenetV2/expanded_conv/project/weights": (1, 1, 32, 16),
        "MobilenetV2/expanded_conv_1/expand/weights": (1, 1, 16, 96),
        "MobilenetV2/expanded_conv_16/project/BatchNorm/moving_mean": (320,),
        "MobilenetV2/Conv_1/weights": (1, 1, 320, 1280),
        "MobilenetV2/Logits/Conv2d_1c_1x1/biases": (None,),
    },
    "inception_v3": {
        "InceptionV3/Mixed_5c/Branch_1/Conv_1_0c_5x5/weights": (5, 5, 48, 64),
        "InceptionV3/Mixed_6a/Branch_0/Conv2d_1a_1x1/weights": (3, 3, 288, 384),
    },
    "inception_v2": {
        "InceptionV2/Conv2d_1a_7x7/depthwise_weights": (7, 7, 3, 8),
        "InceptionV2/Conv2d_1a_7x7/pointwise_weights": (1, 1, 24, 64),
        "InceptionV2/Conv2d_1a_7x7/biases": (64,),
    },
    "inception_v1": {"InceptionV1/Mixed_5b/Branch_2/Conv2d_0a_3x3/weights": (3, 3, 32, 128)},
    "nasnet_mobile": {
        "conv0/weights": (3, 3, 3, 32),
        "conv0_bn/gamma": (32,),
        "cell_stem_0/comb_iter_0/right/separable_7x7_1/depthwise_weights": (7, 7, 32, 1),
        "cell_stem_1/path2_conv/weights": (1, 1, 32, 11),
        "cell_4/final_path_bn/moving_mean": (88,),
        "reduction_cell_1/comb_iter_4/left/bn_sep_3x3_2/beta": (176,),
        "cell_11/comb_iter_1/left/separable_5x5_2/pointwise_weights": (1, 1, 176, 176),
        "final_layer/FC/weights": (1056, None),
    },
    "nasnet_large": {
        "cell_6/path1_conv/weights": (1, 1, 1008, 168),
        "cell_17/prev_1x1/weights": (1, 1, 4032, 672),
        "final_layer/FC/biases": (None,),
    },
    "resnet_v1_152": {"resnet_v1_152/block3/unit_36/bottleneck_v1/conv2/BatchNorm/gamma": (256,)},
    "resnet_v1_200": {"resnet_v1_200/block2/unit_24/bottleneck_v1/conv3/weights": (1, 1, 128, 512)},
    "resnet_v2_101": {
        "resnet_v2_101/conv1/biases": (64,),
        "resnet_v2_101/block3/unit_23/bottleneck_v2/preact/moving_mean": (1024,),
        "resnet_v2_101/postnorm/gamma": (2048,),
    },
}


def test_every_published_network_is_registered() -> None:
    assert set(NETWORKS) >= PUBLISHED


def test_each_network_has_a_scope_or_variables_of_its_own() -> None:
    scopes = [(network.scope, network.known_by) for network in NETWORKS.values()]
    assert len(set(scopes)) == len(scopes)


def test_the_registry_does_without_tensorflow() -> None:
    program = "import sys, slimserve.export.networks; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False, timeout=60).returncode == 0


@pytest.mark.parametrize("name", MILLIONS)
def test_parameters_are_as_many_as_published(name: str) -> None:
    shapes = NETWORKS[name].expected_variables().values()
    count = sum(int(np.prod([1001 if size is None else size for size in shape])) for shape in shapes)
    assert count / 1e6 == pytest.approx(MILLIONS[name], abs=0.1)


@pytest.mark.parametrize("name", NAMES)
def test_variables_are_named_as_published(name: str) -> None:
    shapes = NETWORKS[name].expected_variables()
    assert NAMES[name].items() <= shapes.items()


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_the_classifier_alone_depends_on_the_classes(name: str) -> None:
    free = [variable for variable, shape in NETWORKS[name].expected_variables().items() if None in shape]
    assert len(free) == 2
    weights, biases = free
    assert weights.rpartition("/")[0] == biases.rpartition("/")[0]
