"""What the exporter knows of a network: its layers as a function, its variables, how its images are prepared."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

Geometry = Literal["aligned", "valid"]
Padding = Literal["SAME", "VALID"]
Tensor = Any  # TensorFlow ships no types


class Layers(Protocol):
    """The layers a network page is written in, over [N, H, W, C] float32 tensors."""

    def conv(self, net: Tensor, scope: str, *, padding: Padding = "SAME", relu: bool = True) -> Tensor:
        """Convolve with the weights of `scope`, stride 1, add its biases, apply ReLU."""

    def max_pool(self, net: Tensor) -> Tensor:
        """2x2 maximum, stride 2, no padding."""


@dataclass(frozen=True)
class Network:
    """A network of `tf_slim.nets` that can be exported.

    Attributes:
        name: the function's name in `slim_module` and the scope of the variables.
        slim_module: where tf-slim defines it: what exports are compared with.
        logits: builds [N, h, w, classes] logits from [N, H, W, 3] float32 images, mean subtracted.
        variables: shapes by variable name without the scope; None stands for the number of classes.
        classes_from: the variable whose last dimension is the number of classes.
        mean_rgb: subtracted from the pixels, 0 to 255.
        resize_side: the shorter side of an image is resized to this for classification, pixels.
        crop: side of the central crop for classification, and the window of one logits cell, pixels.
        stride: distance of neighbouring logits cells, pixels.
        window: cells of the last feature map that one logits cell sees, a side.
        tolerance: largest difference to tf-slim allowed, as a fraction of the largest logit.
    """

    name: str
    slim_module: str
    logits: Callable[[Tensor, Layers, Padding], Tensor]
    variables: Mapping[str, tuple[int | None, ...]]
    classes_from: str
    mean_rgb: tuple[float, float, float]
    resize_side: int
    crop: int
    stride: int
    window: int
    tolerance: float

    def expected_variables(self) -> dict[str, tuple[int | None, ...]]:
        """Shapes by full variable name, as in a checkpoint."""
        return {f"{self.name}/{scope}": shape for scope, shape in self.variables.items()}
