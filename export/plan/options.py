"""What the user chooses. `python -m export --help` explains each choice."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from ..errors import ExportError
from ..networks import Network
from ..networks.preprocessing import PREPROCESSINGS, Evaluation, PreprocessingName
from ..types import Geometry, WeightSet

Upsampling = Literal["bilinear", "guided", "nearest"]
Target = Literal["portable", "x86"]
Precision = Literal["float32", "bfloat16", "float16", "int8"]


@dataclass(frozen=True)
class GraphOptions:
    """The choices that decide what graph is built. The record of an export holds them.

    Attributes:
        upsampling: None stands for guided where scores are averaged over a pooling window, else bilinear.
        preprocessing: None stands for the network's own.
        crop: side of what is classified, pixels; 0 stands for the network's own.
        output_stride: pixels; 0 stands for the network's own.
        pooling_window: side of the window over which the scores of cells are averaged for label maps, in cells at the
            network's own stride; 0 stands for the network's own.
        max_images: in a request.
        max_pixels: of an image.
        max_request_pixels: of all images of a request; 0 stands for 4 images of 2048x2048, or one of `max_pixels`.
    """

    geometry: Geometry = "aligned"
    upsampling: Upsampling | None = None
    top_k: int = 5
    max_images: int = 64
    max_pixels: int = 2048 * 2048
    max_request_pixels: int = 0
    output_stride: int = 0
    pooling_window: int = 0
    preprocessing: PreprocessingName | None = None
    crop: int = 0
    target: Target = "portable"
    precision: Precision = "float32"

    def pooled_cells(self, network: Network) -> int:
        """Side of the pooling window in cells at the output stride, odd."""
        return (self.pooling_window - 1) * (network.stride // self.output_stride) + 1

    def guided_pixels(self, network: Network) -> int:
        """Of a window of the guided filter to each side of a cell's centre.

        Scores that are averaged over a pooling window are less sharp, and so a window is larger there.
        """
        return (3 if self.pooling_window > 1 else 2) * network.stride

    def guided_reach(self, network: Network) -> int:
        """The same in cells."""
        return self.guided_pixels(network) // network.spacing(self.output_stride)

    def receptive_field(self, network: Network) -> int:
        """Pixels a side that decide the scores of a cell in a label map."""
        pixels = network.receptive_field + (self.pooling_window - 1) * network.stride
        if self.upsampling == "guided":
            pixels += 2 * self.guided_pixels(network)
        return pixels

    def evaluated(self, network: Network, classes: int) -> tuple[Network, str | None]:
        """Return the network with preprocessing, crop and, where that makes it another, output stride chosen.

        And a warning where the preprocessing was a guess.

        Args:
            network: with its defaults.
            classes: that the checkpoint has.

        Raises:
            ExportError: the network cannot be evaluated so.
        """
        network = network.at(self.output_stride or network.stride) if network.at else network
        default = network.published.get(classes) or Evaluation(network.preprocessing, network.crop)
        preprocessing = PREPROCESSINGS[self.preprocessing] if self.preprocessing else default.preprocessing
        crop = self.crop or default.crop
        if crop < network.least_side:
            raise ExportError(
                f"{network.name} needs {network.least_side} pixels a side: --crop must be that or more"
            )
        if preprocessing.resize_side is not None and crop > preprocessing.resize_side:
            raise ExportError(
                f"vgg preprocessing resizes the shorter side of an image to {preprocessing.resize_side} pixels: --crop "
                f"must be {preprocessing.resize_side} or less, or --preprocessing inception"
            )
        guessed = network.guessed if self.preprocessing is None and classes not in network.published else ""
        warning = (
            f"images are prepared by {preprocessing.name} preprocessing, cropped to {crop}x{crop}: a guess, for "
            f"{guessed}; a wrong one costs accuracy without a word: say it with --preprocessing and --crop"
        )
        # tf-slim's classifiers pool as many positions as their own crop has.
        reference = network.reference if network.segments or crop == network.crop else None
        evaluated = replace(network, preprocessing=preprocessing, crop=crop, reference=reference)
        return evaluated, warning if guessed else None

    def of(self, network: Network) -> GraphOptions:
        """Return the same, with what `network` will have where a choice was left open, and the bound of a request.

        Raises:
            ExportError: `network` lacks what is chosen.
        """
        default = GraphOptions()
        chosen = [
            f"--{name.replace('_', '-')}"
            for name in ("geometry", "upsampling", "output_stride", "pooling_window")
            if getattr(self, name) != getattr(default, name)
        ]
        if chosen and not network.segments:
            raise ExportError(
                f"{network.name} pools its features before its last layer: it classifies and cannot segment; leave "
                f"out {' and '.join(chosen)}, or take a checkpoint of a network that segments, such as vgg_16"
            )
        if self.precision == "int8" and not network.segments:
            raise ExportError(
                f"--precision int8 is held against float32 in label maps, and {network.name} has none: take "
                "--precision bfloat16"
            )
        window = self.pooling_window or network.pooling_window
        options = replace(
            self,
            output_stride=self.output_stride or network.stride,
            pooling_window=window,
            upsampling=self.upsampling or ("guided" if window > 1 else "bilinear"),
            preprocessing=network.preprocessing.name,
            crop=network.crop,
            max_request_pixels=self.max_request_pixels or max(4 * 2048 * 2048, self.max_pixels),
        )
        if network.segments and options.output_stride not in network.output_strides:
            choices = " or ".join(map(str, network.output_strides))
            raise ExportError(
                f"{network.name} has no output stride of {self.output_stride}: --output-stride must be {choices}"
            )
        if options.pooling_window % 2 == 0:
            raise ExportError(
                f"--pooling-window must be odd, as a window has a middle, not {self.pooling_window}"
            )
        if options.pooling_window > 1 and not network.pools_globally:
            raise ExportError(
                f"{network.name} does not learn to decide on the mean of all cells, so its label maps need no window: "
                "leave out --pooling-window"
            )
        if self.geometry not in network.geometries:
            raise ExportError(
                f"{network.name} pads its images: --geometry must be {' or '.join(network.geometries)}"
            )
        return options


@dataclass(frozen=True)
class Request:
    """An export that is asked for.

    Attributes:
        checkpoint: a slim checkpoint, see `export.checkpoint.contents`.
        out: the model's folder; None for models/<network>.
        network: None for the one whose variables the checkpoint holds.
        scope: below which the network's variables are; None for its own, or the only one that fits.
        weights: which set of them; None where only one is complete.
        labels: a file, see `export.weights.labels`.
        version: a number that is not taken, or None for the next one.
        calibrate: a folder of images; only for int8, which needs it.
        verify: a folder of images that the export is compared on with its reference, or None.
        accept_agreement: of int8 with float32 on images held out, per cent of the label maps' pixels.
        untested: export for --target x86 even what this processor can't run.
        graph: the choices that decide what graph is built.
    """

    checkpoint: str | Path
    out: Path | None = None
    network: Network | None = None
    scope: str | None = None
    weights: WeightSet | None = None
    labels: str | Path | None = None
    version: int | None = None
    calibrate: Path | None = None
    verify: Path | None = None
    accept_agreement: float = 95.0
    untested: bool = False
    graph: GraphOptions = field(default_factory=GraphOptions)
