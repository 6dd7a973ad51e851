"""Fully convolutional networks on VGG-16: FCN-32s, 16s and 8s of Long et al., arXiv:1411.4038, section 4.

Variables are named as the public slim implementation (tf-image-segmentation) stores them: VGG-16's below
`<network>/vgg_16`, the scores of the fourth and third block in `<network>/pool4_fc` and `<network>/pool3_fc`. There as
here, scores are upsampled by fixed bilinear filters, without variables; the paper's deconvolutions start from these and
learn, but for the last (section 4.3).
"""

from __future__ import annotations

from ...types import Padding, Tensor
from ..layers import Convolution, Layers
from ..network import Network
from ..preprocessing import VGG_PREPROCESSING
from .vgg import AVERAGED_STRIDES, CONFIGURATION_D, class_scores, pooled_blocks

_VGG_16 = "vgg_16/"
_RECEPTIVE_FIELDS = {32: 404, 16: 452, 8: 476}  # by stride


def _network(stride: int, skips: tuple[int, ...], output_strides: tuple[int, ...]) -> Network:
    """VGG-16 whose fc6 is always padded, as it was fine-tuned.

    Its scores are doubled, so that their stride is halved, and added to those of each of the blocks `skips` in turn.
    """

    def logits(images: Tensor, layers: Layers, head_padding: Padding, output_stride: int) -> Tensor:
        pools, rate = pooled_blocks(images, layers, CONFIGURATION_D, output_stride << len(skips), _VGG_16)
        scores = class_scores(pools[5], layers, rate, "SAME", _VGG_16)
        for block in skips:
            skip = layers.conv(pools[block], Convolution(f"pool{block}_fc", None, 1, relu=False))
            scores = layers.add(layers.upsample(scores), skip)
        return scores

    name = f"fcn_{stride}s"
    return Network(
        name=name,
        scope=name,
        logits=logits,
        preprocessing=VGG_PREPROCESSING,
        crop=224,
        stride=stride,
        output_strides=output_strides,
        geometries=("aligned",),
        centre=stride / 2,
        averaged_strides=AVERAGED_STRIDES if stride == 32 else (),
        receptive_field=_RECEPTIVE_FIELDS[stride],
    )


FCN_32S = _network(32, (), (32, 16, 8))
FCN_16S = _network(16, (4,), (16,))
FCN_8S = _network(8, (4, 3), (8,))
NETWORKS = (FCN_32S, FCN_16S, FCN_8S)
