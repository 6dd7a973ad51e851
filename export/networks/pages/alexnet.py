"""AlexNet with one column, Krizhevsky, arXiv:1404.5997, as `tf_slim.nets.alexnet.alexnet_v2` has it."""

from __future__ import annotations

from ...types import Padding, Tensor
from ..layers import Convolution, Layers
from ..network import Network, SlimReference
from ..preprocessing import NOT_IN_SLIM, VGG_PREPROCESSING


def _logits(images: Tensor, layers: Layers, head_padding: Padding, output_stride: int) -> Tensor:
    net = layers.conv(images, Convolution("conv1", 64, 11, stride=4, padding="VALID"))
    net = layers.max_pool(net, 3)
    net = layers.conv(net, Convolution("conv2", 192, 5))
    net = layers.max_pool(net, 3)
    net = layers.conv(net, Convolution("conv3", 384, 3))
    net = layers.conv(net, Convolution("conv4", 384, 3))
    net = layers.conv(net, Convolution("conv5", 256, 3))
    net = layers.max_pool(net, 3)
    net = layers.conv(net, Convolution("fc6", 4096, 5, padding=head_padding))
    net = layers.conv(net, Convolution("fc7", 4096, 1))
    return layers.conv(net, Convolution("fc8", None, 1, relu=False))


# Without padding up to fc6, n cells need 32n+35 pixels, and the first is centred 33.5 pixels from their edge.
ALEXNET_V2 = Network(
    name="alexnet_v2",
    scope="alexnet_v2",
    reference=SlimReference("tf_slim.nets.alexnet", "alexnet_v2"),
    logits=_logits,
    preprocessing=VGG_PREPROCESSING,
    crop=224,
    guessed=NOT_IN_SLIM,
    least_side=224,
    output_strides=(32,),
    centre=16.5,
    border=(17, 18),
    window=5,
    receptive_field=323,
)
NETWORKS = (ALEXNET_V2,)
