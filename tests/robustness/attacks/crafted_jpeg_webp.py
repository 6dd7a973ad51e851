"""JPEG and WebP made by hand to hurt a decoder: each asks for more than its few bytes pay for."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from PIL import Image

from tests.robustness.attacks.pictures import encoded, picture


def segment(marker: int, data: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data


def jpeg_parts(data: bytes) -> list[bytes]:
    """Split a JPEG into SOI, its segments (a scan with its pixels), and EOI."""
    starts = [
        at
        for at in range(len(data) - 1)
        if data[at] == 0xFF and data[at + 1] not in (0, 0xFF) and not 0xD0 <= data[at + 1] <= 0xD7
    ]
    return [data[start:end] for start, end in zip(starts, [*starts[1:], len(data)], strict=True)]


def with_segments(data: bytes, *segments: bytes) -> bytes:
    """The same JPEG with segments behind SOI."""
    return data[:2] + b"".join(segments) + data[2:]


def repeated_scan(times: int, size: tuple[int, int] = (48, 40)) -> bytes:
    """A progressive JPEG whose last scan comes again and again."""
    parts = jpeg_parts(encoded(Image.new("RGB", size, (90, 120, 30)), "JPEG", progressive=True))
    return b"".join(parts[:-1]) + parts[-2] * times + parts[-1]


def patched(data: bytes, marker: int, offset: int, patch: bytes) -> bytes:
    """Overwrite bytes of the first segment with that marker."""
    at = data.index(bytes([0xFF, marker])) + offset
    return data[:at] + patch + data[at + len(patch) :]


def jpeg_images() -> Iterator[tuple[str, bytes]]:
    baseline = encoded(picture(), "JPEG", quality=90)
    yield "jpeg of 5000 scans", repeated_scan(5000)
    yield "jpeg of 20000 scans at 2000x2000", repeated_scan(20000, (2000, 2000))
    yield "jpeg of 20 scans at 64x64", repeated_scan(10, (64, 64))
    parts = jpeg_parts(baseline)
    yield "jpeg of 1000 whole scans", b"".join(parts[:-1]) + parts[-2] * 1000 + parts[-1]
    hidden = segment(0xFE, b"\xff\xd9\xff\xd8")
    yield (
        "jpeg of 5000 scans behind a false end",
        repeated_scan(5000).replace(b"\xff\xda", hidden + b"\xff\xda"),
    )
    yield "jpeg of 65535x65535", patched(baseline, 0xC0, 5, b"\xff\xff\xff\xff")
    yield "jpeg of no height", patched(baseline, 0xC0, 5, b"\0\0")
    yield "jpeg of no width", patched(baseline, 0xC0, 7, b"\0\0")
    yield "jpeg with 100000 comments", with_segments(baseline, segment(0xFE, b"") * 100_000)
    profile = [segment(0xE2, b"ICC_PROFILE\0" + bytes([n, 255]) + bytes(60_000)) for n in range(1, 256)]
    yield "jpeg with a colour profile of 15 MB", with_segments(baseline, *profile)
    yield "jpeg with an unfinished colour profile", with_segments(baseline, profile[200])
    loop = b"Exif\0\0II*\0\x08\0\0\0" + b"\1\0" + struct.pack("<HHII", 0x8769, 4, 1, 8) + struct.pack("<I", 8)
    yield "jpeg whose exif points to itself", with_segments(baseline, segment(0xE1, loop))
    many = b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + bytes(1000)
    yield "jpeg whose exif claims 65535 entries", with_segments(baseline, segment(0xE1, many))
    thumbnail = segment(0xE1, b"Exif\0\0" + repeated_scan(400)[:60_000])
    yield "jpeg whose thumbnail has 400 scans", with_segments(baseline, thumbnail)
    yield "jpeg with 10 MB behind its end", baseline + bytes([0xFF, 0xDA, 0, 2]) * 2_500_000
    yield "jpeg of 12 bits", patched(baseline, 0xC0, 4, b"\x0c")
    yield "jpeg without components", patched(baseline, 0xC0, 9, b"\0")
    yield "jpeg of 255 components", patched(baseline, 0xC0, 9, b"\xff")
    yield "jpeg of sampling factors 4x4", patched(baseline, 0xC0, 11, b"\x44")
    yield "jpeg of sampling factors 15x15", patched(baseline, 0xC0, 11, b"\xff")
    for name, marker in (("lossless", 0xC3), ("arithmetic", 0xC9), ("hierarchical", 0xC5)):
        yield f"jpeg that is {name}", baseline.replace(b"\xff\xc0", bytes([0xFF, marker]))
    yield "jpeg with an impossible huffman table", patched(baseline, 0xC4, 5, b"\xff" * 16)
    yield "jpeg with quantisation by zero", patched(baseline, 0xDB, 5, bytes(64))
    yield "jpeg of markers alone", baseline[:2] + b"\xff" * 100_000
    yield (
        "jpeg of restart markers alone",
        (
            b"".join(parts[:-2])
            + segment(0xDD, b"\0\1")
            + parts[-2][:14]
            + b"".join(bytes([0xFF, 0xD0 + 3 * n % 8]) for n in range(100_000))
            + parts[-1]
        ),
    )
    yield "jpeg without an end", baseline[:-2]


def riff(*chunks: bytes) -> bytes:
    body = b"WEBP" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def webp_chunk(kind: bytes, data: bytes) -> bytes:
    return kind + struct.pack("<I", len(data)) + data + bytes(len(data) % 2)


def extended(flags: int, width: int, height: int) -> bytes:
    sides = struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    return webp_chunk(b"VP8X", struct.pack("<I", flags) + sides)


def animation(frames: int, size: tuple[int, int]) -> bytes:
    """An animated WebP without alpha: grey frames of that size."""
    still = encoded(Image.new("RGB", size, (90, 120, 30)), "WEBP")[12:]
    sides = struct.pack("<I", size[0] - 1)[:3] + struct.pack("<I", size[1] - 1)[:3]
    one = webp_chunk(b"ANMF", bytes(6) + sides + bytes(4) + still)
    return riff(extended(0x02, *size), webp_chunk(b"ANIM", bytes(6)), one * frames)


def webp_images() -> Iterator[tuple[str, bytes]]:
    lossy, lossless = encoded(picture(), "WEBP"), encoded(picture(), "WEBP", lossless=True)
    yield "webp animation without alpha", animation(3, (96, 64))
    yield "webp animation of 2000 frames", animation(2000, (48, 40))
    yield "webp animation without a frame", animation(0, (48, 40))
    yield "webp of 16777216x16777216", riff(extended(0, 1 << 24, 1 << 24), lossy[12:])
    yield "webp of 1x1 around a picture", riff(extended(0, 1, 1), lossy[12:])
    yield (
        "webp animation of 1x1 around a picture",
        riff(
            extended(0x02, 1, 1),
            webp_chunk(b"ANIM", bytes(6)),
            webp_chunk(b"ANMF", bytes(6) + b"\x2f\0\0\x27\0\0" + bytes(4) + lossy[12:]),
        ),
    )
    yield "webp whose alpha hides its size", riff(webp_chunk(b"ALPH", bytes(30)), lossy[12:])
    yield "webp of 16383x16383", lossy[:26] + b"\xff\x3f\xff\x3f" + lossy[30:]
    yield "lossless webp of 16384x16384", lossless[:21] + b"\xff\xff\xff\x0f" + lossless[25:]
    yield "webp of no width", lossy[:26] + b"\0\0" + lossy[28:]
    yield "webp of no bytes", b"RIFF\0\0\0\0WEBP"
    yield "webp of an unknown chunk", riff(webp_chunk(b"JUNK", bytes(100)), lossy[12:])
    yield "webp cut off", lossy[:-30]
