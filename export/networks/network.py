"""What the exporter knows of a network: how to build it, and how its logits cells lie on an image.

A network is applied to images of any size, so that its logits are a grid of cells. In the aligned geometry, five facts
say where the cells lie. The example is VGG-16, whose `stride` is 32, and an image of 250x270 pixels (height x width):

- `multiple` (32): zeros, which stand for the mean colour, are appended until both sides are multiples of it. The image
  becomes 256x288. Five poolings halve it to a feature map of 8x9 positions, and fc6, which is padded with zeros, keeps
  that size: 8x9 logits cells.
- `border` (0, 0): how many more zeros come before and after the image. VGG needs none. A ResNet has (0, 1), so that it
  sees 257x289 pixels: its first and its last cell are then centred on the first and the last of them.
- `centre` (16): the first cell is centred 16 pixels from the image's upper and left edge, the next ones 32 pixels
  further: at 16, 48, ... 240 down and 16, 48, ... 272 across. A label map interpolates between these centres. Half
  pixels count: 0.5 is the centre of the first pixel.
- `window` (7): fc6 sees 7x7 positions of the feature map, 3 on each side of its own. So the cells in rows 3 and 4 and
  columns 3 to 5 do not see fc6's padding. These 2x3 cells are compared with tf-slim, whose fc6 has no padding.

In the valid geometry neither the image nor fc6 is padded. Pooling rounds down: the feature map has 7x8 positions, and
fc6 gives 1x2 cells.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..types import Geometry, Shape, VariableShape
from .layers import BuildLogits
from .preprocessing import Evaluation, Preprocessing
from .variables import variables_of


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
    """A network that can be exported. The module explains the facts about its cells with an example.

    Attributes:
        name: what it is called in slim, and the user calls it.
        scope: of its variables.
        logits: builds the network.
        preprocessing: of its images, as slim's preprocessing_factory.py chooses it.
        crop: side of the crop for classification, pixels: slim's default_image_size.
        reference: what exports are compared with; None for the page itself over tf-slim's layers, as tf-slim lacks it.
        published: how checkpoints of so many classes were published to be evaluated, where that is otherwise.
        guessed: why the preprocessing is a guess, unless it is one of `published`; "" where it is none.
        least_side: pixels a side that it needs at least where nothing is padded.
        segments: whether it is fully convolutional: of an image of any size, it classifies every cell. What follows
            matters only then.
        stride: distance of neighbouring logits cells, pixels, and the largest output stride.
        output_strides: to choose from.
        geometries: to choose from.
        multiple: pixels; both sides of an image are padded to multiples of it in the aligned geometry.
        centre: of the first logits cell in the aligned geometry, pixels from the image's edge, whatever the output
            stride.
        surplus: pixels; what is padded are sides to so much more than a multiple of `multiple`.
        border: zeros before and after an image in the aligned geometry, pixels, in addition to that padding.
        window: positions of the last feature map that one logits cell sees, a side.
        receptive_field: pixels that one logits cell at the network's own stride sees, a side, as many before its centre
            as after it; the finer cells of `Layers.refine` lie between such cells.
        pools_globally: whether it learnt to decide on the mean over all cells of a crop.
        crops: sides that checkpoints of it were published for, which their names say.
        as_stored: where there are several variants, such as widths, the network whose variables have these shapes, by
            their names below the scope; None where there is one.
        data_sets: which data set it was published for, by the number of classes: names in `export.weights.labels`.
        known_by: variables that tell that a checkpoint holds it, where its variables lie in several scopes; `scope` is
            "" then.
        owned: what the names of such a network's variables start with.
        variant: what the checkpoint's variables say of it, in words.
        decoder_stride: distance of the logits cells that a decoder makes of coarser ones, pixels; 0 where cells lie an
            output stride apart.
        at: where cells at another output stride are no subset or superset of the network's own: the network whose own
            stride that is. None where they are.
        averaged_strides: output strides at which a bilinear label map is made of scores averaged over neighbouring
            cells; the logits themselves are not.
    """

    name: str
    scope: str
    logits: BuildLogits
    preprocessing: Preprocessing
    crop: int
    reference: SlimReference | None = None
    published: Mapping[int, Evaluation] = field(default_factory=dict)
    guessed: str = ""
    least_side: int = 1
    segments: bool = True
    stride: int = 32
    output_strides: tuple[int, ...] = (32, 16, 8)
    geometries: tuple[Geometry, ...] = ("aligned", "valid")
    multiple: int = 32
    surplus: int = 0
    centre: float = 16
    border: tuple[int, int] = (0, 0)
    window: int = 1
    receptive_field: int = 0
    pools_globally: bool = False
    crops: tuple[int, ...] = ()
    as_stored: Callable[[Mapping[str, Shape]], Network] | None = None
    data_sets: Mapping[int, str] = field(default_factory=dict)
    known_by: tuple[str, ...] = ()
    owned: tuple[str, ...] = ()
    variant: str = ""
    decoder_stride: int = 0
    at: Callable[[int], Network] | None = None
    averaged_strides: tuple[int, ...] = ()

    @property
    def pooling_window(self) -> int:
        """Side of the window of cells over whose mean it learnt to decide, odd, so that it has a middle; 1 for none."""
        cells = self.crop // self.stride if self.pools_globally else 1
        return max(1, cells - 1 + cells % 2)

    @property
    def prefix(self) -> str:
        """What the names of its variables start with."""
        return f"{self.scope}/" if self.scope else ""

    def spacing(self, output_stride: int) -> int:
        """Distance of neighbouring logits cells, pixels."""
        return self.decoder_stride or output_stride

    def padding(self, side: int) -> int:
        """How many pixels an image's `side` lacks in the aligned geometry, beside the border."""
        return (self.surplus - side) % self.multiple

    def expected_variables(self) -> dict[str, VariableShape]:
        """Shapes by full variable name, as in a checkpoint, in the order of the network."""
        return variables_of(self.logits, self.scope, self.stride)

    def classes(self, shapes: Mapping[str, Shape]) -> int:
        """The number of classes of a checkpoint whose variables have these shapes."""
        name, expected = next(item for item in self.expected_variables().items() if None in item[1])
        return shapes[name][expected.index(None)]
