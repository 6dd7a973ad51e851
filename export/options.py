"""What the user chooses. `python -m export --help` explains each choice."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from .errors import ExportError
from .networks import Network
from .types import Geometry, WeightSet

Upsampling = Literal["bilinear", "nearest"]
Target = Literal["portable", "x86"]
Precision = Literal["float32", "bfloat16", "int8"]


@dataclass(frozen=True)
class GraphOptions:
    """The choices that decide what graph is built. The record of an export holds them.

    Attributes:
        output_stride: pixels; 0 stands for the network's own.
        max_images: in a request.
        max_pixels: of an image.
        max_request_pixels: of all images of a request; 0 stands for 4 images of 2048x2048, or one of `max_pixels`.
    """

    geometry: Geometry = "aligned"
    upsampling: Upsampling = "bilinear"
    top_k: int = 5
    max_images: int = 64
    max_pixels: int = 2048 * 2048
    max_request_pixels: int = 0
    output_stride: int = 0
    target: Target = "portable"
    precision: Precision = "float32"

    def of(self, network: Network) -> GraphOptions:
        """Return the same, with the output stride that `network` will have and the bound of a request.

        Raises:
            ExportError: `network` lacks what is chosen.
        """
        default = GraphOptions()
        chosen = [
            f"--{name.replace('_', '-')}"
            for name in ("geometry", "upsampling", "output_stride")
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
        options = replace(
            self,
            output_stride=self.output_stride or network.stride,
            max_request_pixels=self.max_request_pixels or max(4 * 2048 * 2048, self.max_pixels),
        )
        if network.segments and options.output_stride not in network.output_strides:
            choices = " or ".join(map(str, network.output_strides))
            raise ExportError(
                f"{network.name} has no output stride of {self.output_stride}: --output-stride must be {choices}"
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
    accept_agreement: float = 95.0
    untested: bool = False
    graph: GraphOptions = field(default_factory=GraphOptions)
