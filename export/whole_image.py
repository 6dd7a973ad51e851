"""One image of any size through the network, and the scores of its cells back to the image's size."""

from __future__ import annotations

from typing import Literal

import tensorflow as tf

from export.networks.network import Geometry, Layers, Network, Tensor
from export.preprocessing import pad_to_grid, prepare
from export.segmentation import aligned_places, bilinear_label_map, nearest_label_map, stretched_places

Upsampling = Literal["bilinear", "nearest"]


def cell_logits(
    image: Tensor, network: Network, layers: Layers, geometry: Geometry, output_stride: int
) -> Tensor:
    """Logits float32 [h, w, C] of an image uint8 [H, W, 3]; the valid geometry needs at least `network.crop` pixels."""
    net = prepare(image, network)
    if geometry == "aligned":
        logits = network.logits(pad_to_grid(net, network)[None], layers, "SAME", output_stride)
    else:
        logits = network.logits(net[None], layers, "VALID", output_stride)
    return tf.cast(logits[0], tf.float32)


def full_size_labels(
    logits: Tensor,
    size: Tensor,
    network: Network,
    geometry: Geometry,
    upsampling: Upsampling,
    output_stride: int,
) -> Tensor:
    """Label map [H, W] of an image of `size` int32 [2] whose cells have `logits` [h, w, C]."""
    if geometry == "aligned":
        places = aligned_places(size, output_stride, network.centre)
    else:
        places = stretched_places(size, tf.shape(logits)[:2])
    return (bilinear_label_map if upsampling == "bilinear" else nearest_label_map)(logits, places)
