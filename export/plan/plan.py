"""What is exported, decided before anything is built: every later stage works from the plan."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ..checkpoint.contents import Checkpoint
from ..checkpoint.recognition import find_network_in
from ..checkpoint.selection import select
from ..checkpoint.weight_sets import NetworkWeights
from ..networks import Network
from ..types import Shape, WeightSet
from ..weights.labels import DATA_SETS, IMAGENET, Labels, find_labels
from .options import GraphOptions


@dataclass(frozen=True)
class Plan:
    """What is exported.

    Attributes:
        checkpoint: the network's weights in an open checkpoint.
        network: the one that the user named or the checkpoint holds, with the preprocessing and crop chosen.
        options: with the network's own where the user left one open.
        labels: names of the classes.
        shapes: of the network's variables in the checkpoint, by name.
        warnings: what the user should know and can change.
        about_crop: why crops have this side, a sentence, where the user did not say one.
    """

    checkpoint: NetworkWeights
    network: Network
    options: GraphOptions
    labels: Labels
    shapes: Mapping[str, Shape]
    warnings: tuple[str, ...] = ()
    about_crop: str = ""

    @classmethod
    def of(
        cls,
        checkpoint: Checkpoint,
        options: GraphOptions,
        network: Network | None = None,
        labels_file: str | Path | None = None,
        scope: str | None = None,
        weights: WeightSet | None = None,
    ) -> Plan:
        """Choose what the arguments leave open.

        Raises:
            ExportError: the checkpoint does not hold the network, the network lacks an option, or the labels don't fit.
        """
        place = find_network_in(checkpoint, network, scope)
        # What the network lacks is told before a set of weights is asked for.
        options = _as_trained(options, place.output_stride)
        options.of(place.network)
        found = select(checkpoint, place, weights)
        shapes = {name: spec.shape for name, spec in found.tensors.items()}
        classes = place.network.classes(shapes)
        about_crop = ""
        if place.network.crops and not options.crop:
            crop, about_crop = _crop(checkpoint, place.network)
            options = replace(options, crop=crop)
        evaluated, warning = options.evaluated(place.network, classes)
        options = options.of(evaluated)
        beside = (checkpoint.path, checkpoint.file)
        labels = find_labels(labels_file, beside, classes, evaluated.data_sets)
        warnings = (*found.warnings, *([warning] if warning else ()))
        return cls(found, evaluated, options, labels, shapes, warnings, about_crop)

    @property
    def about_label_maps(self) -> str:
        """How they are made, in words."""
        stride, window = self.network.spacing(self.options.output_stride), self.options.pooling_window
        if not self.network.segments:
            return f"none: {self.network.name} pools its features before its last layer"
        said = f"a cell every {stride} pixels"
        if window > 1:
            said += (
                f", scores averaged over {window}x{window} cells of {self.network.stride} pixels, as "
                f"{self.network.name} averages those of a crop: --pooling-window"
            )
        if self.options.upsampling == "guided":
            pixels = self.options.guided_pixels(self.network)
            said += f", borders led by the image's colours up to {pixels} pixels around: --upsampling guided"
        return said

    @property
    def notes(self) -> list[str]:
        """What was chosen, guessed and converted, a sentence each."""
        notes, options, classes = list(self.checkpoint.notes), self.options, len(self.labels.names)
        if trained := self.checkpoint.place.output_stride:
            notes.append(
                f"the scope above {self.network.name} says that it was trained at an output stride of {trained}: the "
                f"export has {options.output_stride}"
            )
        if self.about_crop:
            notes.append(self.about_crop)
        if self.labels.source in DATA_SETS.values():
            notes.append(
                f"the classes have the names and colours of {self.labels.source}, as {classes} are those of the "
                "published checkpoint: --labels says otherwise"
            )
        elif self.labels.source == IMAGENET:
            notes.append(
                f"the classes have the names of {IMAGENET}, as {classes} are those of the published checkpoints: "
                "--labels says otherwise"
            )
        if options.top_k > classes:
            notes.append(
                f"--top-k is {options.top_k}, and there are {classes} classes: answers rank all of them"
            )
        return notes


def _crop(checkpoint: Checkpoint, network: Network) -> tuple[int, str]:
    """The side of crops in the name of a published checkpoint, or else the network's own, and why, a sentence.

    A name such as mobilenet_v1_1.0_128 is that of a file or of its folder; of an archive too. Links are followed first,
    so that it does not depend on how the path is written.
    """
    written = [checkpoint.read_from, *([checkpoint.path] if checkpoint.file != checkpoint.read_from else [])]
    for path in (*(path.resolve() for path in (*checkpoint.reader.files[:1], *written)), *written):
        for name in (path.name, path.parent.name):
            named = re.match(rf"{network.name}_[\d.]+_(\d+)(?!\d)", name, re.IGNORECASE)
            if named and int(named[1]) in network.crops:
                side = int(named[1])
                return side, f"images are cropped to {side}x{side}, as the name of the checkpoint says"
    return network.crop, (
        f"images are cropped to {network.crop}x{network.crop}: a guess, as no name of the checkpoint or its folder "
        "says the side of its images; say it with --crop"
    )


def _as_trained(options: GraphOptions, output_stride: int) -> GraphOptions:
    """The options of a checkpoint whose scope says that it was trained on label maps at this stride; 0 if it does not.

    Such a network has learnt to decide on each cell.
    """
    if not output_stride:
        return options
    return replace(
        options,
        output_stride=options.output_stride or output_stride,
        pooling_window=options.pooling_window or 1,
    )
