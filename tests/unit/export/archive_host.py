"""A server of one published archive that misbehaves as it is told."""

from __future__ import annotations

import io
import re
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
from slimserve.export.checkpoint.published.download import fetch
from slimserve.export.checkpoint.published.table import PUBLISHED

NAME = "vgg_16"
FILE = "vgg_16_2016_08_28.tar.gz"


def archive() -> bytes:
    """An archive of noise, which gzip can't make smaller."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        data = np.random.default_rng(0).bytes(3_000_000)
        member = tarfile.TarInfo("vgg_16.ckpt")
        member.size = len(data)
        tar.addfile(member, io.BytesIO(data))
    return packed.getvalue()


CONTENT = archive()


@dataclass
class Host:
    """What a server does, one entry for each request that it gets; then it sends all that is asked for.

    Attributes:
        cuts: after so many bytes the connection ends.
        statuses: answered in place of the content, where they are not 0.
        ranges: whether it knows them.
        asked: path and first byte of each request.
    """

    content: bytes = CONTENT
    cuts: list[int] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    ranges: bool = True
    said: int = 0
    address: str = ""
    asked: list[tuple[str, int]] = field(default_factory=list)


@contextmanager
def archive_host() -> Iterator[Host]:
    """Serve on this machine until the end."""
    host = Host()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
            start = int(wanted[1]) if wanted else 0
            host.asked.append((self.path, start))
            if status := host.statuses.pop(0) if host.statuses else 0:
                self.send_error(status)
                return
            total = host.said or len(host.content)
            if wanted and host.ranges and start >= len(host.content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(host.content)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            if wanted and host.ranges:
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
            else:
                start = 0
                self.send_response(200)
            self.send_header("Content-Length", str(total - start))
            self.end_headers()
            stop = start + host.cuts.pop(0) if host.cuts else len(host.content)
            with suppress(OSError):
                self.wfile.write(host.content[start:stop])

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    host.address = f"http://127.0.0.1:{server.server_port}"
    yield host
    server.shutdown()
    server.server_close()
    thread.join()


def fetched(host: Host, folder: Path) -> Path:
    return fetch(PUBLISHED[NAME], folder, mirror=host.address, pause=0.0)
