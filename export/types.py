"""Types that several stages share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np

Tensor = Any  # of TensorFlow, which ships no types
Array = np.ndarray[Any, Any]
Shape = tuple[int, ...]
VariableShape = tuple[int | None, ...]  # None stands for the number of classes
Kernel = int | tuple[int, int]  # a square's side, or height and width
# "SAME" and "VALID" are TensorFlow's. "FIXED" is what "SAME" is at stride 1, whatever the stride (`conv2d_same` of
# tf-slim's resnet_utils.py).
Padding = Literal["SAME", "VALID", "FIXED"]
Geometry = Literal["aligned", "valid"]
WeightSet = Literal["averages", "raw"]  # moving averages of the weights, or the weights themselves
Progress = Callable[[str, float], None]
"""Is called with the name of a step and the fraction of it that is done."""
StepProgress = Callable[[float], None]
"""Is called with the fraction of the current step that is done."""
