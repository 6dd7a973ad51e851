"""The layers that a network is written in. Each way to run a network implements them once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from ..types import Kernel, Padding, Tensor
from ..weights.folding import PLAIN_FILTER, BatchNorm, Depthwise, Pointwise, Separable, StoredFilter

Activation = Literal["Relu", "Relu6"]  # as nodes of TensorFlow name them
KEPT = 0  # the channels of a depthwise convolution: those that come in


@dataclass(frozen=True)
class Convolution:
    """A convolution with its biases or normalization, and its ReLU.

    Attributes:
        scope: of its variables, below the network's, such as "conv1/conv1_1".
        channels: of the result; None stands for the number of classes.
        kernel: size of the filter.
        stride: distance of the result's positions.
        rate: distance of the filter's taps (dilation).
        padding: of the image or feature map.
        relu: whether ReLU follows.
        relu6: whether it is cut off at 6.
        norm: batch normalization; without it there are biases.
        norm_scope: of the normalization's variables, where that is not `scope`/BatchNorm.
        biases: whether there are some where nothing normalizes.
        stored: how the checkpoint stores the filter; `Depthwise` where each channel has one of its own.
    """

    scope: str
    channels: int | None
    kernel: Kernel
    stride: int = 1
    rate: int = 1
    padding: Padding = "SAME"
    relu: bool = True
    relu6: bool = False
    norm: BatchNorm | None = None
    norm_scope: str = ""
    biases: bool = True
    stored: StoredFilter = PLAIN_FILTER

    @property
    def sides(self) -> tuple[int, int]:
        """Height and width of the filter."""
        return (self.kernel, self.kernel) if isinstance(self.kernel, int) else self.kernel

    @property
    def batch_norm_scope(self) -> str:
        """Of the normalization's variables."""
        return self.norm_scope or f"{self.scope}/BatchNorm"

    @property
    def steps(self) -> tuple[Convolution, ...]:
        """Itself; of a separable convolution with one filter for each channel, the two that it is.

        As one filter, these would take as many products more as the filter has positions.
        """
        if not isinstance(self.stored, Separable) or self.stored.multiplier > 1:
            return (self,)
        return (
            replace(self, relu=False, norm=None, biases=False, stored=Depthwise()),
            replace(self, kernel=1, stride=1, rate=1, padding="SAME", stored=Pointwise()),
        )

    @property
    def activation(self) -> Activation | None:
        """What follows the biases."""
        return ("Relu6" if self.relu6 else "Relu") if self.relu else None

    @property
    def depthwise(self) -> bool:
        """Whether each channel is convolved alone, with a filter of its own: [h, w, channels, 1]."""
        return isinstance(self.stored, Depthwise)

    @property
    def gives_scores(self) -> bool:
        """Whether the result has a channel for each class: scores, which are float32 in every precision."""
        return self.channels is None


class Layers(Protocol):
    """Layers over tensors [N, H, W, C]."""

    def conv(self, net: Tensor, convolution: Convolution) -> Tensor:
        """Convolve, add the biases or normalize, apply ReLU or ReLU6."""

    def batch_norm(self, net: Tensor, scope: str, norm: BatchNorm, *, relu: bool = True) -> Tensor:
        """Normalize with the statistics of `scope`, where no convolution comes first; apply ReLU if `relu` says so."""

    def max_pool(
        self, net: Tensor, kernel: int = 2, *, stride: int = 2, rate: int = 1, padding: Padding = "VALID"
    ) -> Tensor:
        """Take the maximum of `kernel` x `kernel` positions that lie `rate` apart.

        Args:
            net: [N, H, W, C].
            kernel: side of the square window.
            stride: distance of the result's positions; 1 where `rate` is above 1.
            rate: distance of the window's positions (dilation).
            padding: "SAME" or "VALID"; "VALID" where `rate` is above 1.
        """

    def in_strips(self, net: Tensor, blocks: Callable[[Tensor], Tensor], stride: int, margin: int) -> Tensor:
        """Return `blocks(net)`, made a strip of rows at a time where that bounds memory.

        Args:
            net: [N, H, W, C].
            blocks: convolutions with "SAME" padding, and pools that halve both sides, odd ones rounded down.
            stride: of all pools.
            margin: rows that the convolutions see beyond a position of the result, a multiple of `stride`.
        """

    def pad_to(self, net: Tensor, side: int) -> Tensor:
        """Append rows and columns of zeros until there are `side` or more of each."""

    def avg_pool(self, net: Tensor, kernel: int, *, stride: int = 1) -> Tensor:
        """Take the mean of `kernel` x `kernel` positions, padded as "SAME" pads; at the border, of those that exist."""

    def shift(self, net: Tensor) -> Tensor:
        """Drop the first row and column, and append a row and a column of zeros."""

    def global_pool(self, net: Tensor) -> Tensor:
        """Take the mean of all positions: [N, 1, 1, C]."""

    def relu(self, net: Tensor) -> Tensor:
        """Apply ReLU, where what comes before it is used without it too."""

    def resize(self, net: Tensor, like: Tensor) -> Tensor:
        """Interpolate bilinearly to as many positions as `like` has; the outermost lie on each other.

        Args:
            net: [N, h, w, C]; a single position is repeated.
            like: [N, H, W, any].

        Returns:
            [N, H, W, C].
        """

    def concat(self, nets: Sequence[Tensor]) -> Tensor:
        """Concatenate the channels of tensors with the same positions."""

    def upsample(self, net: Tensor) -> Tensor:
        """Double rows and columns by interpolating bilinearly between positions and the zeros beyond the border.

        It is a transposed convolution with stride 2 and the bilinear 4x4 filter for each channel (Long et al.,
        arXiv:1411.4038, section 3.3).
        """

    def refine(self, net: Tensor, inner: Tensor, factor: int, margin: int) -> Tensor:
        """Interpolate scores bilinearly to positions that lie closer together, and put known ones in their places.

        Args:
            net: [N, h, w, C], scores all over the image.
            inner: the known scores, at the new distance: those between the centres of `net`, without `margin` of its
                rows and columns on each side. They are not used where `net` has at most twice `margin` of them.
            factor: how many times closer the new positions lie.
            margin: rows and columns of `net`.

        Returns:
            [N, (h - 1) * factor + 1, (w - 1) * factor + 1, C].
        """

    def add(self, net: Tensor, residual: Tensor, *, scale: float = 1.0, relu: bool = False) -> Tensor:
        """Add `scale` times `residual` to `net`, which has the same shape; apply ReLU where `relu` says so."""


class BuildLogits(Protocol):
    """A network as a function of its images."""

    def __call__(self, images: Tensor, layers: Layers, head_padding: Padding, output_stride: int) -> Tensor:
        """Build logits [N, h, w, classes] of prepared images [N, H, W, 3]; h and w are 1 after a global pooling.

        Args:
            images: [N, H, W, 3].
            layers: that the network is built of.
            head_padding: of the layer that replaces the first fully connected one, such as fc6 of VGG.
            output_stride: distance of neighbouring logits cells, pixels. Below the network's own stride, the last
                layers with a stride lose it, and the layers after them are dilated. Every (stride / output_stride)th
                cell is one of the network as it is.
        """
