"""What stands before a model server and answers HTTP/2 that is no gRPC: a status, and nothing else."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator

_PREFACE = 24  # bytes that a client begins with
_HEADERS, _SETTINGS = 1, 4  # types of frames (RFC 9113, section 6)
_END = 0x1 | 0x4  # of the stream, and of its headers


@contextlib.contextmanager
def answering(status: int) -> Iterator[str]:
    """Answer every call with that status; give the address."""
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=_serve, args=(listener, status), daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def _serve(listener: socket.socket, status: int) -> None:
    # HPACK (RFC 7541): the name of entry 8 of the static table, :status, and a value as it is.
    headers = b"\x08\x03" + str(status).encode()
    with contextlib.suppress(OSError):
        while True:
            connection, _ = listener.accept()
            with contextlib.suppress(OSError), connection, connection.makefile("rb") as sent:
                connection.sendall(_frame(_SETTINGS, 0, 0, b""))
                sent.read(_PREFACE)
                while len(begin := sent.read(9)) == 9:
                    length, kind = int.from_bytes(begin[:3], "big"), begin[3]
                    sent.read(length)
                    if kind == _HEADERS:
                        stream = int.from_bytes(begin[5:], "big")
                        connection.sendall(_frame(_HEADERS, _END, stream, headers))


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload
