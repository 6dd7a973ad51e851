"""PNG, GIF and BMP made by hand to hurt a decoder: each asks for more than its few bytes pay for."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from tests.robustness.attacks.pictures import encoded, picture

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def chunk(kind: bytes, data: bytes, checksum: int | None = None) -> bytes:
    crc = zlib.crc32(kind + data) if checksum is None else checksum
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)


def png(
    *before: bytes,
    size: tuple[int, int] = (40, 30),
    kind: tuple[int, int, int] = (8, 2, 0),
    pixels: bytes | None = None,
    after: bytes = b"",
) -> bytes:
    """A PNG with chunks before and after its pixels; `kind` is depth, colour type and interlacing."""
    width, height = size
    depth, colour, interlacing = kind
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    if pixels is None:
        row = 1 + (width * depth * channels + 7) // 8
        pixels = zlib.compress(bytes(2 * height * row if interlacing else height * row))
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlacing)
    return b"".join(
        [PNG_SIGNATURE, chunk(b"IHDR", header), *before, chunk(b"IDAT", pixels), after, chunk(b"IEND", b"")]
    )


ZEROS = zlib.compress(bytes(7_999_000), 9)  # just under what libpng unpacks of a text


def png_images() -> Iterator[tuple[str, bytes]]:
    text_bomb = chunk(b"zTXt", b"Comment\0\0" + ZEROS)
    yield "png of 50000x50000", png(size=(50000, 50000), pixels=zlib.compress(bytes(10000)))
    yield "png whose size overflows", png(size=(2**31 - 1, 2**31 - 1), pixels=b"")
    yield "png of no width", png(size=(0, 30))
    yield "png of no height", png(size=(40, 0))
    yield "png of 4194304x1", png(size=(4194304, 1))
    yield "png of 1x4194304", png(size=(1, 4194304))
    yield "png with 1000 texts of 8 MB", png(text_bomb * 1000)
    yield "png with 1000 texts of 8 MB behind its pixels", png(after=text_bomb * 1000)
    international = chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + ZEROS)
    yield "png with 1000 international texts of 8 MB", png(international * 1000)
    yield "png with a colour profile of zeros", png(chunk(b"iCCP", b"p\0\0" + ZEROS))
    yield "png with a false colour profile", png(chunk(b"iCCP", b"p\0\0" + zlib.compress(b"no profile")))
    yield "png with 256 MB of surplus pixels", png(size=(8, 8), pixels=zlib.compress(bytes(1 << 28), 1))
    yield "png with too few pixels", png(pixels=zlib.compress(bytes(100)))
    yield "png in 100000 empty chunks", png(after=chunk(b"IDAT", b"") * 100_000)
    uneven = b"".join(chunk(b"tEXt", b"k\0" + bytes(1 + n % 2)) for n in range(100_000))
    yield "png with 100000 uneven texts", png(uneven)
    yield "png with 100000 bad checksums", png(chunk(b"tEXt", b"k\0v", checksum=0) * 100_000)
    yield "png with a bad checksum of its pixels", png()[:-20] + b"\0\0\0\0" + png()[-16:]
    yield "png with a palette missing", png(kind=(8, 3, 0))
    yield (
        "png with indices beyond its palette",
        png(chunk(b"PLTE", bytes(6)), kind=(8, 3, 0), pixels=zlib.compress(bytes([0] + [255] * 40) * 30)),
    )
    yield "png of 16 bits, interlaced, with alpha", png(kind=(16, 6, 1))
    yield "png of 1 bit, interlaced", png(kind=(1, 0, 1))
    yield "png of an unknown depth", png(kind=(3, 2, 0))
    yield "png without an end", png()[:-12]
    yield "png without a header", PNG_SIGNATURE + png()[33:]
    yield "png with two headers", png(png()[8:33])
    frames = b"".join(
        chunk(b"fcTL", struct.pack(">7I", 2 * n, 40, 30, 0, 0, 0, 0)[:26])
        + chunk(b"fdAT", struct.pack(">I", 2 * n + 1) + zlib.compress(bytes(121 * 30)))
        for n in range(2000)
    )
    yield "png of 2000 frames", png(after=frames)
    yield "png with a chunk of 4 GB", png(b"\xff\xff\xff\xfftEXt")


def gif(
    frames: bytes, size: tuple[int, int] = (1, 1), colours: bytes = bytes([9, 9, 9, 200, 100, 0])
) -> bytes:
    """A GIF; without colours it has no table of them."""
    flags = 0x80 if colours else 0
    return b"GIF89a" + struct.pack("<HHBBB", *size, flags, 0, 0) + colours + frames + b";"


def frame(
    width: int = 1, height: int = 1, *, data: bytes = b"\x02\x02\x44\x01\0", at: tuple[int, int] = (0, 0)
) -> bytes:
    return b"\x2c" + struct.pack("<HHHHB", *at, width, height, 0) + data


def comment(blocks: bytes) -> bytes:
    return b"\x21\xfe" + blocks + b"\0"


def gif_images() -> Iterator[tuple[str, bytes]]:
    sound = encoded(picture().quantize(16), "GIF")
    yield "gif of 10000 frames", gif(frame() * 10_000)
    yield "gif of 10000 frames of 65535x65535", gif(frame() + frame(65535, 65535) * 10_000)
    yield "gif of 65535x65535", gif(frame(65535, 65535))
    yield "gif of no width", gif(frame(0, 1))
    yield "gif of no height", gif(frame(1, 0))
    yield "gif of 65535x65 with one pixel in it", gif(frame(65535, 64))
    uneven = bytes([1, 7, 2, 7, 7]) * 100_000
    yield "gif with 200000 uneven blocks", gif(comment(uneven) + frame())
    yield "gif with 200000 blocks of a byte", gif(comment(bytes([1, 7]) * 200_000) + frame())
    yield "gif with 100000 comments", gif(comment(b"") * 100_000 + frame())
    yield "gif whose pixels are 200000 uneven blocks", gif(frame(data=b"\x02\x02\x44\x01" + uneven + b"\0"))
    yield "gif without colours", gif(frame(), colours=b"")
    yield "gif with colours beyond its table", gif(frame(data=b"\x08\x05\0\xfe\xfd\xfb\x0a\0"))
    for bits in (0, 1, 12, 255):
        yield f"gif of code size {bits}", gif(frame(data=bytes([bits]) + b"\x02\x44\x01\0"))
    yield "gif whose frame lies outside the screen", gif(frame(at=(60000, 60000)))
    yield "gif without an image", gif(b"")
    yield "gif of an unknown block", gif(b"\x99" * 1000)
    yield "gif whose comment never ends", gif(b"\x21\xfe" + b"\xff" + bytes([7]) * 255)
    yield "gif cut off in its pixels", sound[:-40]


def bmp(
    width: int = 24, height: int = 20, *, bits: int = 24, compression: int = 0, header: int = 40, **more: int
) -> bytes:
    """A BMP of zeros; `more` may set `offset` (of the pixels) and `claimed` (size of the header)."""
    colours = 1024 if bits == 8 else 0
    offset = more.get("offset", 14 + header + colours)
    body = struct.pack("<IIIHHIIIIII", header, 0, 0, 1, bits, compression, 0, 0, 0, 0, 0)
    body = struct.pack("<I", more.get("claimed", header)) + struct.pack("<II", width, height) + body[12:]
    rows = bytes(min((width * bits + 31) // 32 * 4 * min(height, 2**32 - height), 100_000))
    return struct.pack("<2sIHHI", b"BM", 0, 0, 0, offset) + body + bytes(header - 40 + colours) + rows


def bmp_images() -> Iterator[tuple[str, bytes]]:
    yield "bmp of 2147483647x1", bmp(2**31 - 1, 1)
    yield "bmp of negative width", bmp(2**32 - 24)
    yield "bmp of height -2147483648", bmp(1, 2**31)
    yield "bmp of no width", bmp(0)
    yield "bmp from top to bottom", bmp(24, 2**32 - 20)
    yield "bmp of 8 bits with the longest header", bmp(bits=8, header=124)
    yield "bmp with a header of 4 GB", bmp(claimed=2**32 - 1)
    yield "bmp of 8 bits with a header of 4 GB", bmp(bits=8, claimed=2**32 - 1)
    yield "bmp with its pixels at 4 GB", bmp(offset=2**32 - 1)
    yield "bmp with its pixels in its header", bmp(offset=0)
    yield "bmp with 10 MB behind its pixels", bmp() + bytes(10_000_000)
    for bits in (0, 1, 4, 16, 65535):
        yield f"bmp of {bits} bits", bmp(bits=bits)
    yield "bmp that is run-length encoded", bmp(bits=8, compression=1)
    yield "bmp cut off", bmp()[:-1]
