"""What an encoded image is by its first bytes: one of the formats that are decoded, or something else, by its name."""

from __future__ import annotations

import tensorflow as tf

from ...types import Tensor
from .formats.encoded import Encoded

_SAVE = ", not a JPEG, PNG, GIF, BMP or WebP: save it as a PNG or JPEG"
_DECODE = " in base64: send the bytes that it stands for"

# Offset, the bytes that stand there, and what the file is.
DECODED = [(0, b"\xff\xd8\xff"), (0, b"\x89PNG\r\n\x1a\n"), (0, b"GIF8"), (0, b"BM"), (8, b"WEBP")]
_OTHERS = [
    *[(0, magic, "a TIFF" + _SAVE) for magic in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")],
    *[(4, b"ftyp" + brand, "an AVIF" + _SAVE) for brand in (b"avif", b"avis")],
    *[(4, b"ftyp" + brand, "a HEIC" + _SAVE) for brand in (b"hei", b"hev", b"mif1", b"msf1")],
    (4, b"ftypcrx", "a raw file of a camera" + _SAVE),
    (4, b"ftyp", "a video" + _SAVE.replace("it", "a frame of it")),
    *[(0, magic, "a JPEG 2000" + _SAVE) for magic in (b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51")],
    *[(0, magic, "a JPEG XL" + _SAVE) for magic in (b"\0\0\0\x0cJXL ", b"\xff\x0a")],
    (0, b"\xff\xd8", "a damaged JPEG: send it whole"),
    *[(offset, b"<svg", "an SVG" + _SAVE) for offset in (0, 3)],
    (0, b"<?xml", "an SVG or other XML" + _SAVE),
    *[(0, magic, "an HTML page: does its address want a login?") for magic in (b"<!", b"<html", b"<HTML")],
    (0, b"%PDF", "a PDF" + _SAVE),
    (0, b"%!PS", "a PostScript" + _SAVE),
    (0, b"8BPS", "a Photoshop file (PSD)" + _SAVE),
    (0, b"gimp xcf", "a GIMP file (XCF)" + _SAVE),
    (0, b"\0\0\1\0", "an icon (ICO)" + _SAVE),
    *[(0, magic, "a Targa (TGA)" + _SAVE) for magic in (b"\0\0\2\0\0\0\0\0", b"\0\0\x0a\0\0\0\0\0")],
    (0, b"\0\0\2\0", "a cursor (CUR)" + _SAVE),
    (0, b"icns", "an icon (ICNS)" + _SAVE),
    (0, b"BA", "an OS/2 bitmap array" + _SAVE),
    (0, b"\x28\0\0\0", "a BMP without its file header (DIB)" + _SAVE),
    *[(0, b"P%d" % digit, "a Netpbm image (PBM, PGM, PPM or PAM)" + _SAVE) for digit in range(1, 8)],
    (0, b"qoif", "a QOI" + _SAVE),
    (0, b"DDS ", "a DDS" + _SAVE),
    (0, b"\x0a\x05\x01", "a PCX" + _SAVE),
    (0, b"\x01\xda", "an SGI image" + _SAVE),
    (0, b"v/1\x01", "an OpenEXR" + _SAVE),
    (0, b"#?RADIANCE", "a Radiance HDR" + _SAVE),
    (0, b"\x8aMNG", "an MNG" + _SAVE),
    (0, b"\x89PNG", "a PNG whose line ends were changed on the way: send it as binary"),
    (0, b"version https://git-lfs", "a pointer of Git LFS: bring the image by `git lfs pull`"),
    (0, b"\x93NUMPY", "a NumPy file: send its array as `images`"),
    (0, b"RIFF", "a RIFF file (a sound or a video)" + _SAVE),
    (0, b"PK\3\4", "a zip file: send the images in it"),
    (0, b"\x1f\x8b", "compressed by gzip: send what is in it"),
    (0, b"/9j/", "a JPEG" + _DECODE),
    (0, b"iVBOR", "a PNG" + _DECODE),
    (0, b"R0lGOD", "a GIF" + _DECODE),
    (0, b"UklGR", "a WebP" + _DECODE),
    (0, b"data:", "a data URI: send the bytes that it encodes"),
    *[(0, b"http" + rest, "an address: send the bytes of the file that it names") for rest in (b"://", b"s://")],
]  # fmt: skip


HEAD = max(offset + len(magic) for offset, magic in DECODED)
"""Bytes that tell whether a file is one of the formats that are decoded."""


def is_decoded(head: bytes) -> bool:
    """Tell the same outside the graph."""
    return any(head.startswith(magic, offset) for offset, magic in DECODED)


def kind_of(file: Encoded) -> Tensor:
    """Tell which of JPEG, PNG, GIF, BMP and WebP the file is, an int32 scalar from 0; refuse all others by name."""
    known = [*DECODED, *[(offset, magic) for offset, magic, _ in _OTHERS]]
    matches = file.has_each(known)
    place = tf.argmax(tf.concat([matches, [True]], axis=0), output_type=tf.int32)
    words = tf.constant([""] * len(DECODED) + [f" is {words}" for _, _, words in _OTHERS] + [""])[place]
    nothing = tf.equal(place, len(known))
    file.refuse_unless(~nothing, " is not a JPEG, PNG, GIF, BMP or WebP (", file.length, " bytes)")
    file.refuse_unless(place < len(DECODED), words)
    return file.judged(place)
