"""VGG-16, configuration D of Simonyan and Zisserman, arXiv:1409.1556, as `tf_slim.nets.vgg.vgg_16` has it."""

from __future__ import annotations

from export.networks.network import Layers, Network, Padding, Tensor

_BLOCKS = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))  # convolutions and channels of each


def _vgg_16(images: Tensor, layers: Layers, head_padding: Padding, output_stride: int) -> Tensor:
    """The fully connected layers are convolutions (Long et al., arXiv:1411.4038, section 3.1).

    Below an output stride of 32 the last pooling layers lose their stride and what follows them is dilated (section
    3.2; Chen et al., arXiv:1412.7062, section 3.1).
    """
    net = images
    stride = rate = 1
    for block, (convolutions, channels) in enumerate(_BLOCKS, 1):
        for i in range(1, convolutions + 1):
            net = layers.conv(net, f"conv{block}/conv{block}_{i}", channels, 3, rate=rate)
        if stride < output_stride:
            net = layers.max_pool(net)
            stride *= 2
        else:
            net = layers.max_pool(net, stride=1, rate=rate)
            rate *= 2
    net = layers.conv(net, "fc6", 4096, 7, rate=rate, padding=head_padding)
    net = layers.conv(net, "fc7", 4096, 1)
    return layers.conv(net, "fc8", None, 1, relu=False)


VGG_16 = Network(
    name="vgg_16",
    slim_module="tf_slim.nets.vgg",
    logits=_vgg_16,
    mean_rgb=(123.68, 116.78, 103.94),
    resize_side=256,
    crop=224,
    stride=32,
    centre=16,
    window=7,
    tolerance=1e-5,
)
