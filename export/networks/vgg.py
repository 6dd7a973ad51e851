"""VGG, Simonyan and Zisserman, arXiv:1409.1556: configurations A, D and E, as `tf_slim.nets.vgg` has them."""

from __future__ import annotations

from export.networks.network import (
    VGG_PREPROCESSING,
    Layers,
    Network,
    Padding,
    SlimReference,
    Tensor,
)

CONFIGURATION_D = (2, 2, 3, 3, 3)  # VGG-16: convolutions of each block
_CHANNELS = (64, 128, 256, 512, 512)


def pooled_blocks(
    images: Tensor,
    layers: Layers,
    convolutions: tuple[int, ...],
    padding: Padding,
    output_stride: int = 32,
    scope: str = "",
) -> tuple[list[Tensor], int]:
    """What each block's pooling layer gives, and the dilation of what follows the last.

    Below an output stride of 32 the last pooling layers lose their stride and what follows them is dilated (Long et
    al., arXiv:1411.4038, section 3.2; Chen et al., arXiv:1412.7062, section 3.1). With "SAME" padding they also give
    the maxima of windows that lie only partly inside, so that dilated filters meet zeros no sooner than those of the
    network as it is: `dilation - 1` positions more before the first and behind the last. `scope` goes before the
    layers'.
    """
    net, pools = images, []
    stride = rate = 1
    for block, (count, channels) in enumerate(zip(convolutions, _CHANNELS, strict=True), 1):
        for i in range(1, count + 1):
            net = layers.conv(net, f"{scope}conv{block}/conv{block}_{i}", channels, 3, rate=rate)
        if stride < output_stride:
            net = layers.max_pool(net)
            stride *= 2
        else:
            if padding == "SAME":
                net = layers.pad(net, rate)  # zeros are below nothing that ReLU gives
            net = layers.max_pool(net, stride=1, rate=rate)
            rate *= 2
        pools.append(net)
    return pools, rate


def class_scores(net: Tensor, layers: Layers, rate: int, padding: Padding, scope: str = "") -> Tensor:
    """The fully connected layers as convolutions (Long et al., section 3.1), on the last of `pooled_blocks`."""
    if padding == "SAME" and rate > 1:
        net, padding = layers.pad(net, 3 * rate - (rate - 1)), "VALID"
    net = layers.conv(net, f"{scope}fc6", 4096, 7, rate=rate, padding=padding)
    net = layers.conv(net, f"{scope}fc7", 4096, 1)
    return layers.conv(net, f"{scope}fc8", None, 1, relu=False)


def _network(name: str, convolutions: tuple[int, ...]) -> Network:
    """The network whose blocks have these numbers of convolutions."""

    def logits(images: Tensor, layers: Layers, head_padding: Padding, output_stride: int) -> Tensor:
        pools, rate = pooled_blocks(images, layers, convolutions, head_padding, output_stride)
        return class_scores(pools[-1], layers, rate, head_padding)

    return Network(
        name=name,
        scope=name,
        reference=SlimReference("tf_slim.nets.vgg", name),
        logits=logits,
        preprocessing=VGG_PREPROCESSING,
        crop=224,
        centre=16,
        window=7,
    )


VGG_16 = _network("vgg_16", CONFIGURATION_D)
NETWORKS = (_network("vgg_a", (1, 1, 2, 2, 2)), VGG_16, _network("vgg_19", (2, 2, 4, 4, 4)))
