"""DeepLab in NumPy, float64, from the papers: arXiv:1801.04381 table 2, arXiv:1706.05587 and arXiv:1802.02611.

Nothing is shared with the exporter's pages. A weight is taken by the name that the public checkpoints have; all
convolutions are padded by as many zeros before as behind.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

Array = np.ndarray
# Expansion, repetitions, stride of the first: the channels follow from the weights.
_MOBILENET_V2 = ((1, 1, 1), (6, 2, 2), (6, 3, 2), (6, 4, 2), (6, 3, 1), (6, 3, 2), (6, 1, 1))


def padded(image: Array) -> Array:
    """Pixels uint8 [H, W, 3] between -1 and 1, zeros behind them until both sides are 16k+1."""
    pixels = image.astype(np.float64) / 127.5 - 1
    return np.pad(pixels, [*((0, -(side - 1) % 16) for side in image.shape[:2]), (0, 0)])


def on_corners(net: Array, height: int, width: int) -> Array:
    """[h, w, C] interpolated bilinearly to [height, width, C], corners on corners."""
    for axis, side in enumerate((height, width)):
        last = net.shape[axis] - 1
        place = np.linspace(0, last, side)
        lower = np.minimum(place.astype(int), max(last - 1, 0))
        share = (place - lower).reshape((-1, 1, 1) if axis == 0 else (1, -1, 1))
        net = net.take(lower, axis) * (1 - share) + net.take(np.minimum(lower + 1, last), axis) * share
    return net


class NumpyDeepLab:
    """The network over these weights, by full name, at an output stride of 16 or 8."""

    def __init__(
        self, weights: Mapping[str, Array], output_stride: int, rates: tuple[int, ...] | None = None
    ) -> None:
        self._weights = weights
        self._output_stride = output_stride
        self._rates = rates or {16: (6, 12, 18), 8: (12, 24, 36)}[output_stride]
        self._epsilon = 0.0

    def __call__(self, pixels: Array) -> Array:
        """Logits [h, w, C] of prepared pixels [H, W, 3] whose sides are 16k+1."""
        self._epsilon = 1e-3
        if "MobilenetV2/Conv/weights" in self._weights:
            net, fine = self._mobilenet_v2(pixels)
        elif any(name.startswith("xception_") for name in self._weights):
            net, fine = self._xception(pixels)
        self._epsilon = 1e-5
        if (top := next(iter(self._weights)).partition("/")[0]).startswith("resnet_v1_"):
            net, fine = self._resnet_beta(pixels, top)
        height, width = net.shape[:2]
        beside = [self._relu(net, "aspp0")]
        if "image_pooling/weights" in self._weights:
            mean = self._relu(net.mean(axis=(0, 1), keepdims=True), "image_pooling")
            beside.insert(0, np.broadcast_to(mean, (height, width, mean.shape[2])))
        if "aspp1_pointwise/weights" in self._weights:
            beside += [self._separable(net, f"aspp{i}", rate) for i, rate in enumerate(self._rates, 1)]
        net = self._relu(np.concatenate(beside, -1), "concat_projection")
        if "decoder/feature_projection0/weights" in self._weights:
            fine = self._relu(fine, "decoder/feature_projection0")
            net = np.concatenate([on_corners(net, *fine.shape[:2]), fine], -1)
            net = self._separable(self._separable(net, "decoder/decoder_conv0"), "decoder/decoder_conv1")
        return net @ self._value("logits/semantic/weights")[0, 0] + self._value("logits/semantic/biases")

    def _mobilenet_v2(self, image: Array) -> tuple[Array, Array]:
        net = np.clip(self._conv(image, "MobilenetV2/Conv", 2), 0, 6)
        reached, rate, number = 2, 1, 0
        for expansion, repetitions, first in _MOBILENET_V2:
            for repetition in range(repetitions):
                stride = first if repetition == 0 else 1
                scope = f"MobilenetV2/expanded_conv{'_' * (number > 0)}{number or ''}"
                inside = np.clip(self._conv(net, f"{scope}/expand"), 0, 6) if expansion > 1 else net
                strides = reached < self._output_stride
                inside = self._conv(inside, f"{scope}/depthwise", stride if strides else 1, rate)
                inside = np.clip(inside, 0, 6)
                if strides:
                    reached *= stride
                else:
                    rate *= stride
                if number == 2:
                    fine = inside
                inside = self._conv(inside, f"{scope}/project")
                net = net + inside if net.shape == inside.shape and stride == 1 else inside
                number += 1
        return net, fine

    def _xception(self, image: Array) -> tuple[Array, Array]:
        """As figure 4 of arXiv:1802.02611 has it; where a module has a stride, follows from the scopes there are."""
        (top,) = {name.partition("/")[0] for name in self._weights if name.startswith("xception_")}
        net = self._relu(image, f"{top}/entry_flow/conv1_1", 2)
        net = self._relu(net, f"{top}/entry_flow/conv1_2")
        deep = f"{top}/entry_flow/block5/unit_1/xception_module/shortcut/weights" in self._weights
        plan = [("entry_flow", block, 2) for block in (1, 2, 3)]
        if deep:
            plan = [("entry_flow", block, stride) for block, stride in enumerate((2, 1, 2, 1, 2), 1)]
        plan += [("middle_flow", 1, 1), ("exit_flow", 1, 2), ("exit_flow", 2, 1)]
        reached, rate = 2, 1
        for flow, block, stride in plan:
            own, strides = stride, reached < self._output_stride
            if strides:
                reached *= own
            else:
                stride = 1
            unit = 1
            while (
                f"{(scope := f'{top}/{flow}/block{block}/unit_{unit}/xception_module')}"
                "/separable_conv1_pointwise/weights" in self._weights
            ):
                last = (flow, block) == ("exit_flow", 2)
                inside = net
                for number in (1, 2, 3):
                    part = f"{scope}/separable_conv{number}"
                    inside = inside if last else np.maximum(inside, 0)
                    inside = self._conv(inside, f"{part}_depthwise", stride if number == 3 else 1, rate)
                    inside = np.maximum(inside, 0) if last else inside
                    inside = self._conv(inside, f"{part}_pointwise")
                    inside = np.maximum(inside, 0) if last else inside
                    if number == 2 and (flow, block) == ("entry_flow", 3 if deep else 2):
                        fine = inside
                if f"{scope}/shortcut/weights" in self._weights:
                    net = self._conv(net, f"{scope}/shortcut", stride) + inside
                else:
                    net = inside if last else net + inside
                unit += 1
            if not strides:
                rate *= own
        return net, fine

    def _resnet_beta(self, image: Array, top: str) -> tuple[Array, Array]:
        """Table 1 of arXiv:1512.03385, with three convolutions first; the last unit of a block has its stride."""
        net = image
        for number, stride in ((1, 2), (2, 1), (3, 1)):
            net = self._relu(net, f"{top}/conv1_{number}", stride)
        padded_ = np.pad(net, [(1, 1), (1, 1), (0, 0)], constant_values=-np.inf)
        net = np.lib.stride_tricks.sliding_window_view(padded_, (3, 3), (0, 1))[::2, ::2].max((-2, -1))
        reached, rate = 4, 1
        for block, units in enumerate((3, 4, 23 if top.endswith("101") else 6, 3), 1):
            for unit in range(1, units + 1):
                scope = f"{top}/block{block}/unit_{unit}/bottleneck_v1"
                stride = 2 if unit == units and block < 4 else 1
                strides = reached < self._output_stride
                step = stride if strides else 1
                inside = self._relu(net, f"{scope}/conv1")
                grid = (1, 2, 4)[unit - 1] if block == 4 else 1
                inside = np.maximum(self._conv(inside, f"{scope}/conv2", step, rate * grid), 0)
                inside = self._conv(inside, f"{scope}/conv3")
                if (block, unit) == (1, 2):
                    fine = inside
                shortcut = self._conv(net, f"{scope}/shortcut", step) if unit == 1 else net[::step, ::step]
                net = np.maximum(shortcut + inside, 0)
                reached, rate = (reached * stride, rate) if strides else (reached, rate * stride)
        return net, fine

    def _separable(self, net: Array, scope: str, rate: int = 1) -> Array:
        return self._relu(np.maximum(self._conv(net, f"{scope}_depthwise", 1, rate), 0), f"{scope}_pointwise")

    def _relu(self, net: Array, scope: str, stride: int = 1) -> Array:
        return np.maximum(self._conv(net, scope, stride), 0)

    def _value(self, name: str) -> Array:
        return self._weights[name].astype(np.float64)

    def _conv(self, net: Array, scope: str, stride: int = 1, rate: int = 1) -> Array:
        """Convolution, depthwise where the weights say so, and batch normalization."""
        depthwise = f"{scope}/depthwise_weights" in self._weights
        weights = self._value(f"{scope}/{'depthwise_weights' if depthwise else 'weights'}")
        reach = (weights.shape[0] - 1) * rate
        rows, columns = ((side - 1) // stride + 1 for side in net.shape[:2])
        net = np.pad(net, [(reach // 2, reach // 2)] * 2 + [(0, 0)])
        total = np.zeros((rows, columns, weights.shape[2 if depthwise else 3]))
        for i, j in np.ndindex(weights.shape[:2]):
            part = net[
                i * rate : i * rate + (rows - 1) * stride + 1 : stride,
                j * rate : j * rate + (columns - 1) * stride + 1 : stride,
            ]
            total += part * weights[i, j, :, 0] if depthwise else part @ weights[i, j]
        gamma, beta, mean, variance = (
            self._value(f"{scope}/BatchNorm/{name}")
            for name in ("gamma", "beta", "moving_mean", "moving_variance")
        )
        return (total - mean) * (gamma / np.sqrt(variance + self._epsilon)) + beta
