"""What the exporter knows of a network: its layers as a function, and how its images are prepared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from ..weights.folding import PLAIN_FILTER, BatchNorm, StoredFilter, VariableShape

Geometry = Literal["aligned", "valid"]
Padding = Literal["SAME", "VALID", "FIXED"]
Kernel = int | tuple[int, int]  # a square's side, or height and width
Tensor = Any  # TensorFlow ships no types


class Layers(Protocol):
    """The layers a network page is written in, over [N, H, W, C] tensors.

    Scopes are below the network's, such as "conv1/conv1_1". "SAME" and "VALID" padding are TensorFlow's; "FIXED" is
    what "SAME" is at stride 1, whatever the stride (`conv2d_same` of tf-slim's resnet_utils.py).
    """

    def conv(
        self,
        net: Tensor,
        scope: str,
        channels: int | None,
        kernel: Kernel,
        *,
        stride: int = 1,
        rate: int = 1,
        padding: Padding = "SAME",
        relu: bool = True,
        norm: BatchNorm | None = None,
        stored: StoredFilter = PLAIN_FILTER,
    ) -> Tensor:
        """Convolve with the filter of `scope`, add its biases or normalize, apply ReLU.

        Args:
            net: [N, H, W, C].
            scope: of the variables.
            channels: of the result; None stands for the number of classes.
            kernel: size of the filter.
            stride: of the result's positions.
            rate: distance of the filter's taps (dilation).
            padding: see above.
            relu: whether ReLU follows.
            norm: batch normalization, below `scope`/BatchNorm; without it there are biases.
            stored: how the checkpoint stores the filter.
        """

    def batch_norm(self, net: Tensor, scope: str, norm: BatchNorm) -> Tensor:
        """Normalize with the statistics of `scope` and apply ReLU, where no convolution comes first."""

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

    def pad_to(self, net: Tensor, side: int) -> Tensor:
        """Put zeros behind until there are `side` rows and columns or more."""

    def avg_pool(self, net: Tensor, kernel: int) -> Tensor:
        """Take the mean of the `kernel` x `kernel` positions around each; at the border, of those that there are."""

    def global_pool(self, net: Tensor) -> Tensor:
        """Take the mean of all positions: [N, 1, 1, C]."""

    def concat(self, nets: Sequence[Tensor]) -> Tensor:
        """Lay the channels of all, which have the same positions, one behind the other."""

    def upsample(self, net: Tensor) -> Tensor:
        """Double rows and columns by interpolating bilinearly between positions and the zeros beyond the border.

        It is a transposed convolution with stride 2 and the bilinear 4x4 filter for each channel (Long et al.,
        arXiv:1411.4038, section 3.3).
        """

    def refine(self, net: Tensor, inner: Tensor, factor: int, margin: int) -> Tensor:
        """Put scores among others that are `factor` times as far apart and interpolated bilinearly.

        Args:
            net: [N, h, w, C], which go all over the image.
            inner: those between the centres of `net`, without `margin` of its rows and columns on each side; without
                a meaning where `net` has no more than twice as many.
            factor: see above.
            margin: see above.

        Returns:
            [N, (h - 1) * factor + 1, (w - 1) * factor + 1, C].
        """

    def add(self, net: Tensor, residual: Tensor, *, scale: float = 1.0, relu: bool = False) -> Tensor:
        """Add `scale` times `residual` to `net`, which has the same shape."""


class BuildLogits(Protocol):
    """A network page's function: the network up to its logits."""

    def __call__(self, images: Tensor, layers: Layers, head_padding: Padding, output_stride: int) -> Tensor:
        """Build logits [N, h, w, classes] of prepared images [N, H, W, 3]; h and w are 1 behind a global pooling.

        Args:
            images: as above.
            layers: what the network is written in.
            head_padding: of the layer that replaces the fully connected ones' window, fc6 of VGG.
            output_stride: distance of neighbouring logits cells, pixels. Below the network's own stride, the last
                layers with a stride lose it and those behind them are dilated; of the cells, every
                (stride / output_stride)th is one of the network as it is.
        """


@dataclass(frozen=True)
class Preprocessing:
    """How pixels become a network's input.

    Attributes:
        mean_rgb: subtracted from the pixels, 0 to 255.
        scale: what the difference is divided by.
        resize_side: for classification, the shorter side of an image is resized to this and the centre cropped, as in
            slim's vgg_preprocessing.py; None to crop `central_fraction` of both sides and resize that, whatever its
            shape, as in its inception_preprocessing.py.
        central_fraction: see above.
    """

    mean_rgb: tuple[float, float, float]
    scale: float = 1.0
    resize_side: int | None = None
    central_fraction: float = 1.0

    def untouched_side(self, crop: int) -> int:
        """Side of a square image whose central crop of `crop` pixels is taken without resizing it."""
        if self.resize_side is not None:
            return self.resize_side
        return next(
            side
            for side in range(crop, 2 * crop)
            if side - 2 * int(side * (1 - self.central_fraction) / 2) == crop
        )


VGG_PREPROCESSING = Preprocessing(mean_rgb=(123.68, 116.78, 103.94), resize_side=256)
INCEPTION_PREPROCESSING = Preprocessing(mean_rgb=(127.5, 127.5, 127.5), scale=127.5, central_fraction=0.875)


@dataclass(frozen=True)
class SlimReference:
    """The function of `tf_slim.nets` that builds the same network.

    Attributes:
        module: where it is.
        function: its name.
        arg_scope: name of the function in the same module that makes its arg_scope; "" for none.
        options: its arguments, beyond images, number of classes and is_training=False, for logits [N, h, w, C].
    """

    module: str
    function: str
    arg_scope: str = ""
    options: Mapping[str, Any] = field(default_factory=lambda: {"spatial_squeeze": False})


@dataclass(frozen=True)
class Network:
    """A network that can be exported.

    Attributes:
        name: what it is called in slim, and the user calls it.
        scope: of its variables.
        reference: what exports are compared with; None for the page itself over tf-slim's layers.
        logits: builds the network.
        preprocessing: of its images.
        crop: side of the crop for classification, pixels.
        segments: whether it is fully convolutional: of an image of any size, it classifies every cell. What follows
            matters only then.
        stride: distance of neighbouring logits cells, pixels, and the largest output stride.
        output_strides: to choose from.
        geometries: to choose from.
        multiple: of which the sides of an image are made by padding in the aligned geometry, pixels.
        centre: where the first logits cell of the aligned geometry is centred, pixels from the image's edge, whatever
            the output stride.
        border: pixels before and behind an image, beyond that multiple, in the aligned geometry.
        window: cells of the last feature map that one logits cell sees, a side.
        receptive_field: pixels that one logits cell at the network's own stride sees, a side, as many before its centre
            as behind; the finer ones of `refine` lie between such.
        averaged_strides: output strides at which a bilinear label map is made of scores averaged over neighbouring
            cells; the logits themselves are not.
    """

    name: str
    scope: str
    reference: SlimReference | None
    logits: BuildLogits
    preprocessing: Preprocessing
    crop: int
    segments: bool = True
    stride: int = 32
    output_strides: tuple[int, ...] = (32, 16, 8)
    geometries: tuple[Geometry, ...] = ("aligned", "valid")
    multiple: int = 32
    centre: float = 16
    border: tuple[int, int] = (0, 0)
    window: int = 1
    receptive_field: int = 0
    averaged_strides: tuple[int, ...] = ()

    def expected_variables(self) -> dict[str, VariableShape]:
        """Shapes by full variable name, as in a checkpoint, in the order of the network."""
        shapes = _VariableShapes(self.scope)
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

    def _note(self, scope: str, variables: Mapping[str, VariableShape]) -> None:
        self.of |= {f"{self._scope}/{scope}/{name}": shape for name, shape in variables.items()}

    def _note_norm(self, scope: str, norm: BatchNorm, channels: int | None) -> None:
        self._note(scope, dict.fromkeys(norm.names, (channels,)))

    def conv(
        self,
        net: Tensor,
        scope: str,
        channels: int | None,
        kernel: Kernel,
        *,
        stride: int = 1,
        rate: int = 1,
        padding: Padding = "SAME",
        relu: bool = True,
        norm: BatchNorm | None = None,
        stored: StoredFilter = PLAIN_FILTER,
    ) -> Tensor:
        self._note(scope, stored.variables(sides(kernel), net, channels))
        if norm is None:
            self._note(scope, {"biases": (channels,)})
        else:
            self._note_norm(f"{scope}/BatchNorm", norm, channels)
        return channels

    def batch_norm(self, net: Tensor, scope: str, norm: BatchNorm) -> Tensor:
        self._note_norm(scope, norm, net)
        return net

    def max_pool(
        self, net: Tensor, kernel: int = 2, *, stride: int = 2, rate: int = 1, padding: Padding = "VALID"
    ) -> Tensor:
        return net

    def pad_to(self, net: Tensor, side: int) -> Tensor:
        return net

    def avg_pool(self, net: Tensor, kernel: int) -> Tensor:
        return net

    def global_pool(self, net: Tensor) -> Tensor:
        return net

    def concat(self, nets: Sequence[Tensor]) -> Tensor:
        return sum(nets)

    def upsample(self, net: Tensor) -> Tensor:
        return net

    def refine(self, net: Tensor, inner: Tensor, factor: int, margin: int) -> Tensor:
        return net

    def add(self, net: Tensor, residual: Tensor, *, scale: float = 1.0, relu: bool = False) -> Tensor:
        return net


def sides(kernel: Kernel) -> tuple[int, int]:
    """Height and width."""
    return (kernel, kernel) if isinstance(kernel, int) else kernel
