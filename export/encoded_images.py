"""Decode JPEG, PNG, GIF, BMP and WebP in the graph, measured before a pixel is allocated.

Each function builds ops for one encoded image, a scalar string. In a `tf.Graph` the operator == compares
objects: `tf.equal` compares values. Formats: JPEG (ITU-T T.81), PNG (ISO/IEC 15948, section 11.2.2),
GIF89a (sections 18 to 22), BMP (BITMAPINFOHEADER), WebP (RFC 9649, section 2).
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from export.networks.network import Tensor

_HEADER = 1078  # a BMP's headers and its largest colour table; the other formats need 30 bytes


def refuse_unless(condition: Tensor, *message: Tensor | str) -> tf.Operation:
    """Build an op that fails with INVALID_ARGUMENT and the joined message where `condition` is false."""
    parts = [part if isinstance(part, str) else tf.strings.as_string(part) for part in message]
    return tf.raw_ops.Assert(condition=condition, data=[tf.strings.join(parts)], summarize=1)


def check_size(height: Tensor, width: Tensor, max_pixels: int, what: Tensor | str) -> tf.Operation:
    """Build an op that refuses an image without pixels or with more than `max_pixels`; int64 scalars, in pixels."""
    some = refuse_unless((height > 0) & (width > 0), what, " has no pixels: it is ", width, "x", height)
    pixels = height * width
    # Sides are below 2^32, so their product may wrap: a wrapped one is below zero or its sides alone are too large.
    small = (height <= max_pixels) & (width <= max_pixels) & (pixels <= max_pixels)
    limit = refuse_unless(
        small, what, " is ", width, "x", height, " pixels (width x height): this model takes at most ",
        str(max_pixels), " pixels; send a smaller image, or export with a larger --max-pixels",
    )  # fmt: skip
    return tf.group(some, limit)


def decode(encoded: Tensor, max_pixels: int, what: Tensor | str) -> Tensor:
    """Decode one image to uint8 [H, W, 3] RGB.

    Alpha is dropped, 16 bits become 8, of an animation the first frame is taken.

    Args:
        encoded: scalar string, the file's bytes.
        max_pixels: an image with more is refused before it is decoded.
        what: names the image in error messages, such as "image 3".
    """
    header = tf.io.decode_raw(_padded(encoded, _HEADER), tf.uint8)
    formats: list[tuple[Tensor, Callable[[], Tensor]]] = [
        (_has(header, 0, b"\xff\xd8\xff"), lambda: _decode_jpeg(encoded, max_pixels, what)),
        (_has(header, 0, b"\x89PNG\r\n\x1a\n"), lambda: _decode_png(encoded, header, max_pixels, what)),
        (_has(header, 0, b"GIF8"), lambda: _decode_gif(encoded, header, max_pixels, what)),
        (_has(header, 0, b"BM"), lambda: _decode_bmp(encoded, header, max_pixels, what)),
        (
            _has(header, 0, b"RIFF") & _has(header, 8, b"WEBP"),
            lambda: _decode_webp(encoded, header, max_pixels, what),
        ),
    ]
    known = refuse_unless(
        tf.reduce_any(tf.stack([match for match, _ in formats])),
        what, " is not a JPEG, PNG, GIF, BMP or WebP (", tf.strings.length(encoded), " bytes)",
    )  # fmt: skip
    with tf.control_dependencies([known]):
        choice = tf.argmax(tf.stack([match for match, _ in formats]), output_type=tf.int32)
    image = tf.switch_case(choice, [build for _, build in formats])
    image.set_shape([None, None, 3])
    return image


def _padded(encoded: Tensor, length: int) -> Tensor:
    """The first `length` bytes, filled up with zeros: a short file is then refused by what it says, not by a slice."""
    return tf.strings.substr(
        tf.strings.join([tf.strings.substr(encoded, 0, length), "\0" * length]), 0, length
    )


def _has(header: Tensor, offset: int, magic: bytes) -> Tensor:
    return tf.reduce_all(tf.equal(header[offset : offset + len(magic)], tf.constant(list(magic), tf.uint8)))


def _unsigned(header: Tensor, offset: int, length: int, *, big_endian: bool = False) -> Tensor:
    """An unsigned integer of the header as int64."""
    data = tf.cast(header[offset : offset + length], tf.int64)
    weights = [256**i for i in range(length)]
    return tf.reduce_sum(data * tf.constant(weights[::-1] if big_endian else weights, tf.int64))


def _decode_jpeg(encoded: Tensor, max_pixels: int, what: Tensor | str) -> Tensor:
    shape = tf.image.extract_jpeg_shape(encoded, output_type=tf.int32)
    height, width = tf.cast(shape[0], tf.int64), tf.cast(shape[1], tf.int64)
    with tf.control_dependencies([check_size(height, width, max_pixels, what)]):
        # The accurate transform is what Pillow and browsers use.
        return tf.io.decode_jpeg(tf.identity(encoded), channels=3, dct_method="INTEGER_ACCURATE")


def _decode_png(encoded: Tensor, header: Tensor, max_pixels: int, what: Tensor | str) -> Tensor:
    width = _unsigned(header, 16, 4, big_endian=True)
    height = _unsigned(header, 20, 4, big_endian=True)
    with tf.control_dependencies([check_size(height, width, max_pixels, what)]):
        return tf.io.decode_png(tf.identity(encoded), channels=3)


def _decode_gif(encoded: Tensor, header: Tensor, max_pixels: int, what: Tensor | str) -> Tensor:
    """Only the first frame is handed on: the decoder would unpack every frame of the file before it drops them."""
    flags = tf.cast(header[10], tf.int32)
    start = 13 + _colour_table_bytes(flags)
    data = tf.io.decode_raw(encoded, tf.uint8)
    frame, end = _first_gif_frame(data, start, what)
    height, width = _unsigned(frame, 7, 2), _unsigned(frame, 5, 2)
    with tf.control_dependencies([check_size(height, width, max_pixels, what)]):
        alone = tf.strings.join([tf.strings.substr(encoded, 0, end), ";"])
    frames = tf.io.decode_gif(alone)
    return frames[0]


def _colour_table_bytes(flags: Tensor) -> Tensor:
    present = tf.bitwise.bitwise_and(flags, 0x80) > 0
    return tf.where(present, 3 * tf.bitwise.left_shift(2, tf.bitwise.bitwise_and(flags, 7)), 0)


def _first_gif_frame(data: Tensor, start: Tensor, what: Tensor | str) -> tuple[Tensor, Tensor]:
    """Walk the blocks from `start` to the first image: its 10-byte descriptor, and the offset behind its data."""
    size = tf.size(data)

    def byte(position: Tensor) -> Tensor:
        inside = refuse_unless(position < size, what, " is a truncated GIF")
        with tf.control_dependencies([inside]):
            return tf.cast(data[tf.minimum(position, size - 1)], tf.int32)

    def skip_data_blocks(position: Tensor) -> Tensor:
        """From a length byte to behind the terminator."""

        def step(position: Tensor, _: Tensor) -> tuple[Tensor, Tensor]:
            length = byte(position)
            return position + 1 + length, length

        return tf.while_loop(
            lambda _, length: length > 0, step, (position, tf.constant(1)), parallel_iterations=1
        )[0]

    def is_extension(position: Tensor) -> Tensor:
        return tf.equal(byte(position), 0x21)

    descriptor = tf.while_loop(
        is_extension, lambda position: (skip_data_blocks(position + 2),), (start,), parallel_iterations=1
    )[0]
    found = refuse_unless(tf.equal(byte(descriptor), 0x2C), what, " is a GIF without an image")
    with tf.control_dependencies([found]):
        flags = byte(descriptor + 9)
    with tf.control_dependencies([flags]):  # the descriptor is there to its last byte
        frame = data[descriptor : descriptor + 10]
    return frame, skip_data_blocks(descriptor + 10 + _colour_table_bytes(flags) + 1)


def _decode_bmp(encoded: Tensor, header: Tensor, max_pixels: int, what: Tensor | str) -> Tensor:
    width, raw_height = _unsigned(header, 18, 4), _unsigned(header, 22, 4)
    height = tf.where(raw_height < 2**31, raw_height, 2**32 - raw_height)  # negative: rows run top down
    bits, compression = _unsigned(header, 28, 2), _unsigned(header, 30, 4)
    known = refuse_unless(
        (_unsigned(header, 14, 4) >= 40)
        & tf.reduce_any(tf.equal(bits, tf.constant([8, 24, 32], tf.int64)))
        & (tf.equal(compression, 0) | (tf.equal(compression, 3) & tf.equal(bits, 32))),
        what, " is a BMP of a kind that is not read (only uncompressed ones of 8, 24 or 32 bits are): send a PNG",
    )  # fmt: skip
    row = (width * bits + 31) // 32 * 4
    length = tf.cast(tf.strings.length(encoded), tf.int64)
    with tf.control_dependencies([known, check_size(height, width, max_pixels, what)]):
        complete = refuse_unless(
            _unsigned(header, 10, 4) + row * height <= length, what, " is a truncated BMP"
        )
    with tf.control_dependencies([complete]):
        pixels = tf.io.decode_bmp(tf.identity(encoded), channels=0)
    return tf.cond(tf.equal(bits, 8), lambda: _look_up_bmp_colours(pixels, header), lambda: pixels[..., :3])


def _look_up_bmp_colours(indices: Tensor, header: Tensor) -> Tensor:
    """The decoder returns the indices of a palette image as if they were grays."""
    start = tf.cast(14 + _unsigned(header, 14, 4), tf.int32)
    table = tf.reshape(tf.pad(header, [[0, 1024]])[start : start + 1024], [256, 4])
    return tf.gather(table[:, 2::-1], tf.cast(indices[..., 0], tf.int32))


def _decode_webp(encoded: Tensor, header: Tensor, max_pixels: int, what: Tensor | str) -> Tensor:
    lossy = (_unsigned(header, 26, 2) & 0x3FFF, _unsigned(header, 28, 2) & 0x3FFF)
    packed = _unsigned(header, 21, 4)
    lossless = ((packed & 0x3FFF) + 1, (tf.bitwise.right_shift(packed, 14) & 0x3FFF) + 1)
    extended = (_unsigned(header, 24, 3) + 1, _unsigned(header, 27, 3) + 1)
    is_extended, is_lossless = _has(header, 12, b"VP8X"), _has(header, 12, b"VP8L")
    width, height = (
        tf.where(is_extended, of_extended, tf.where(is_lossless, of_lossless, of_lossy))
        for of_extended, of_lossless, of_lossy in zip(extended, lossless, lossy, strict=True)
    )
    with tf.control_dependencies([check_size(height, width, max_pixels, what)]):
        return tf.io.decode_image(tf.identity(encoded), channels=0, expand_animations=False)[..., :3]
