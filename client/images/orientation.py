"""The orientation that a camera recorded, read from a file's metadata alone.

One rule, Pillow's `ImageOps.exif_transpose`, holds for paths, bytes and Pillow images: an image is shown upright as the
EXIF tag 0x0112 says, and where EXIF has no such tag as XMP's tiff:Orientation says. Sources: EXIF 2.32, XMP part 3,
JPEG (ITU-T T.81, annex B), PNG (third edition: eXIf, iTXt; older writers put EXIF into a text, as ImageMagick does),
WebP (RFC 9649). Anything odd reads as upright: the server decodes, and judges, the file.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator

UPRIGHT = 1
_ORIENTATION = 0x0112
_NUMBERS = {1: "B", 3: "H", 4: "I", 8: "h", 9: "i"}  # how struct reads the types of TIFF
_IN_XMP = re.compile(rb'tiff:Orientation(?:="|>)([0-9])')
_XMP_SEGMENT = b"http://ns.adobe.com/xap/1.0/\0"
_LONGEST_TEXT = 1 << 20  # bytes that are unpacked of one


def orientation(data: bytes) -> int:
    """Tell the orientation, 1 to 8, of an encoded image; 1, upright, where there is none."""
    found: dict[str, int] = {}
    try:
        for kind, metadata in _metadata(data):
            value = _read_tag(metadata) if kind == "exif" else _read_xmp(metadata)
            if value is not None:
                found.setdefault(kind, value)
    except (struct.error, IndexError):  # the file ends early
        pass
    value = found.get("exif", found.get("xmp", UPRIGHT))
    return value if 1 <= value <= 8 else UPRIGHT


def _metadata(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Walk the file: "exif" with a TIFF structure, "xmp" with XML."""
    if data.startswith(b"\xff\xd8"):
        return _in_jpeg(data)
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return _in_png(data)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _in_webp(data)
    return iter(())


def _in_jpeg(data: bytes) -> Iterator[tuple[str, bytes]]:
    at = 2
    while (at := data.find(b"\xff", at)) >= 0:  # decoders pass over what is no marker
        marker = data[at + 1]
        if marker == 0xFF:  # padding
            at += 1
        elif marker in (0x00, 0x01) or 0xD0 <= marker <= 0xD8:  # stand alone
            at += 2
        elif marker in (0xDA, 0xD9):  # the image begins, or ends
            return
        else:
            (length,) = struct.unpack_from(">H", data, at + 2)
            segment = data[at + 4 : at + 2 + length]
            if marker == 0xE1 and segment.startswith(b"Exif\0\0"):
                yield "exif", segment[6:]
            elif marker == 0xE1 and segment.startswith(_XMP_SEGMENT):
                yield "xmp", segment[len(_XMP_SEGMENT) :]
            at += 2 + length


def _in_png(data: bytes) -> Iterator[tuple[str, bytes]]:
    at, kind = 8, b""
    while kind != b"IEND":
        length, kind = struct.unpack_from(">I4s", data, at)
        chunk = data[at + 8 : at + 8 + length]
        if kind == b"eXIf":
            yield "exif", chunk.removeprefix(b"Exif\0\0")
        elif kind in (b"tEXt", b"zTXt", b"iTXt"):
            keyword, _, rest = chunk.partition(b"\0")
            text = _unpacked(kind, rest)
            if keyword == b"XML:com.adobe.xmp":
                yield "xmp", text
            elif keyword == b"Raw profile type exif":
                # A line with its name, one with its length, then its bytes in hexadecimal.
                digits = b"".join(text.split(b"\n")[3:])
                yield "exif", _from_hex(digits).removeprefix(b"Exif\0\0")
        at += 12 + length


def _unpacked(kind: bytes, rest: bytes) -> bytes:
    """The text of a chunk behind its keyword."""
    is_packed = kind == b"zTXt"
    if kind == b"iTXt":
        is_packed = rest[:1] == b"\1"
        rest = rest[:1] + rest[2:].split(b"\0", 2)[-1]  # behind method, language and translated keyword
    text = rest if kind == b"tEXt" else rest[1:]
    if not is_packed:
        return text
    try:
        return zlib.decompressobj().decompress(text, _LONGEST_TEXT)
    except zlib.error:
        return b""


def _from_hex(digits: bytes) -> bytes:
    try:
        return bytes.fromhex(digits.decode("ascii"))
    except ValueError:
        return b""


def _in_webp(data: bytes) -> Iterator[tuple[str, bytes]]:
    at = 12
    while at < len(data):
        kind, length = struct.unpack_from("<4sI", data, at)
        if kind == b"EXIF":
            yield "exif", data[at + 8 : at + 8 + length].removeprefix(b"Exif\0\0")
        elif kind == b"XMP ":
            yield "xmp", data[at + 8 : at + 8 + length]
        at += 8 + length + length % 2


def _read_xmp(xml: bytes) -> int | None:
    match = _IN_XMP.search(xml)
    return int(match[1]) if match else None


def _read_tag(tiff: bytes) -> int | None:
    """Read the orientation from the first directory of a TIFF structure; None where it has none."""
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        return None
    try:
        (directory,) = struct.unpack_from(order + "I", tiff, 4)
        (entries,) = struct.unpack_from(order + "H", tiff, directory)
        for entry in range(entries):
            at = directory + 2 + 12 * entry
            tag, kind = struct.unpack_from(order + "HH", tiff, at)
            if tag == _ORIENTATION and kind in _NUMBERS:
                return int(struct.unpack_from(order + _NUMBERS[kind], tiff, at + 8)[0])
    except struct.error:  # it ends early
        pass
    return None
