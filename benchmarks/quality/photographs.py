"""Label maps of a published checkpoint on collages of photographs: `python -m benchmarks.quality.photographs`.

The weights and the photographs come from packages on the index, see `examples.published_materials`. A run of all
collages takes some minutes and writes benchmarks/quality_photographs.json; a shorter one prints only.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from slimserve.cli.verbs.evaluate.scores import boundary_f_score
from slimserve.export.demo.constants import Constants
from slimserve.export.graph.heads.cells import cell_logits, full_size_labels
from slimserve.export.graph.heads.chosen_classes import ChosenClasses
from slimserve.export.graph.heads.crops import crop_logits
from slimserve.export.graph.images.preprocessing import central_crop
from slimserve.export.graph.kernels.portable import VariableLayers
from slimserve.export.networks import NETWORKS
from slimserve.export.plan.options import GraphOptions
from slimserve.tasks.segment import top_classes

from benchmarks.quality.collages import Photo, collage, quarters
from benchmarks.quality.scores import regions
from benchmarks.side import ROOT
from examples import published_materials as materials

_KNOWN = ("astronaut", "camera", "chelsea", "china", "coffee", "flower", "motorcycle_left", "rocket")
_RESULTS = ROOT / "benchmarks" / "quality_photographs.json"
_COLLAGES: Mapping[
    str, tuple[int, Callable[[Sequence[Photo], int, int], tuple[Photo, NDArray[np.uint8]]]]
] = {
    "quarters": (14, quarters),
    "pasted and side by side": (24, collage),
}
_SIDE = 640  # pixels, of a collage
_BEST = 8  # classes of a whole photograph that are right in it
_NEAR = 24  # pixels from a border
_CLASSES = 1001


class Procedure(NamedTuple):
    """How label maps are exported, and whether only the top classes compete, as the client asks for them."""

    name: str
    options: GraphOptions
    top: bool = False


_BILINEAR = GraphOptions(upsampling="bilinear")
PROCEDURES = (
    Procedure("a cell alone", GraphOptions(pooling_window=1)),
    Procedure("window 5, bilinear", replace(_BILINEAR, pooling_window=5)),
    Procedure("window 7, bilinear", _BILINEAR),
    Procedure("the same, top classes", _BILINEAR, top=True),
    Procedure("window 9, bilinear", replace(_BILINEAR, pooling_window=9)),
    Procedure("window 7, guided: the default", GraphOptions()),
    Procedure("the default, top classes", GraphOptions(), top=True),
    Procedure("window 9, guided, top classes", GraphOptions(pooling_window=9), top=True),
)


@dataclass
class Figures:
    """What is measured of one procedure, by collage."""

    right: list[float] = field(default_factory=list)
    right_near_borders: list[float] = field(default_factory=list)
    classes: list[float] = field(default_factory=list)
    regions: list[float] = field(default_factory=list)
    boundary_f_score: list[float] = field(default_factory=list)

    def means(self) -> dict[str, float]:
        """Over the collages."""
        return {name: float(np.mean(values)) for name, values in vars(self).items()}


class Network:
    """The published MobileNet and the label maps that several procedures make of its cells."""

    def __init__(self, procedures: Sequence[Procedure]) -> None:
        network = NETWORKS["mobilenet_v1"]
        with tf.Graph().as_default():
            layers = VariableLayers(Constants(materials.values(materials.frozen_graph())), network.scope)
            self._image = tf.compat.v1.placeholder(tf.uint8, [None, None, 3])
            self._chosen = ChosenClasses(_CLASSES)
            logits = cell_logits(self._image[None], network, layers, GraphOptions().of(network))[0]
            self._logits = tf.ensure_shape(logits, [None, None, _CLASSES])
            size = tf.shape(self._image)[:2]
            self._label_maps = {
                options: full_size_labels(
                    self._logits, size, lambda: self._image, network, options.of(network), self._chosen
                )
                for options in {procedure.options for procedure in procedures}
            }
            self._crop = crop_logits(central_crop(self._image, network)[None], network, layers)[0]
            self._session = tf.compat.v1.Session()
        self._procedures = procedures

    def classify(self, image: Photo) -> NDArray[np.float32]:
        """Logits [C] of a photograph."""
        logits: NDArray[np.float32] = self._session.run(self._crop, {self._image: image})
        return logits

    def label_maps(self, image: Photo) -> dict[str, NDArray[np.uint16]]:
        """Label maps [H, W] by the procedure's name."""
        fed = {self._image: image, self._logits: self._session.run(self._logits, {self._image: image})}
        found = {}
        for name, options, top in self._procedures:
            label_map = self._session.run(self._label_maps[options], fed)
            if top:
                among = {self._chosen.given: np.array(top_classes(label_map), np.int32)}
                label_map = self._session.run(self._label_maps[options], fed | among)
            found[name] = label_map
        return found


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


def measure(
    kind: str, collages: int, procedures: Sequence[Procedure] = PROCEDURES
) -> dict[str, dict[str, float]]:
    """By procedure: shares of pixels that are right, in all and near borders; classes, regions, boundary F-score."""
    network, folder = Network(procedures), materials.photographs()
    files = [next(folder.glob(f"{name}.*")) for name in _KNOWN]
    photos = [np.asarray(Image.open(file).convert("RGB")) for file in files]
    right = [np.argsort(-network.classify(photo))[:_BEST] for photo in photos]
    figures = {procedure.name: Figures() for procedure in procedures}
    for number in range(collages):
        picture, truth = _COLLAGES[kind][1](photos, number, _SIDE)
        near = near_borders(truth)
        for name, label_map in network.label_maps(picture).items():
            found, of = as_photographs(label_map, truth, right), figures[name]
            of.right.append(float(np.mean(found == truth)))
            of.right_near_borders.append(float(np.mean((found == truth)[near])))
            of.classes.append(float(len(np.unique(label_map))))
            of.regions.append(float(regions(label_map)))
            of.boundary_f_score.append(boundary_f_score(truth, found))
    return {name: of.means() for name, of in figures.items()}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality.photographs", allow_abbrev=False)
    parser.add_argument("--collages", type=int, metavar="N", help="how many of each kind (default: all)")
    options = parser.parse_args(arguments)
    results = {kind: measure(kind, options.collages or count) for kind, (count, _) in _COLLAGES.items()}
    if options.collages is None:
        _RESULTS.write_text(json.dumps(results, indent=2) + "\n", "utf-8")
    for kind, by_procedure in results.items():
        print(f"{kind:32}  right   near borders   classes   regions   boundary F")
        for name, of in by_procedure.items():
            print(
                f"  {name:30}{of['right']:>7.1%}{of['right_near_borders']:>15.1%}{of['classes']:>10.0f}"
                f"{of['regions']:>10.0f}{of['boundary_f_score']:>13.1%}"
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
