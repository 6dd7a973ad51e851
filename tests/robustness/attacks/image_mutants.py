"""Small sound images of every kind, and mutants of them."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from PIL import Image

from tests.robustness.attacks.crafted_png_gif_bmp import PNG_SIGNATURE
from tests.robustness.attacks.pictures import encoded, picture

_NASTY = [0, 1, 2, 0x7F, 0x80, 0xFE, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]


class Mutant(NamedTuple):
    """What it is, and its bytes."""

    kind: str
    data: bytes


def sound_images() -> dict[str, bytes]:
    image = picture()
    alpha = image.convert("RGBA")
    alpha.putalpha(Image.linear_gradient("L").resize(image.size))
    sixteen = Image.fromarray(np.random.default_rng(1).integers(0, 65536, (30, 40)).astype(np.uint16))
    turned = [image.rotate(90 * turn).quantize(16) for turn in (1, 2, 3)]
    exif = Image.Exif()
    exif[0x0112] = 6
    return {
        "jpeg": encoded(image, "JPEG", quality=90, exif=exif, comment=b"a comment"),
        "progressive jpeg": encoded(image, "JPEG", progressive=True),
        "gray jpeg": encoded(image.convert("L"), "JPEG"),
        "cmyk jpeg": encoded(image.convert("CMYK"), "JPEG"),
        "jpeg with restarts": encoded(image, "JPEG", subsampling=0, restart_marker_blocks=3),
        "png": encoded(image, "PNG"),
        "palette png": encoded(image.quantize(16), "PNG"),
        "png with alpha": encoded(alpha, "PNG"),
        "sixteen-bit png": encoded(sixteen, "PNG"),
        "one-bit png": encoded(image.convert("1"), "PNG"),
        "gif": encoded(image.quantize(64), "GIF"),
        "animated gif": encoded(
            turned[0], "GIF", save_all=True, append_images=turned[1:], comment=b"a comment"
        ),
        "bmp": encoded(image, "BMP"),
        "palette bmp": encoded(image.quantize(16), "BMP"),
        "bmp with alpha": encoded(alpha, "BMP"),
        "webp": encoded(image, "WEBP"),
        "lossless webp": encoded(image, "WEBP", lossless=True),
        "webp with alpha": encoded(alpha, "WEBP"),
        "animated webp": encoded(image, "WEBP", save_all=True, append_images=[image.rotate(180)]),
    }


def flip_bits(source: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(source.choice([1, 1, 1, 2, 4, 16])):
        changed[source.randrange(len(changed))] ^= 1 << source.randrange(8)
    return bytes(changed)


def overwrite_the_head(source: random.Random, data: bytes) -> bytes:
    """Where sizes, flags and tables stand."""
    changed = bytearray(data)
    for _ in range(source.choice([1, 1, 2, 3])):
        size = source.choice([1, 2, 4])
        value = (source.choice(_NASTY) & (1 << 8 * size) - 1).to_bytes(size, source.choice(["big", "little"]))
        at = source.randrange(min(len(data) - size, 100))
        changed[at : at + size] = value
    return bytes(changed)


def truncate(source: random.Random, data: bytes) -> bytes:
    return data[: source.choice([source.randrange(len(data)), len(data) - source.randint(1, 16)])]


def lose_bytes(source: random.Random, data: bytes) -> bytes:
    start = source.randrange(len(data))
    return data[:start] + data[start + source.choice([1, 2, 16, 100]) :]


def repeat_bytes(source: random.Random, data: bytes) -> bytes:
    start, size = source.randrange(len(data)), source.choice([1, 2, 20, 200])
    return (
        data[: start + size]
        + data[start : start + size] * source.choice([1, 1, 10, 200])
        + data[start + size :]
    )


def insert_bytes(source: random.Random, data: bytes) -> bytes:
    start = source.randrange(len(data) + 1)
    return data[:start] + source.randbytes(source.choice([1, 8, 1000])) + data[start:]


def clear_bytes(source: random.Random, data: bytes) -> bytes:
    start = source.randrange(len(data))
    size = min(len(data) - start, source.choice([1, 4, 64]))
    return data[:start] + bytes([source.choice([0, 0xFF])]) * size + data[start + size :]


EDITS: list[Callable[[random.Random, bytes], bytes]] = [
    *[flip_bits, overwrite_the_head, flip_bits, overwrite_the_head],
    *[truncate, lose_bytes, repeat_bytes, insert_bytes, clear_bytes],
]


def sign_png(data: bytes) -> bytes:
    """Make the checksums of a PNG's chunks match their data again, as far as its chunks can be followed."""
    signed, at = bytearray(data), len(PNG_SIGNATURE)
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        end = at + 8 + length
        if end + 4 > len(data):
            break
        signed[end : end + 4] = struct.pack(">I", zlib.crc32(data[at + 4 : end]))
        at = end + 4
    return bytes(signed)


def mutants(count: int, seed: int) -> Iterator[Mutant]:
    """`count` mutants, the kinds in turn; each is decided by the seed and its number alone."""
    sound = sound_images()
    names = list(sound)
    for number in range(count):
        source = random.Random(f"{seed} {number}")
        name = names[number % len(names)]
        edit = source.choice(EDITS)
        data = edit(source, sound[name])
        if "png" in name and source.random() < 0.7:
            data = sign_png(data)
        yield Mutant(f"{number}: {name}, {edit.__name__}", data)
