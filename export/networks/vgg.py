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

_CHANNELS = (64, 128, 256, 512, 512)


def _network(name: str, convolutions: tuple[int, ...]) -> Network:
    """The network whose blocks have these numbers of convolutions."""

    def logits(images: Tensor, layers: Layers, head_padding: Padding, output_stride: int) -> Tensor:
        """The fully connected layers are convolutions (Long et al., arXiv:1411.4038, section 3.1).

        Below an output stride of 32 the last pooling layers lose their stride and what follows them is dilated
        (section 3.2; Chen et al., arXiv:1412.7062, section 3.1).
        """
        net = images
        stride = rate = 1
        for block, (count, channels) in enumerate(zip(convolutions, _CHANNELS, strict=True), 1):
            for i in range(1, count + 1):
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


VGG_16 = _network("vgg_16", (2, 2, 3, 3, 3))
NETWORKS = (_network("vgg_a", (1, 1, 2, 2, 2)), VGG_16, _network("vgg_19", (2, 2, 4, 4, 4)))
