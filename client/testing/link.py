"""The way to a server, for tests: a TCP link that can be cut, closed, or left without a sign of life."""

from __future__ import annotations

import contextlib
import socket
import threading


class Link:
    """Listens on 127.0.0.1 and passes every connection on to a port there. Use it as a context manager.

    Args:
        to: the port of the server, of this package or any other.
        largest_answer: a connection is ended when more bytes than that have come back on it; these arrive.

    Attributes:
        port: where it listens.
        sent, answered: bytes that were passed on, to the server and back.
    """

    def __init__(self, to: int, *, largest_answer: int | None = None) -> None:
        self._to = to
        self._largest_answer = largest_answer
        self.sent = self.answered = 0
        self._pairs: list[_Pair] = []
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._silent = False
        self._listener: socket.socket | None = None
        self.port = 0
        self.open()

    @property
    def address(self) -> str:
        """What a client takes instead of the server's own: `127.0.0.1:PORT`."""
        return f"127.0.0.1:{self.port}"

    def open(self) -> None:
        """Pass on what comes: after `close` and `black_hole`, new connections."""
        self._silent = False
        if self._listener is None:
            self._listener = socket.create_server(("127.0.0.1", self.port))
            self.port = self._listener.getsockname()[1]
            self._run(self._accept, self._listener)

    def cut(self) -> None:
        """Break every connection, as the end of a server's process does; calls in flight are UNAVAILABLE.

        New connections are taken.
        """
        with self._lock:
            pairs, self._pairs = self._pairs, []
        for pair in pairs:
            pair.cut()

    def close(self) -> None:
        """Break every connection and refuse new ones, as where a server is gone."""
        if self._listener is not None:
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
            self._threads[0].join()  # which accepts: no connection comes after that
        self.cut()
        for thread in self._threads:
            thread.join()
        self._threads.clear()

    def half_open(self) -> None:
        """Pass nothing on any more on the connections there are, and do not end them: the other end lost its power.

        New connections are taken.
        """
        with self._lock:
            for pair in self._pairs:
                pair.silent = True

    def black_hole(self) -> None:
        """Pass nothing on any more, on connections there are and on new ones, and end none.

        So does a server whose process is stopped: its machine takes the connection, and nobody reads.
        """
        self._silent = True
        self.half_open()

    def __enter__(self) -> Link:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def _run(self, function: object, *arguments: object) -> None:
        thread = threading.Thread(target=function, args=arguments, daemon=True, name="slimserve.testing")  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):  # it is closed
            while True:
                near, _ = listener.accept()
                try:
                    far = socket.create_connection(("127.0.0.1", self._to))
                except OSError:  # nothing listens there
                    near.close()
                    continue
                pair = _Pair(near, far, self._silent)
                with self._lock:
                    self._pairs.append(pair)
                self._run(self._pass_on, pair, near, far)
                self._run(self._pass_on, pair, far, near)

    def _pass_on(self, pair: _Pair, source: socket.socket, sink: socket.socket) -> None:
        passed = 0
        with contextlib.suppress(OSError):  # an end is closed
            while data := source.recv(1 << 16):
                if pair.silent:
                    continue
                passed += len(data)
                if source is pair.near:
                    self.sent += len(data)
                else:
                    self.answered += len(data)
                    if self._largest_answer is not None and passed > self._largest_answer:
                        # Behind what was sent: a connection that is closed with something unread loses that, too.
                        pair.near.shutdown(socket.SHUT_WR)
                        return
                sink.sendall(data)
        if not pair.silent:
            pair.cut()


class _Pair:
    """A connection from a client, and the one to the server that it is passed on to."""

    def __init__(self, near: socket.socket, far: socket.socket, silent: bool) -> None:
        self.near, self.far, self.silent = near, far, silent

    def cut(self) -> None:
        for end in (self.near, self.far):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
