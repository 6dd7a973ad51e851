"""What the exporter knows of a network: its layers as a function, and how its images are prepared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

Geometry = Literal["aligned", "valid"]
Padding = Literal["SAME", "VALID"]
Tensor = Any  # TensorFlow ships no types
VariableShape = tuple[int | None, ...]  # None stands for the number of classes


class Layers(Protocol):
    """The layers a network page is written in, over [N, H, W, C] tensors."""

    def conv(
        self,
        net: Tensor,
        scope: str,
        channels: int | None,
        kernel: int,
        *,
        stride: int = 1,
        rate: int = 1,
        padding: Padding = "SAME",
        relu: bool = True,
    ) -> Tensor:
        """Convolve with the weights of `scope`, add its biases, apply ReLU.

        Args:
            net: [N, H, W, C].
            scope: below the network's, such as "conv1/conv1_1".
            channels: of the result; None stands for the number of classes.
            kernel: side of the square filter.
            stride: of the result's positions.
            rate: distance of the filter's taps (dilation).
            padding: "SAME" or "VALID".
            relu: whether ReLU follows.
        """

    def max_pool(
        self, net: Tensor, kernel: int = 2, *, stride: int = 2, rate: int = 1, padding: Padding = "VALID"
    ) -> Tensor:
        """Take the maximum of `kernel` x `kernel` positions that lie `rate` apart.

        Args:
            net: [N, H, W, C].
            kernel: side of the square window.
            stride: of the result's positions; 1 where `rate` is above 1.
            rate: distance of the window's positions (dilation).
            padding: "SAME" or "VALID"; "VALID" where `rate` is above 1.
        """


class BuildLogits(Protocol):
    """A network page's function: the network up to its logits."""

    def __call__(self, images: Tensor, layers: Layers, head_padding: Padding, output_stride: int) -> Tensor:
        """Build logits [N, h, w, classes] of [N, H, W, 3] images whose mean is subtracted.

        Args:
            images: as above.
            layers: what the network is written in.
            head_padding: of the layer that replaces the fully connected ones' window, fc6 of VGG.
            output_stride: distance of neighbouring logits cells, pixels. Below the network's own stride, the last
                layers with a stride lose it and those behind them are dilated; of the cells, every
                (stride / output_stride)th is one of the network as it is.
        """


@dataclass(frozen=True)
class Network:
    """A network of `tf_slim.nets` that can be exported.

    Attributes:
        name: the function's name in `slim_module` and the scope of the variables.
        slim_module: where tf-slim defines it: what exports are compared with.
        logits: builds the network.
        mean_rgb: subtracted from the pixels, 0 to 255.
        resize_side: the shorter side of an image is resized to this for classification, pixels.
        crop: side of the central crop for classification, and the window of one logits cell, pixels.
        stride: distance of neighbouring logits cells, pixels, and the largest output stride.
        centre: where the first logits cell of the aligned geometry is centred, pixels from the image's edge, whatever
            the output stride.
        window: cells of the last feature map that one logits cell sees, a side.
        tolerance: largest difference to tf-slim allowed, as a fraction of the largest logit.
    """

    name: str
    slim_module: str
    logits: BuildLogits
    mean_rgb: tuple[float, float, float]
    resize_side: int
    crop: int
    stride: int
    centre: float
    window: int
    tolerance: float

    def expected_variables(self) -> dict[str, VariableShape]:
        """Shapes by full variable name, as in a checkpoint, in the order of the network."""
        shapes = _VariableShapes(self.name)
        self.logits(3, shapes, "SAME", self.stride)
        return shapes.of

    def classes(self, shapes: Mapping[str, tuple[int, ...]]) -> int:
        """The number of classes of a checkpoint whose variables have these shapes."""
        name, expected = next(item for item in self.expected_variables().items() if None in item[1])
        return shapes[name][expected.index(None)]


class _VariableShapes:
    """Layers that only note which variables there are: a tensor is its number of channels."""

    def __init__(self, scope: str) -> None:
        self.of: dict[str, VariableShape] = {}
        self._scope = scope

    def conv(
        self,
        net: Tensor,
        scope: str,
        channels: int | None,
        kernel: int,
        *,
        stride: int = 1,
        rate: int = 1,
        padding: Padding = "SAME",
        relu: bool = True,
    ) -> Tensor:
        self.of[f"{self._scope}/{scope}/weights"] = (kernel, kernel, net, channels)
        self.of[f"{self._scope}/{scope}/biases"] = (channels,)
        return channels

    def max_pool(
        self, net: Tensor, kernel: int = 2, *, stride: int = 2, rate: int = 1, padding: Padding = "VALID"
    ) -> Tensor:
        return net
