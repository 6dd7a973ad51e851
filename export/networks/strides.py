"""How a network's layers get a smaller output stride than its own."""

from __future__ import annotations


class Strides:
    """Stride and rate of one layer after the other: once `output_stride` is reached, dilation takes the place."""

    def __init__(self, output_stride: int) -> None:
        self._output_stride = output_stride
        self._reached = self._rate = 1

    def next(self, stride: int) -> tuple[int, int]:
        """Of the next layer, which has `stride` in the network as it is."""
        rate = self._rate
        if self._reached < self._output_stride:
            self._reached *= stride
            return stride, rate
        self._rate *= stride
        return 1, rate
