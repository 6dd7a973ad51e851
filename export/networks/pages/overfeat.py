"""OverFeat, the fast model of Sermanet et al., arXiv:1312.6229, as `tf_slim.nets.overfeat.overfeat` has it."""

from __future__ import annotations

from ...types import Padding, Tensor
from ..layers import Convolution, Layers
from ..network import Network, SlimReference
from ..preprocessing import NOT_IN_SLIM, VGG_PREPROCESSING


def _logits(images: Tensor, layers: Layers, head_padding: Padding, output_stride: int) -> Tensor:
    net = layers.conv(images, Convolution("conv1", 64, 11, stride=4, padding="VALID"))
    net = layers.max_pool(net)
    net = layers.conv(net, Convolution("conv2", 256, 5, padding="VALID"))
    net = layers.max_pool(net)
    net = layers.conv(net, Convolution("conv3", 512, 3))
    net = layers.conv(net, Convolution("conv4", 1024, 3))
    net = layers.conv(net, Convolution("conv5", 1024, 3))
    net = layers.max_pool(net)
    net = layers.conv(net, Convolution("fc6", 3072, 6, padding=head_padding))
    net = layers.conv(net, Convolution("fc7", 4096, 1))
    return layers.conv(net, Convolution("fc8", None, 1, relu=False))


# Without padding up to fc6, n cells need 32n+39 pixels. The first is centred 35.5 pixels from their edge; fc6, whose
# window is even, moves it by half a cell to 51.5.
OVERFEAT = Network(
    name="overfeat",
    scope="overfeat",
    reference=SlimReference("tf_slim.nets.overfeat", "overfeat"),
    logits=_logits,
    preprocessing=VGG_PREPROCESSING,
    crop=231,
    guessed=NOT_IN_SLIM,
    least_side=231,
    output_strides=(32,),
    centre=16.5,
    border=(35, 4),
    window=6,
    receptive_field=327,
)
NETWORKS = (OVERFEAT,)
