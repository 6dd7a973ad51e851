"""Which checkpoints were published, from the tables in tensorflow/models: research/slim and research/deeplab.

slim's README.md, nets/mobilenet_v1.md and nets/mobilenet/README.md; DeepLab's g3doc/model_zoo.md.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from ...errors import ExportError

ARCHIVE = "https://storage.googleapis.com"
"""Of download.tensorflow.org's files too, which that host serves without TLS."""
_SLIM = "download.tensorflow.org/models"
_MOBILENET_V2 = "mobilenet_v2/checkpoints"


@dataclass(frozen=True)
class Published:
    """A checkpoint that can be fetched by its name."""

    name: str  # to ask for it
    path: str  # below ARCHIVE
    network: str  # what it holds: the name of an exportable network, or what those names start with
    data: str = "ImageNet"  # what it was trained on

    @property
    def file(self) -> str:
        """The name of the archive."""
        return self.path.rpartition("/")[2]

    def address(self, mirror: str = ARCHIVE) -> str:
        """Where it is; `mirror` takes the place of ARCHIVE."""
        return f"{mirror.rstrip('/')}/{self.path}"


_DATED = {
    "inception_v1": "2016_08_28",
    "inception_v2": "2016_08_28",
    "inception_v3": "2016_08_28",
    "inception_v4": "2016_09_09",
    "inception_resnet_v2": "2016_08_30",
    **{f"resnet_v1_{depth}": "2016_08_28" for depth in (50, 101, 152)},
    **{f"resnet_v2_{depth}": "2017_04_14" for depth in (50, 101, 152)},
    "vgg_16": "2016_08_28",
    "vgg_19": "2016_08_28",
}
_NASNETS = {
    "nasnet_mobile": "nasnet-a_mobile_04_10_2017",
    "nasnet_large": "nasnet-a_large_04_10_2017",
    "pnasnet_mobile": "pnasnet-5_mobile_2017_12_13",
    "pnasnet_large": "pnasnet-5_large_2017_12_13",
}
_WIDTHS_1 = ("1.0", "0.75", "0.5", "0.25")
_SIDES_1 = (224, 192, 160, 128)
_WIDTHS_2 = ("1.0", "0.75", "0.5", "0.35")
_SIDES_2 = (224, 192, 160, 128, 96)
_VOC, _CITYSCAPES, _ADE20K = "PASCAL VOC 2012", "Cityscapes", "ADE20K"
_DEEPLAB = {
    "mobilenet_v2": (
        ("deeplabv3_mnv2_pascal_train_aug", "2018_01_29", _VOC),
        ("deeplabv3_mnv2_pascal_trainval", "2018_01_29", _VOC),
        ("deeplabv3_mnv2_dm05_pascal_trainaug", "2018_10_01", _VOC),
        ("deeplabv3_mnv2_dm05_pascal_trainval", "2018_10_01", _VOC),
        ("deeplabv3_mnv2_cityscapes_train", "2018_02_05", _CITYSCAPES),
        ("deeplabv3_mnv2_ade20k_train", "2018_12_03", _ADE20K),
    ),
    "xception_65": (
        ("deeplabv3_pascal_train_aug", "2018_01_04", _VOC),
        ("deeplabv3_pascal_trainval", "2018_01_04", _VOC),
        ("deeplabv3_cityscapes_train", "2018_02_06", _CITYSCAPES),
        ("deeplabv3_xception_ade20k_train", "2018_05_29", _ADE20K),
    ),
    # Their branches were found by search, and are others.
    "dense_prediction_cell": (
        ("deeplab_cityscapes_xception71_trainfine", "2018_09_08", _CITYSCAPES),
        ("deeplab_cityscapes_xception71_trainvalfine", "2018_09_08", _CITYSCAPES),
    ),
    "mobilenet_v3": (
        ("deeplab_mnv3_large_cityscapes_trainfine", "2019_11_15", _CITYSCAPES),
        ("deeplab_mnv3_small_cityscapes_trainfine", "2019_11_15", _CITYSCAPES),
    ),
}

_LISTED = (
    *(Published(name, f"{_SLIM}/{name}_{date}.tar.gz", name) for name, date in _DATED.items()),
    *(
        Published(
            f"mobilenet_v1_{width}_{side}", f"{_SLIM}/mobilenet_v1_2018_02_22/{file}.tgz", "mobilenet_v1"
        )
        for width in _WIDTHS_1
        for side in _SIDES_1
        for file in [f"mobilenet_v1_{width}_{side}"]
    ),
    *(
        Published(name, f"{_MOBILENET_V2}/{name}.tgz", "mobilenet_v2")
        for name in [
            *("mobilenet_v2_1.4_224", "mobilenet_v2_1.3_224"),
            *(f"mobilenet_v2_{width}_{side}" for width in _WIDTHS_2 for side in _SIDES_2),
        ]
    ),
    *(Published(name, f"{_SLIM}/{file}.tar.gz", name) for name, file in _NASNETS.items()),
    *(
        Published(name, f"{_SLIM}/{name}_{date}.tar.gz", f"deeplab_{backbone}", data)
        for backbone, checkpoints in _DEEPLAB.items()
        for name, date, data in checkpoints
    ),
)
PUBLISHED = {published.name: published for published in _LISTED}


def find_published(name: str) -> Published:
    """Return the published checkpoint of that name.

    Raises:
        ExportError: there is none; the message says what is near.
    """
    if name not in PUBLISHED:
        near = difflib.get_close_matches(name, PUBLISHED, 3, 0.5)
        meant = f": did you mean {' or '.join(near)}?" if near else ""
        raise ExportError(
            f"no published checkpoint is called {name!r}{meant}{'' if near else ':'} `fetch --list` shows all names"
        )
    return PUBLISHED[name]
