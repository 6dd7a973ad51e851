"""Label maps of a published checkpoint on collages of photographs: `python -m benchmarks.quality.photographs`.

The weights and the photographs come from packages on the index, see `examples.published_materials`. A run of all
collages takes some minutes and writes benchmarks/quality_photographs.json; a shorter one prints only.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from slimserve.cli.evaluate.scores import boundary_f_score
from slimserve.export.demo.constants import Constants
from slimserve.export.heads.cells import cell_logits, full_size_labels
from slimserve.export.heads.crops import crop_logits
from slimserve.export.images.preprocessing import central_crop
from slimserve.export.kernels.portable import VariableLayers
from slimserve.export.networks import NETWORKS
from slimserve.export.options import GraphOptions

from benchmarks.quality.collages import collage
from benchmarks.side import ROOT
from examples import published_materials as materials

_KNOWN = ("astronaut", "camera", "chelsea", "china", "coffee", "flower", "motorcycle_left", "rocket")
_RESULTS = ROOT / "benchmarks" / "quality_photographs.json"
_COLLAGES = 24
_SIDE = 640  # pixels, of a collage
_BEST = 8  # classes of a whole photograph that are right in it
_NEAR = 24  # pixels from a border
_WINDOWS = (1, 5, 7, 9)


@dataclass
class Figures:
    """What is measured of one window, by collage."""

    right: list[float] = field(default_factory=list)
    right_near_borders: list[float] = field(default_factory=list)
    classes: list[float] = field(default_factory=list)
    boundary_f_score: list[float] = field(default_factory=list)

    def means(self) -> dict[str, float]:
        """Over the collages."""
        return {name: float(np.mean(values)) for name, values in vars(self).items()}


class Network:
    """The published MobileNet, its label maps made with each of several windows."""

    def __init__(self, windows: Sequence[int]) -> None:
        network = NETWORKS["mobilenet_v1"]
        layers = VariableLayers(Constants(materials.values(materials.frozen_graph())), network.scope)
        options = [GraphOptions(pooling_window=window).of(network) for window in windows]
        pixels = [tf.TensorSpec([None, None, 3], tf.uint8)]

        def label_maps(image: Any) -> list[Any]:
            logits = tf.ensure_shape(
                cell_logits(image[None], network, layers, options[0])[0], [None, None, 1001]
            )
            return [
                full_size_labels(logits, tf.shape(image)[:2], lambda: image, network, each)
                for each in options
            ]

        def classify(image: Any) -> Any:
            return crop_logits(central_crop(image, network)[None], network, layers)[0]

        self.label_maps = tf.function(label_maps, input_signature=pixels)
        self.classify = tf.function(classify, input_signature=pixels)


def as_photographs(
    label_map: NDArray[Any], truth: NDArray[np.uint8], right: Sequence[NDArray[Any]]
) -> NDArray[np.uint8]:
    """The photograph that each label speaks for, uint8 [H, W]; 255 for none, and a pixel's own where that is one."""
    found = np.full(truth.shape, 255, np.uint8)
    present = np.unique(truth).tolist()
    for photo in present:
        found[np.isin(label_map, right[photo])] = photo
    for photo in present:
        found[(truth == photo) & np.isin(label_map, right[photo])] = photo
    return found


def near_borders(truth: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Where another photograph begins in a square of which the pixel is the middle."""
    picture, side = Image.fromarray(truth), 2 * _NEAR + 1
    least, most = (picture.filter(kind(side)) for kind in (ImageFilter.MinFilter, ImageFilter.MaxFilter))
    return np.asarray(least) != np.asarray(most)


def measure(collages: int, windows: Sequence[int] = _WINDOWS) -> dict[int, dict[str, float]]:
    """By window: shares of pixels that are right, in all and near borders, classes on a map, boundary F-score."""
    network, folder = Network(windows), materials.photographs()
    files = [next(folder.glob(f"{name}.*")) for name in _KNOWN]
    photos = [np.asarray(Image.open(file).convert("RGB")) for file in files]
    right = [np.argsort(-network.classify(photo).numpy())[:_BEST] for photo in photos]
    figures = {window: Figures() for window in windows}
    for number in range(collages):
        picture, truth = collage(photos, number, _SIDE)
        near = near_borders(truth)
        for of, labels in zip(figures.values(), network.label_maps(picture), strict=True):
            label_map = labels.numpy()
            found = as_photographs(label_map, truth, right)
            of.right.append(float(np.mean(found == truth)))
            of.right_near_borders.append(float(np.mean((found == truth)[near])))
            of.classes.append(float(len(np.unique(label_map))))
            of.boundary_f_score.append(boundary_f_score(truth, found))
    return {window: of.means() for window, of in figures.items()}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality.photographs", allow_abbrev=False)
    parser.add_argument(
        "--collages", type=int, default=_COLLAGES, metavar="N", help="how many (default: %(default)s)"
    )
    options = parser.parse_args(arguments)
    results = measure(options.collages)
    if options.collages == _COLLAGES:
        _RESULTS.write_text(json.dumps(results, indent=2) + "\n", "utf-8")
    print("window   right   near borders   classes on a map   boundary F")
    for window, of in results.items():
        print(
            f"{window:>6}{of['right']:>8.1%}{of['right_near_borders']:>15.1%}{of['classes']:>19.0f}"
            f"{of['boundary_f_score']:>13.1%}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
