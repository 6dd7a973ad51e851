"""Encoded images of every form, made by hand or by Pillow, and what they mean."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np

from tests.robustness.attacks.pictures import encoded, picture

PIXELS = np.asarray(picture())
HEIGHT, WIDTH = PIXELS.shape[:2]
JPEG, PNG, GIF = encoded(picture(), "JPEG"), encoded(picture(), "PNG"), encoded(picture().quantize(16), "GIF")
FRAME = JPEG.index(b"\xff\xc0")


def of_process(marker: int, *, precision: int = 8, components: int = 3) -> bytes:
    data = bytearray(JPEG)
    data[FRAME + 1], data[FRAME + 4], data[FRAME + 9] = marker, precision, components
    return bytes(data)


def rows_of(values: np.ndarray, bits: int) -> bytes:
    """Rows of numbers [H,W] of `bits`, the lowest row first, each filled up to 4 bytes."""
    rows = []
    for row in values[::-1]:
        digits = "".join(format(int(value), f"0{bits}b") for value in row) if bits < 16 else ""
        packed = (
            int(digits.ljust(-(-len(digits) // 8) * 8, "0"), 2).to_bytes(-(-len(digits) // 8), "big")
            if digits
            else b"".join(int(value).to_bytes(bits // 8, "little") for value in row)
        )
        rows.append(packed + bytes(-len(packed) % 4))
    return b"".join(rows)


def bmp(
    values: np.ndarray,
    bits: int,
    *,
    header: int = 40,
    compression: int = 0,
    masks: tuple[int, ...] = (),
    colours: np.ndarray | None = None,
    told_colours: int | None = None,
    gap: int = 0,
    offset: int | None = None,
    top_down: bool = False,
) -> bytes:
    """A BMP with everything that its header may say; `colours` are RGB [n,3]."""
    height, width = values.shape
    palette = b""
    if colours is not None:
        palette = b"".join(
            bytes(c[::-1]) + (b"" if header == 12 else b"\0") for c in colours.astype(np.uint8)
        )
    if header == 12:
        fields = struct.pack("<IHHHH", 12, width, height, 1, bits)
    else:
        count = len(colours) if colours is not None and told_colours is None else told_colours or 0
        fields = struct.pack(
            "<IiiHHIIiiII",
            header,
            width,
            -height if top_down else height,
            1,
            bits,
            compression,
            0,
            0,
            0,
            count,
            0,
        )
        fields = fields[: min(header, 40)]
    packed_masks = struct.pack(f"<{len(masks)}I", *masks)
    fields = (fields + packed_masks).ljust(header, b"\0")
    pixels = rows_of(values[::-1] if top_down else values, bits)
    start = 14 + len(fields) + len(palette) + gap
    file_header = struct.pack(
        "<2sIHHI", b"BM", start + len(pixels), 0, 0, start if offset is None else offset
    )
    return file_header + fields + palette + bytes(gap) + pixels


def packed(*bits: int) -> tuple[np.ndarray, tuple[int, ...], np.ndarray]:
    """The picture as numbers of so many bits for red, green and blue, the masks, and what the numbers mean."""
    values, masks, meant, shift = np.zeros((HEIGHT, WIDTH), np.int64), [], [], 0
    for channel, width in enumerate(bits):
        most = (1 << width) - 1
        part = PIXELS[..., channel].astype(np.int64) * most // 255
        values |= part << shift
        masks.append(most << shift)
        meant.append(part * 255 // most)
        shift += width
    return values, tuple(masks), np.stack(meant, -1)


def coloured(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices [H,W] of `count` colours, every one used, and the colours."""
    indices = np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH) * 7 % count
    return indices, np.random.default_rng(count).integers(0, 256, (count, 3))


TRUE = PIXELS[..., 2] + 256 * PIXELS[..., 1].astype(np.int64) + 65536 * PIXELS[..., 0].astype(np.int64)
PLAIN_555 = (TRUE >> 3 & 31) | (TRUE >> 11 & 31) << 5 | (TRUE >> 19 & 31) << 10
MEANT_555 = (PIXELS.astype(int) >> 3) * 255 // 31


def bmps() -> Iterator[tuple[str, bytes, np.ndarray]]:
    for header in (12, 16, 40, 52, 56, 64, 108, 124):
        yield f"24 bits, header of {header}", bmp(TRUE, 24, header=header), PIXELS
    yield "32 bits", bmp(TRUE | 0x55 << 24, 32), PIXELS
    yield "16 bits", bmp(PLAIN_555, 16), MEANT_555
    for bits in ((5, 6, 5), (5, 5, 5), (4, 4, 4), (2, 3, 1)):
        values, masks, meant = packed(*bits)
        yield f"16 bits, masks of {bits}", bmp(values, 16, compression=3, masks=masks), meant
        yield (
            f"16 bits, masks of {bits} in a longer header",
            bmp(values, 16, compression=3, masks=masks, header=108),
            meant,
        )
    for bits in ((8, 8, 8), (10, 10, 10), (11, 11, 10), (1, 12, 3)):
        values, masks, meant = packed(*bits)
        yield f"32 bits, masks of {bits}", bmp(values, 32, compression=3, masks=masks), meant
        yield f"32 bits, four masks of {bits}", bmp(values, 32, compression=6, masks=(*masks, 0)), meant
        yield (
            f"32 bits, masks of {bits}, top down",
            bmp(values, 32, compression=3, masks=masks, header=56, top_down=True),
            meant,
        )
    values, masks, meant = packed(8, 8, 8)
    yield "24 bits, masks", bmp(values, 24, compression=3, masks=masks, gap=3), meant
    for bits in (1, 2, 4, 8):
        for count in {2, 3, 15, 16, 200, 252, 256}:
            if count > 1 << bits:
                continue
            indices, colours = coloured(count)
            meant = colours[indices]
            yield f"{bits} bits, {count} colours", bmp(indices, bits, colours=colours), meant
            yield (
                f"{bits} bits, {count} colours, offset behind the header",
                bmp(indices, bits, colours=colours, offset=54),
                meant,
            )
            yield (
                f"{bits} bits, {count} colours, no offset",
                bmp(indices, bits, colours=colours, offset=0),
                meant,
            )
        indices, colours = coloured(1 << bits)
        yield (
            f"{bits} bits, colours not counted",
            bmp(indices, bits, colours=colours, told_colours=0),
            colours[indices],
        )
        yield (
            f"{bits} bits, a gap, top down",
            bmp(indices, bits, colours=colours, gap=10, top_down=True),
            colours[indices],
        )
        yield f"{bits} bits, OS/2", bmp(indices, bits, colours=colours, header=12), colours[indices]
        yield f"{bits} bits, later OS/2", bmp(indices, bits, colours=colours, header=64), colours[indices]
    indices, colours = coloured(300)
    yield "more colours than can be used", bmp(indices % 256, 8, colours=colours), colours[indices % 256]
    yield "the last row not filled up", bmp(TRUE[:, :47], 24)[:-3], PIXELS[:, :47]
