"""VGG-16, configuration D of Simonyan and Zisserman, arXiv:1409.1556, as `tf_slim.nets.vgg.vgg_16` has it."""

from __future__ import annotations

from collections.abc import Iterator

from export.networks.network import Layers, Network, Padding, Tensor

_BLOCKS = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))  # convolutions and channels of each


def _conv_scopes(block: int) -> list[str]:
    return [f"conv{block}/conv{block}_{i}" for i in range(1, _BLOCKS[block - 1][0] + 1)]


def _vgg_16(images: Tensor, layers: Layers, fc6_padding: Padding) -> Tensor:
    """One logits cell for each 32x32 pixels (fully convolutional: Long et al., arXiv:1411.4038, section 3.1)."""
    net = images
    for block in range(1, 6):
        for scope in _conv_scopes(block):
            net = layers.conv(net, scope)
        net = layers.max_pool(net)
    net = layers.conv(net, "fc6", padding=fc6_padding)
    net = layers.conv(net, "fc7")
    return layers.conv(net, "fc8", relu=False)


def _variables() -> Iterator[tuple[str, tuple[int | None, ...]]]:
    inputs = 3
    for block, (_, channels) in enumerate(_BLOCKS, 1):
        for scope in _conv_scopes(block):
            yield f"{scope}/weights", (3, 3, inputs, channels)
            yield f"{scope}/biases", (channels,)
            inputs = channels
    yield "fc6/weights", (7, 7, 512, 4096)
    yield "fc6/biases", (4096,)
    yield "fc7/weights", (1, 1, 4096, 4096)
    yield "fc7/biases", (4096,)
    yield "fc8/weights", (1, 1, 4096, None)
    yield "fc8/biases", (None,)


VGG_16 = Network(
    name="vgg_16",
    slim_module="tf_slim.nets.vgg",
    logits=_vgg_16,
    variables=dict(_variables()),
    classes_from="fc8/biases",
    mean_rgb=(123.68, 116.78, 103.94),
    resize_side=256,
    crop=224,
    stride=32,
    window=7,
    tolerance=1e-5,
)
