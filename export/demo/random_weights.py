"""VGG-16 with random weights, named and shaped as in the published checkpoint."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from ..networks.pages.vgg import VGG_16

Tensors = dict[str, np.ndarray]

BIAS_SPREAD = 1.0
"""Standard deviation of biases: small beside activations of some 60, yet nothing that drops them goes unseen."""
FC8_SPREAD = 1e-3
"""Standard deviation of random fc8 weights: logits of a few units, as a trained network has."""


def _spread(name: str, shape: tuple[int, ...]) -> float:
    """Standard deviation: He et al., arXiv:1502.01852, equation 10, for weights that a ReLU follows."""
    if name.endswith("biases"):
        return BIAS_SPREAD
    return FC8_SPREAD if name.endswith("fc8/weights") else float(np.sqrt(2 / np.prod(shape[:-1])))


def _draw(values: np.ndarray, spread: float, seed: np.random.SeedSequence) -> None:
    """Fill float32 `values` with normal variates of that standard deviation."""
    np.random.Generator(np.random.SFC64(seed)).standard_normal(out=values, dtype=np.float32)
    values *= np.float32(spread)


def random_checkpoint(classes: int, seed: int = 0) -> Tensors:
    """All tensors of a VGG-16 checkpoint by full name, fc8 with `classes` classes: 553 MB at 1000.

    The layers below fc8 depend on `seed` alone.
    """
    tensors: Tensors = {}
    variables = VGG_16.expected_variables()
    seeds = np.random.SeedSequence(seed).spawn(len(variables))
    with ThreadPoolExecutor() as pool:  # numpy draws without Python's lock
        jobs = []
        for (name, shape), own in zip(variables.items(), seeds, strict=True):
            values = np.empty([classes if size is None else size for size in shape], np.float32)
            spread = _spread(name, values.shape)
            tensors[name] = values
            # fc6 is three quarters of all: its rows are drawn apart, so that every core has work.
            jobs += [
                pool.submit(_draw, part, spread, part_seed)
                for part, part_seed in zip(np.atleast_2d(values), own.spawn(len(values)), strict=False)
            ]
        for job in jobs:
            job.result()
    tensors[f"{VGG_16.name}/mean_rgb"] = np.array(VGG_16.preprocessing.mean_rgb, np.float32)
    tensors["global_step"] = np.array(0, np.int64)
    return tensors
