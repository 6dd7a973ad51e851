"""What the image signatures take and answer: images as their inputs, their outputs checked and made into results."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InvalidInput, ServerError
from ..images.given import PreparedImage
from ..images.png import PngError, decode_gray
from ..types import Classification, Prediction
from ..wire.encoding import TensorParts, tensor_of_images, tensor_of_strings
from ..wire.messages import Answer

_TYPES = {"u": "uint8 or uint16", "iu": "integer", "f": "float", "O": "string"}  # by kinds of numpy.dtype


def image_inputs(task: str, batch: Sequence[PreparedImage]) -> tuple[str, dict[str, TensorParts]]:
    """Choose the signature of `task` for the batch, and its inputs: encoded bytes, or pixels."""
    pixels = [image.pixels for image in batch if image.pixels is not None]
    if pixels:
        return task, {"images": tensor_of_images(pixels)}
    encoded = [image.encoded for image in batch if image.encoded is not None]
    return f"{task}_bytes", {"image_bytes": tensor_of_strings(encoded)}


def naming(error: InvalidInput, image: PreparedImage, advice: str = "") -> InvalidInput:
    """Name the image that was refused, and what may help."""
    return InvalidInput(f"{image.name}: {error}{advice}", code=error.code, details=error.details)


def read_classifications(answer: Answer, images: int) -> list[Classification]:
    """Read `class_ids`, `class_names` and `scores` [N,k] and, if there, `probabilities` [N,C]. Raises ServerError."""
    ids = _output(answer, "class_ids", (images, None), "iu")
    names = _output(answer, "class_names", (images, ids.shape[1]), "O")
    scores = _output(answer, "scores", (images, ids.shape[1]), "f")
    if not ids.shape[1]:
        raise ServerError("the model's answer ranks no classes")
    probabilities: Sequence[npt.NDArray[np.float32] | None] = [None] * images
    if "probabilities" in answer.outputs:
        probabilities = list(_output(answer, "probabilities", (images, None), "f"))
    return [
        Classification(
            [
                Prediction(decode_name(name), float(score), int(id))
                for name, score, id in zip(names[image], scores[image], ids[image], strict=True)
            ],
            probabilities[image],
            answer.version,
        )
        for image in range(images)
    ]


def read_label_map(answer: Answer, size: tuple[int, int]) -> npt.NDArray[Any]:
    """Read the one `label_map` uint8 or uint16 [1,H,W] of an image of `size` (H, W). Raises ServerError."""
    label_map: npt.NDArray[Any] = _output(answer, "label_map", (1, *size), "u")[0]
    if label_map.itemsize > 2:  # the classes are counted by id
        raise ServerError(f"the model's answer holds labels of type {label_map.dtype}, not uint8 or uint16")
    return label_map


def read_label_png(answer: Answer) -> npt.NDArray[Any]:
    """Read the one `label_png` [1] as a label map, uint8 or uint16 [H,W]. Raises ServerError."""
    try:
        return decode_gray(_output(answer, "label_png", (1,), "O")[0])
    except PngError as error:
        raise ServerError(f"the label map in the answer cannot be read: {error}") from error


def read_class_names(answer: Answer, classes: int) -> list[str]:
    """Read `class_names` [classes] of the signature `labels`. Raises ServerError."""
    return [decode_name(name) for name in _output(answer, "class_names", (classes,), "O")]


def read_names(answer: Answer, output: str = "class_names") -> list[str] | None:
    """Read the names of all classes that a label map's answer brings; None if it does not."""
    if output not in answer.outputs:
        return None
    return [decode_name(name) for name in _output(answer, output, (None,), "O")]


def read_receptive_field(answer: Answer) -> int:
    """Read the one `receptive_field` [1] of the signature `logits`, a number of pixels. Raises ServerError."""
    return int(_output(answer, "receptive_field", (1,), "iu")[0])


def decode_name(name: bytes) -> str:
    """Decode a class name; bytes that are not UTF-8 are replaced, for a name is only shown."""
    return name.decode(errors="replace")


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Name the class whose name is like that; empty where none is."""
    import difflib  # for an error alone

    like = difflib.get_close_matches(name, list(names), 1)
    return f": did you mean {like[0]!r}?" if like else ""


def _output(answer: Answer, name: str, shape: tuple[int | None, ...], kinds: str) -> npt.NDArray[Any]:
    """Take an output, once its type and shape (None is any size) are what the signature promises."""
    array = answer.outputs.get(name)
    if array is None:
        raise ServerError(
            f"the model's answer lacks {name!r}: it has {', '.join(sorted(answer.outputs)) or 'nothing'}"
        )
    fits = array.ndim == len(shape) and all(
        want in (None, size) for want, size in zip(shape, array.shape, strict=True)
    )
    if not fits or array.dtype.kind not in kinds:
        expected = ", ".join("?" if size is None else str(size) for size in shape)
        found = "string" if array.dtype.kind == "O" else array.dtype
        raise ServerError(
            f"the model's answer holds {name!r} as {found} {list(array.shape)} where {_TYPES[kinds]} [{expected}] is "
            "expected"
        )
    return array
