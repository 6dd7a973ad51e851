"""VGG, Simonyan and Zisserman, arXiv:1409.1556: configurations A, D and E, as `tf_slim.nets.vgg` has them."""

from __future__ import annotations

from ...types import Padding, Tensor
from ..layers import Convolution, Layers
from ..network import Network, SlimReference
from ..preprocessing import VGG_PREPROCESSING
from ..strides import Strides

CONFIGURATION_D = (2, 2, 3, 3, 3)  # VGG-16: convolutions of each block
_CHANNELS = (64, 128, 256, 512, 512)
AVERAGED_STRIDES = (8,)  # where label maps of single cells were hardly better than at a stride of 32
_WINDOW = 7  # of fc6, cells a side
_MARGIN = 8  # pixels: a cell of the second pool sees 6 beyond its own 4, in whole cells 8


def pooled_blocks(
    images: Tensor, layers: Layers, convolutions: tuple[int, ...], output_stride: int = 32, scope: str = ""
) -> tuple[dict[int, Tensor], int]:
    """What the pooling layers of blocks 2 to 5 give, by block, and the dilation of what follows the last.

    Below an output stride of 32 the last pooling layers lose their stride and what follows them is dilated (Long et
    al., arXiv:1411.4038, section 3.2; Chen et al., arXiv:1412.7062, section 3.1): every `dilation`th position is one
    of the network as it is. `scope` goes before the layers'.
    """

    def convolved(net: Tensor, block: int, rate: int = 1) -> Tensor:
        for i in range(1, convolutions[block - 1] + 1):
            name = f"{scope}conv{block}/conv{block}_{i}"
            net = layers.conv(net, Convolution(name, _CHANNELS[block - 1], 3, rate=rate))
        return net

    def first_blocks(net: Tensor) -> Tensor:
        for block in (1, 2):
            net = layers.max_pool(convolved(net, block))
        return net

    strides = Strides(output_stride // 4)
    pools = {2: layers.in_strips(images, first_blocks, 4, _MARGIN)}
    for block in range(3, 6):
        stride, rate = strides.next(2)
        pools[block] = layers.max_pool(convolved(pools[block - 1], block, rate), stride=stride, rate=rate)
    return pools, strides.next(1)[1]


def class_scores(net: Tensor, layers: Layers, rate: int, padding: Padding, scope: str = "") -> Tensor:
    """The fully connected layers as convolutions (Long et al., section 3.1), on the last of `pooled_blocks`.

    With "SAME" padding they are dilated only where fc6's window lies inside; around there, the scores are interpolated
    between the network's own cells.
    """
    if padding == "VALID" or rate == 1:
        return _class_scores(net, layers, rate, padding, scope)
    # A window that the image's border cuts is partly zeros, and fc8 was fitted to as many of them as the network's own
    # cells meet. Dilated cells in between meet others: one 24 pixels further inside still as many as one at the border.
    # Their scores fall, and labels are lost along the border. Chen et al. fine-tune what is dilated; here nothing is.
    own = _class_scores(layers.max_pool(net, 1, stride=rate), layers, 1, "SAME", scope)
    inside = _class_scores(layers.pad_to(net, (_WINDOW - 1) * rate + 1), layers, rate, "VALID", scope)
    return layers.refine(own, inside, rate, _WINDOW // 2)


def _class_scores(net: Tensor, layers: Layers, rate: int, padding: Padding, scope: str) -> Tensor:
    net = layers.conv(net, Convolution(f"{scope}fc6", 4096, _WINDOW, rate=rate, padding=padding))
    net = layers.conv(net, Convolution(f"{scope}fc7", 4096, 1))
    return layers.conv(net, Convolution(f"{scope}fc8", None, 1, relu=False))


def _network(name: str, convolutions: tuple[int, ...], receptive_field: int) -> Network:
    """The network whose blocks have these numbers of convolutions."""

    def logits(images: Tensor, layers: Layers, head_padding: Padding, output_stride: int) -> Tensor:
        pools, rate = pooled_blocks(images, layers, convolutions, output_stride)
        return class_scores(pools[5], layers, rate, head_padding)

    return Network(
        name=name,
        scope=name,
        reference=SlimReference("tf_slim.nets.vgg", name),
        logits=logits,
        preprocessing=VGG_PREPROCESSING,
        crop=224,
        least_side=224,
        centre=16,
        window=_WINDOW,
        averaged_strides=AVERAGED_STRIDES,
        receptive_field=receptive_field,
    )


VGG_16 = _network("vgg_16", CONFIGURATION_D, receptive_field=404)
NETWORKS = (
    _network("vgg_a", (1, 1, 2, 2, 2), receptive_field=342),
    VGG_16,
    _network("vgg_19", (2, 2, 4, 4, 4), receptive_field=460),
)
