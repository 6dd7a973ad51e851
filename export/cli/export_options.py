"""The options of an export."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from ..errors import ExportError
from ..savedmodel.publication import LARGEST_VERSION
from .command_line import SERVE_COMMAND
from .other_tools import OTHER_TOOLS
from .parser import Parser, path, whole_number

if TYPE_CHECKING:
    from ..networks import Network

_DESCRIPTION = """\
Turn a slim checkpoint into a SavedModel that TensorFlow Serving runs.

The network is applied fully convolutionally where it can be: images of any size go in, and the model
answers with ranked classes, with a label map of the image's own size, or with both. An Inception
classifies only. The result is compared with tf-slim before it is published."""

_EPILOG = """\
examples:
  %(prog)s --ckpt vgg_16.ckpt
      writes models/vgg_16/1, the next time models/vgg_16/2
  %(prog)s --ckpt vgg_16_2016_08_28.tar.gz --labels names.txt --out models/streets
      reads the checkpoint from its archive and names the classes, one a line
  %(prog)s --ckpt resnet_v1_50.ckpt --output-stride 8
      another network of slim, recognised by its variables, with finer label maps
  %(prog)s --ckpt train/ --geometry valid --upsampling nearest
      the newest checkpoint of a training folder, segmented as the slim tutorial does
  %(prog)s --ckpt vgg_16.ckpt --target x86 --precision bfloat16
      twice as fast on servers whose processors multiply in bfloat16
  %(prog)s --ckpt vgg_16.ckpt --precision float16
      half the size, for servers with GPUs
  %(prog)s --ckpt vgg_16.ckpt --precision int8 --calibrate street_photos/
      a quarter of the size and the fastest, calibrated on photos like those to come

what does a checkpoint hold?  %(prog)s inspect train/
no checkpoint at hand?        %(prog)s fetch mobilenet_v1_1.0_224
then serve it:  {serve} --model vgg_16=models/vgg_16"""

Add = Callable[..., argparse.Action]


def export_parser(prog: str) -> Parser:
    """Return what reads the arguments of an export."""
    parser = Parser(prog, _DESCRIPTION, _EPILOG.format(serve=SERVE_COMMAND), OTHER_TOOLS)
    for title, add_options in (
        ("what is exported", _checkpoint),
        ("where it goes", _version_folder),
        ("how images are prepared", _images),
        ("how label maps are made", _label_maps),
        ("what a request may ask for, and what is answered", _answers),
        ("in which numbers, and for which servers", _numbers),
        ("what is compared and told", _checks),
    ):
        add_options(parser.add_argument_group(title).add_argument)
    return parser


def read_options(parser: Parser, arguments: list[str]) -> argparse.Namespace:
    """Return the options that the arguments say; end the process in words where they are wrong."""
    options = parser.parse(arguments)
    _check_precision(parser, options)
    return options


def _checkpoint(add: Add) -> None:
    networks = _networks()
    names = ", ".join(networks) or "install slimserve[export] to see their names"
    classifiers = ", ".join(name for name, network in networks.items() if not network.segments)
    add(
        "--ckpt",
        dest="checkpoint",
        required=True,
        metavar="CHECKPOINT",
        help="a V1 file, the .tar.gz it came in, a V2 prefix or .index file, a training folder, or the name of a "
        "published checkpoint, which is fetched after asking (`fetch --list`)",
    )
    add(
        "--net",
        type=_network,
        metavar="NETWORK",
        help=f"the network (default: the one whose variables the checkpoint holds): {names}"
        + (f"; these classify and do not segment: {classifiers}" if classifiers else ""),
    )
    add(
        "--scope",
        metavar="PREFIX",
        help="where the network's variables are below another scope, such as tower_0/ (default: none, or the only one "
        "that fits)",
    )
    add(
        "--weights",
        choices=["averages", "raw"],
        help="of a checkpoint with moving averages beside the raw weights: slim's evaluation restores the averages "
        "(default: the set that is complete; to be said where both are)",
    )
    add(
        "--labels",
        type=path,
        metavar="FILE",
        help="class names, a line each: name, identifier<TAB>name, or tf-slim's number:name (default: "
        "CHECKPOINT.labels.tsv where there is one, ImageNet's for 1000 classes, and for 1001, of which the first is "
        "the background; of DeepLab those of VOC, Cityscapes or ADE20K for 21, 19 or 151)",
    )


def _version_folder(add: Add) -> None:
    add("--out", type=path, metavar="DIR", help="the model's folder (default: models/<net>)")
    add(
        "--version",
        type=_version,
        metavar="N",
        help="the version number (default: one more than the highest there)",
    )


def _images(add: Add) -> None:
    add(
        "--preprocessing",
        choices=["vgg", "inception"],
        help="how images are prepared, as in training. vgg: the mean colour is subtracted, for classification the "
        "shorter side becomes 256; inception: pixels lie between -1 and 1, for classification the central 87.5 %% are "
        "resized (default: as slim evaluates the network)",
    )
    add(
        "--crop",
        type=whole_number(1),
        default=0,
        metavar="N",
        help="classify a crop of NxN pixels (default: the network's own size)",
    )


def _label_maps(add: Add) -> None:
    strides = {stride for network in _networks().values() for stride in network.output_strides}
    add(
        "--geometry",
        choices=["aligned", "valid"],
        default="aligned",
        help="aligned: any size, labels lie where the pixels are; valid: no padding, as slim trains, images of "
        "224x224 or more (default: %(default)s)",
    )
    add(
        "--output-stride",
        type=int,
        choices=sorted(strides, reverse=True) or None,
        default=0,
        help="pixels between the cells that are labelled: fewer follow borders more closely and take longer: "
        "vgg_16 at 512x512 about 1.3 times for 16 and 2.2 times for 8 "
        "(default: the network's own)",
    )
    add(
        "--pooling-window",
        type=whole_number(1),
        default=0,
        metavar="N",
        help="of a network that pools globally, such as a ResNet: scores are averaged over NxN cells of the network's "
        "own stride, N odd, before a label map is made of them; 1 for none (default: as many as a crop has)",
    )
    add(
        "--upsampling",
        choices=["bilinear", "guided", "nearest"],
        help="bilinear: interpolate the scores, then take the best class; guided: the same with probabilities, "
        "filtered so that borders follow the image's colours; nearest: the best class of the nearest cell (default: "
        "guided where scores are averaged over a pooling window, else bilinear)",
    )


def _answers(add: Add) -> None:
    add(
        "--top-k",
        type=whole_number(1),
        default=5,
        metavar="K",
        help="ranked classes in an answer (default: %(default)s)",
    )
    add(
        "--max-pixels",
        type=whole_number(1),
        default=2048 * 2048,
        metavar="N",
        help="refuse larger images; the server needs about 1.2 GB and 0.6 KB a pixel (default: %(default)s, 2048x2048)",
    )
    add(
        "--max-images",
        type=whole_number(1),
        default=64,
        metavar="N",
        help="refuse requests of more images (default: %(default)s)",
    )
    add(
        "--max-request-pixels",
        type=whole_number(1),
        default=0,
        metavar="N",
        help="refuse requests whose images have more pixels in all; a small one counts as what it costs, the crop "
        "that is classified (default: 4 times 2048x2048, or --max-pixels where that is more)",
    )


def _numbers(add: Add) -> None:
    add(
        "--target",
        choices=["portable", "x86"],
        help="portable: runs in every build of TensorFlow Serving; x86: oneDNN's own convolutions, which keep their "
        "reordered filters, for servers with x86 processors; where this machine can't run them, the export is portable "
        "and says so (default: portable; x86 for int8)",
    )
    add(
        "--precision",
        choices=["float32", "bfloat16", "float16", "int8"],
        default="float32",
        help="bfloat16: half the size, twice as fast on processors with AVX512_BF16 or AMX and slower on other x86 "
        "ones; with --target x86 only for those with AVX-512; float16: half the size, for servers with GPUs, not for "
        "--target x86; int8: a quarter of the size and the fastest, for --target x86 and networks of "
        "convolutions and maximum pools such as VGG (default: %(default)s)",
    )
    add(
        "--calibrate",
        type=path,
        metavar="FOLDER",
        help="for int8: images like those to be served, 100 or more; a fifth is held out and compared with float32",
    )
    add(
        "--accept-agreement",
        type=_percent,
        metavar="PERCENT",
        help="for int8: publish even where only so many per cent of the held-out images' pixels get float32's label "
        "(default: 95)",
    )
    add(
        "--untested",
        action="store_true",
        help="for x86: export even where this processor can't run it, compared through ops that round as it does",
    )


def _checks(add: Add) -> None:
    add(
        "--verify",
        type=path,
        metavar="FOLDER",
        help="compare the export on these images too, with tf-slim in float32: classes and label maps",
    )
    add("--json", action="store_true", help="print the report as JSON")
    add("--debug", action="store_true", help="show the traceback of an error")


def _networks() -> Mapping[str, Network]:
    """The networks by name; none where NumPy is missing, for --help works without it."""
    with suppress(ModuleNotFoundError):
        from ..networks import NETWORKS

        return NETWORKS
    return {}


def _network(text: str) -> str:
    with suppress(ModuleNotFoundError):
        from ..networks import find_network

        try:
            find_network(text)
        except ExportError as error:
            raise argparse.ArgumentTypeError(str(error)) from error
    return text


def _version(text: str) -> int:
    number = whole_number(1)(text)
    if number > LARGEST_VERSION:
        raise argparse.ArgumentTypeError(
            f"must be {LARGEST_VERSION} at most, as TensorFlow Serving reads versions, not {text}"
        )
    return number


def _percent(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number <= 100:
        raise argparse.ArgumentTypeError(f"must be a percentage, 0 to 100, not {text!r}")
    return number


def _check_precision(parser: Parser, options: argparse.Namespace) -> None:
    """Options that only make sense together."""
    if options.precision == "int8":
        if options.target == "portable":
            parser.error("--precision int8 is for --target x86 only")
        if options.calibrate is None:
            parser.error("--precision int8 needs --calibrate FOLDER, images like those to be served")
    elif options.calibrate is not None or options.accept_agreement is not None:
        parser.error("--calibrate and --accept-agreement are for --precision int8 only")
    if options.precision == "float16" and options.target == "x86":
        parser.error("--precision float16 is for GPUs: leave out --target x86")
    if options.untested and (options.target != "x86" or options.precision == "int8"):
        parser.error("--untested is for --target x86 in float32 or bfloat16")
    options.target = options.target or ("x86" if options.precision == "int8" else "portable")
