"""A TCP proxy between a client and a server that does to a connection what networks do."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass

_CHUNK = 1 << 14
_LOOK_AGAIN = 0.005  # seconds


@dataclass
class Direction:
    """What happens to the bytes that go one way; a test may change it while they flow.

    Attributes:
        delay: seconds that each byte is under way.
        bandwidth: bytes per second; None for as many as there are.
        stalled: nothing arrives; what was sent arrives once this is over.
        reset_after: both ends see their connection reset after this many more bytes.
        passed: bytes that have arrived.
    """

    delay: float = 0.0
    bandwidth: float | None = None
    stalled: bool = False
    reset_after: int | None = None
    passed: int = 0


class Proxy:
    """Listens at `address` and passes on what it gets to a port of this machine.

    Attributes:
        requests, answers: the two directions, of all connections together.
        refused: how many of the next connections are reset as soon as they are there.
        connections: how many there have been.
    """

    def __init__(self, port: int) -> None:
        self.requests, self.answers = Direction(), Direction()
        self.refused = self.connections = 0
        self._target = port
        self._open: set[tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = set()
        self._forgotten: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        start = asyncio.start_server(self._accept, "127.0.0.1", 0)
        self._server = asyncio.run_coroutine_threadsafe(start, self._loop).result()
        self.address = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def stall(self, stalled: bool = True) -> None:
        """Let nothing arrive, in either direction, or end that."""
        self.requests.stalled = self.answers.stalled = stalled

    def reset(self) -> None:
        """Reset every connection: both ends get a TCP RST."""
        self._do(self._reset)

    def forget(self) -> None:
        """Lose every connection without telling the client: its next bytes are answered by a RST (half-open)."""
        self._do(self._forget)

    def close(self) -> None:
        """Stop listening, and reset every connection."""
        self.stall(False)
        self._do(self._server.close)
        self._do(self._reset)
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _do(self, action: Callable[[], None]) -> None:
        async def act() -> None:
            action()

        asyncio.run_coroutine_threadsafe(act(), self._loop).result()

    def _reset(self) -> None:
        for ends in self._open:
            for end in ends:
                _abort(end)

    def _forget(self) -> None:
        for near, far in self._open:
            self._forgotten.add(near)
            _abort(far)

    async def _end(self) -> None:
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, near_reader: asyncio.StreamReader, near: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self.connections += 1
        if self.refused:
            self.refused -= 1
            _abort(near)
            return
        far_reader, far = await asyncio.open_connection("127.0.0.1", self._target)
        self._open.add((near, far))
        try:
            await asyncio.gather(
                self._pass_on(near_reader, far, self.requests, near),
                self._pass_on(far_reader, near, self.answers, near),
            )
        finally:
            self._open.discard((near, far))
            _abort(near)
            _abort(far)

    async def _pass_on(
        self,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        way: Direction,
        near: asyncio.StreamWriter,
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(_CHUNK):
                if near in self._forgotten:
                    _abort(near)
                    return
                if way.bandwidth:
                    await asyncio.sleep(len(data) / way.bandwidth)
                while way.stalled:
                    await asyncio.sleep(_LOOK_AGAIN)
                if way.reset_after is not None:
                    way.reset_after -= len(data)
                    if way.reset_after < 0:
                        way.reset_after = None
                        self._reset()
                        return
                way.passed += len(data)
                if way.delay:
                    self._loop.call_later(way.delay, sink.write, data)
                else:
                    sink.write(data)
                    await sink.drain()
        if near not in self._forgotten:
            sink.close()


def _abort(end: asyncio.StreamWriter) -> None:
    """Close with a RST instead of a FIN, whatever is still under way."""
    connection = end.get_extra_info("socket")
    if connection is not None and not end.transport.is_closing():
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    end.transport.abort()
