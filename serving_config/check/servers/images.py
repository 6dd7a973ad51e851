"""Names of images: how they are written, and which there are of TensorFlow Serving."""

import difflib
import re

_STOCK = "tensorflow/serving"
# https://github.com/distribution/reference: host, path, tag, digest.
_HOST = r"(?:[A-Za-z0-9.-]+(?::\d+)?|\[[0-9a-fA-F:]+\](?::\d+)?)/"
_PATH = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REFERENCE = re.compile(
    rf"(?:{_HOST})?{_PATH}(?:/{_PATH})*(?::\w[\w.-]{{0,127}})?(?:@[a-z0-9+._-]+:[0-9a-fA-F]{{32,}})?"
)
_TAG = re.compile(r"(?:latest|nightly|\d+\.\d+\.\d+(?:-rc\d+)?)(?:-(?:devel|gpu|mkl|arm64|amd64))*")
_PLACEHOLDERS = ("$", "{", "<")
"""What stands in a name that somebody fills in before it is used."""
_RELEASE = re.compile(rf"(?:docker\.io/)?{_STOCK}:(?P<major>\d+)\.(?P<minor>\d+)\.\d")

_OF_CPU = re.compile(rf"(?:docker\.io/)?{_STOCK}(?::(?!\S*(?:gpu|devel))[\w.-]+)?")


def gpu_fault(image: str) -> tuple[str, str] | None:
    """What is wrong with a GPU for a server of this image, and what to do, if anything."""
    if not _OF_CPU.fullmatch(image):
        return None
    advice = "it would stand idle: take an image built for GPUs, whose tag ends in -gpu"
    return f"a GPU is asked for, and {image} computes on the CPU", advice


def moves(image: str) -> bool:
    """Whether what the name means changes with time: it has no tag, or one such as latest or nightly-gpu."""
    tag = image.rpartition("/")[2].partition(":")[2]
    return (
        bool(image) and "@" not in image and re.fullmatch(r"(?:(?:latest|nightly)(?:-.*)?)?", tag) is not None
    )


def release(image: str) -> tuple[int, int] | None:
    """The version of TensorFlow Serving, major and minor, that an image of its own names; None where it names none."""
    match = _RELEASE.match(image)
    return (int(match["major"]), int(match["minor"])) if match else None


def fault(image: str) -> tuple[str, str] | None:
    """What is wrong with the name of an image, and what to do, if anything."""
    if not image or any(sign in image for sign in _PLACEHOLDERS):
        return None
    if not _REFERENCE.fullmatch(image):
        advice = "write it in lowercase as host/path:tag, such as tensorflow/serving:2.20.0"
        return f"{image} is not the name of an image", advice
    name, _, tag = image.partition("@")[0].removeprefix("docker.io/").partition(":")
    if name == _STOCK and tag and not _TAG.fullmatch(tag):
        advice = "its tags are versions of three numbers, and -gpu or -devel behind them, such as 2.20.0"
        return f"tensorflow/serving has no tag {tag}", advice
    if (
        name.startswith("tensorflow/")
        and name != _STOCK
        and difflib.get_close_matches(name, [_STOCK], 1, 0.9)
    ):
        return f"there is no image {name}", f"did you mean {_STOCK}?"
    return None
