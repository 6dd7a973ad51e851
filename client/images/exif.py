"""The orientation that a camera recorded, read from the file's header alone.

Sources: EXIF 2.32 (the TIFF tag 0x0112), JPEG (ITU-T T.81, annex B), PNG (third edition, the eXIf chunk), WebP
container specification (the EXIF chunk). Anything odd reads as "upright": the server decodes, and judges, the file.
"""

from __future__ import annotations

import struct

UPRIGHT = 1
_ORIENTATION = 0x0112
_SHORT = 3


def orientation(data: bytes) -> int:
    """Tell the EXIF orientation, 1 to 8, of an encoded image; 1, upright, where there is none."""
    try:
        if data.startswith(b"\xff\xd8"):
            tiff = _find_in_jpeg(data)
        elif data.startswith(b"\x89PNG\r\n\x1a\n"):
            tiff = _find_in_png(data)
        elif data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            tiff = _find_in_webp(data)
        else:
            return UPRIGHT
        value = _read_tag(tiff) if tiff else UPRIGHT
    except (struct.error, IndexError):  # the file ends early
        return UPRIGHT
    return value if 1 <= value <= 8 else UPRIGHT


def _find_in_jpeg(data: bytes) -> bytes | None:
    at = 2
    while data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # padding
            at += 1
        elif marker == 0x01 or 0xD0 <= marker <= 0xD8:  # stand alone
            at += 2
        elif marker in (0xDA, 0xD9):  # the image begins, or ends
            return None
        else:
            (length,) = struct.unpack_from(">H", data, at + 2)
            if marker == 0xE1 and data[at + 4 : at + 10] == b"Exif\0\0":
                return data[at + 10 : at + 2 + length]
            at += 2 + length
    return None


def _find_in_png(data: bytes) -> bytes | None:
    at = 8
    while True:
        length, kind = struct.unpack_from(">I4s", data, at)
        if kind == b"eXIf":
            return data[at + 8 : at + 8 + length]
        if kind == b"IEND":
            return None
        at += 12 + length


def _find_in_webp(data: bytes) -> bytes | None:
    at = 12
    while True:
        kind, length = struct.unpack_from("<4sI", data, at)
        if kind == b"EXIF":
            return data[at + 8 : at + 8 + length].removeprefix(b"Exif\0\0")
        at += 8 + length + length % 2


def _read_tag(tiff: bytes) -> int:
    """Read the orientation from the first directory of a TIFF structure."""
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        return UPRIGHT
    (directory,) = struct.unpack_from(order + "I", tiff, 4)
    (entries,) = struct.unpack_from(order + "H", tiff, directory)
    for entry in range(entries):
        tag, kind = struct.unpack_from(order + "HH", tiff, directory + 2 + 12 * entry)
        if tag == _ORIENTATION and kind == _SHORT:
            return int(struct.unpack_from(order + "H", tiff, directory + 2 + 12 * entry + 8)[0])
    return UPRIGHT
