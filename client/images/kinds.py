"""What is given as an image and is none that the server reads: its name, and what to do, off its first bytes."""

from __future__ import annotations

import re

_READ = re.compile(
    rb"\xff\xd8\xff|\x89PNG\r\n\x1a\n|GIF8[79]a|RIFF.{4}WEBP"
    rb"|BM(?:.{12}[^\0]\0\0\0|.{0,15}\Z)",  # with its header's size, unlike a text that begins so
    re.DOTALL,
)
_CONVERT = ": save it as a PNG or JPEG, or open it with Pillow and pass that image"
# Compiled when one is first matched, not whenever the package is imported.
_OTHERS = (
    (rb"II[*+]\0|MM\0[*+]", "a TIFF" + _CONVERT),
    (rb".{4}ftypavi[fs]", "an AVIF" + _CONVERT),
    (rb".{4}ftyp(?:hei|hev|mif1|msf1)", "a HEIC" + _CONVERT + " (the package pillow-heif reads it)"),
    (rb".{4}ftypcrx", "a camera's raw file: develop it to a JPEG"),
    (rb".{4}ftyp", "a video: pass its frames as arrays"),
    (rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51", "a JPEG 2000" + _CONVERT),
    (rb"\0\0\0\x0cJXL |\xff\x0a", "a JPEG XL: save it as a PNG or JPEG"),
    (rb"(?:\xef\xbb\xbf)?\s*<svg", "an SVG: draw it as a PNG"),
    (rb"(?:\xef\xbb\xbf)?\s*<\?xml", "an SVG or other XML: draw it as a PNG"),
    (rb"(?i:\s*<!doctype|\s*<html)", "an HTML page: does its address want a login?"),
    (rb"%PDF", "a PDF: draw its page as a PNG"),
    (rb"%!PS", "a PostScript: draw its page as a PNG"),
    (rb"8BPS", "a Photoshop file (PSD)" + _CONVERT),
    (rb"\0\0[\x02\x0a]\0{5}", "a Targa (TGA)" + _CONVERT),
    (rb"\x0a\x05\x01", "a PCX" + _CONVERT),
    (rb"DDS ", "a DDS" + _CONVERT),
    (rb"\x01\xda", "an SGI image" + _CONVERT),
    (rb"\0\0[\x01\x02]\0", "an icon (ICO)" + _CONVERT),
    (rb"\x28\0\0\0", "a BMP without its file header (DIB)" + _CONVERT),
    (rb"P[1-7]\s", "a Netpbm image (PBM, PGM, PPM or PAM)" + _CONVERT),
    (rb"\x93NUMPY", "a NumPy file: pass numpy.load() of it"),
    (rb"PK\x03\x04", "a zip file: pass the images in it"),
    (rb"\x1f\x8b", "compressed by gzip: unpack it"),
    (
        rb"v/1\x01|#\?RADIANCE|#\?RGBE",
        "an image of high dynamic range: map its values to 8 bits, and pass those",
    ),
    (rb"qoif", "a QOI" + _CONVERT),
    (rb".{128}DICM", "a DICOM: pass its pixels, scaled to 8 bits, as an array"),
    (rb"SIMPLE  =", "a FITS: pass its pixels, scaled to 8 bits, as an array"),
    (rb"\x89HDF", "an HDF5 file: pass an image in it, as an array"),
    (rb"version https://git-lfs", "a pointer of Git LFS: bring the image by `git lfs pull`"),
    (rb"\s*[{\[]", "JSON: does it say an error?"),
    (rb"\x89PNG", "a PNG whose line ends were changed on the way: transfer it as binary"),
    (rb"\xef\xbf\xbd", "bytes that were read as text on the way: they are lost, read the file as binary"),
)
_SHIFTED = re.compile(rb"(?:\xef\xbb\xbf|\s)+(?=\xff\xd8\xff|\x89PNG|GIF8|RIFF)")
_TEXTS = (
    (r"(?i)data:", "is a data URI: pass the bytes in it, base64.b64decode(uri.split(',', 1)[1])"),
    (r"(?i)file:/", "is a file's address: pass its path"),
    (
        r"(?i)https?://",
        "is an address, and the client fetches none: pass its bytes, as requests.get(address).content gives them",
    ),
    (
        r"[A-Za-z][\w+.\-]+://",
        "is an address, and the client fetches none: pass the bytes that lie there",
    ),
    (
        r"(?:/9j/|iVBORw0KGgo|R0lGOD|UklGR|Qk[0-3])[\w+/\-]{40}",
        "is the base64 text of an image: pass its bytes, base64.b64decode(text)",
    ),
    (
        r"(?i)(?:ffd8ff|89504e47|47494638|52494646|424d)[\da-f]{40}",
        "is the hexadecimal text of an image: pass its bytes, bytes.fromhex(text)",
    ),
    (
        r"b['\"](?:\\xff\\xd8\\xff|\\x89PNG|GIF8|RIFF|BM)|\xff\xd8\xff|\x89PNG|GIF8[79]a",
        "is the bytes of an image made into text: pass the bytes themselves",
    ),
)
_LONGEST_NAME = 255  # of a file, in every file system in use
_LONGEST_PATH = 4096
_SHOWN = 60  # characters of a text that is no path


def is_read(data: bytes) -> bool:
    """Tell whether a file is of a format that the server reads, by its first bytes."""
    return _READ.match(data) is not None


def name_other(data: bytes) -> str:
    """Say what a file is that is not of such a format, and what to do."""
    head = bytes(data[:4096])
    for pattern, words in _OTHERS:
        if re.match(pattern, head, re.DOTALL):
            kind, colon, advice = words.partition(": ")
            return f"is {kind}, not a JPEG, PNG, GIF, BMP or WebP image{colon}{advice}"
    if shifted := _SHIFTED.match(head):
        return f"has {shifted.end()} bytes before its picture: is it the body of a message? Pass data[{shifted.end()}:]"
    if head.isascii() and (words := name_text(head.decode("ascii"))):
        return words
    return "is not a JPEG, PNG, GIF, BMP or WebP image"


def brief_name(data: bytes) -> str:
    """Name the kind of such a file in a word or two: "TIFF", or "no image"."""
    words = name_other(data).removeprefix("is ").removeprefix("an ").removeprefix("a ")
    return "no image" if words.startswith("not ") else re.split(r"[,:]", words)[0]


def name_text(text: str) -> str:
    """Say what a text is that is no path, and what to do; empty where it may be a path."""
    return next((words for pattern, words in _TEXTS if re.match(pattern, text)), "")


def shown(text: str) -> str:
    """Give a text for a message: whole where it may be a path, else its first 60 characters."""
    no_path = name_text(text) or "\n" in text or max(map(len, re.split(r"[/\\]", text))) > _LONGEST_NAME
    no_path = no_path or len(text) > _LONGEST_PATH
    if len(text) <= _SHOWN or not no_path:
        return text
    return text[:_SHOWN] + "..."
