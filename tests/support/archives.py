"""Archives, sound and hostile. Each maker of a hostile one takes where to write it and a sound V1 file's bytes."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
from pathlib import Path

from tests.support.checkpoints import flip


def archive(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    """Write an archive of made-up members; gzip where the name says so."""
    with tarfile.open(path, "w:gz" if path.name.endswith("gz") else "w") as tar:
        for member, data in members:
            tar.addfile(member, io.BytesIO(data))
    return path


def member(name: str, data: bytes = b"", **fields: object) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, data


def outside(path: Path, data: bytes) -> Path:
    return archive(path, member("../../vgg_16.ckpt", data))


def hidden_outside(path: Path, data: bytes) -> Path:
    return archive(path, member("model/../../vgg_16.ckpt", data))


def absolute(path: Path, data: bytes) -> Path:
    return archive(path, member("/tmp/vgg_16.ckpt", data))


def drive(path: Path, data: bytes) -> Path:
    return archive(path, member("C:\\vgg_16.ckpt", data))


def symbolic_link(path: Path, data: bytes) -> Path:
    return archive(path, member("vgg_16.ckpt", type=tarfile.SYMTYPE, linkname="/etc/passwd"))


def hard_link(path: Path, data: bytes) -> Path:
    return archive(path, member("a.ckpt", data), member("b.ckpt", type=tarfile.LNKTYPE, linkname="a.ckpt"))


def device(path: Path, data: bytes) -> Path:
    return archive(path, member("vgg_16.ckpt", type=tarfile.CHRTYPE, devmajor=1, devminor=5))


def pipe(path: Path, data: bytes) -> Path:
    return archive(path, member("vgg_16.ckpt", type=tarfile.FIFOTYPE))


def sparse(path: Path, data: bytes) -> Path:
    """10 GB of holes in the form that GNU tar writes."""
    fields = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": str(10 << 30)}
    fields["GNU.sparse.name"] = "vgg_16.ckpt"
    with tarfile.open(path, "w:gz", format=tarfile.PAX_FORMAT) as tar:
        info = tarfile.TarInfo("vgg_16.ckpt")
        info.pax_headers, info.size = fields, 512
        tar.addfile(info, io.BytesIO(b"1\n0\n1\n".ljust(512, b"\0")))
    return path


def old_sparse(path: Path, data: bytes) -> Path:
    info = tarfile.TarInfo("vgg_16.ckpt")
    info.type, info.size = tarfile.GNUTYPE_SPARSE, 0
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    header[483:495] = b"%011o\0" % (10 << 30)
    header[148:156] = b"%06o\0 " % (sum(header[:148]) + 8 * 32 + sum(header[156:]))
    path.write_bytes(bytes(header) + bytes(1024))
    return path


def zeros(path: Path, data: bytes) -> Path:
    """A well-formed member of 200 MB that packs to 200 kB."""
    with tarfile.open(path, "w:gz", compresslevel=1) as tar:
        info = tarfile.TarInfo("vgg_16.ckpt")
        info.size = 200 << 20
        tar.addfile(info, Zeros(info.size))
    return path


class Zeros(io.RawIOBase):
    def __init__(self, left: int) -> None:
        self.left = left

    def read(self, size: int = -1) -> bytes:
        size = min(size, self.left)
        self.left -= size
        return bytes(size)


def claims_more(path: Path, data: bytes) -> Path:
    info = tarfile.TarInfo("vgg_16.ckpt")
    info.size = 1 << 60
    path.write_bytes(info.tobuf(tarfile.GNU_FORMAT) + data)
    return path


def long_header(path: Path, data: bytes) -> Path:
    """An extended header of 100 MB, which tarfile would hold in memory."""
    info = tarfile.TarInfo("vgg_16.ckpt")
    info.type, info.size = tarfile.XHDTYPE, 100 << 20
    path.write_bytes(gzip.compress(info.tobuf(tarfile.USTAR_FORMAT) + bytes(100 << 20), 1))
    return path


def nested_headers(path: Path, data: bytes) -> Path:
    """Thousands of long-name headers one after another, for each of which tarfile calls itself."""
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 2
    path.write_bytes(gzip.compress((info.tobuf(tarfile.GNU_FORMAT) + b"a".ljust(512, b"\0")) * 10_000))
    return path


def many_members(path: Path, data: bytes) -> Path:
    return archive(path, *(member(f"{number}.txt") for number in range(1001)))


def no_checkpoint(path: Path, data: bytes) -> Path:
    return archive(path, member("README", b"nothing here"), member("model.ckpt", b""))


def nested(path: Path, data: bytes) -> Path:
    return archive(path, member("run/inner.tar.gz", data[::-1]))


def two_checkpoints(path: Path, data: bytes) -> Path:
    return archive(path, member("a.ckpt", data), member("b.ckpt", data))


def twice_the_same(path: Path, data: bytes) -> Path:
    return archive(path, member("1/vgg_16.ckpt", data), member("2/vgg_16.ckpt", data))


def truncated(path: Path, data: bytes) -> Path:
    archive(path, member("vgg_16.ckpt", data))
    os.truncate(path, path.stat().st_size // 2)
    return path


def flipped(path: Path, data: bytes) -> Path:
    archive(path, member("vgg_16.ckpt", data))
    flip(path, path.stat().st_size // 2)
    return path


def gzip_of_something_else(path: Path, data: bytes) -> Path:
    path.write_bytes(gzip.compress(b"no archive" * 100))
    return path


HOSTILE = [
    outside,
    hidden_outside,
    absolute,
    drive,
    symbolic_link,
    hard_link,
    device,
    pipe,
    sparse,
    old_sparse,
    zeros,
    claims_more,
    long_header,
    nested_headers,
    many_members,
    no_checkpoint,
    two_checkpoints,
    twice_the_same,
    truncated,
    flipped,
    gzip_of_something_else,
]
