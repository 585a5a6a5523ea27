"""How do several streams share one connection? A SPDY/3.1 session, as its server.

There are no windows: kubectl keeps none. A stream whose reader falls behind holds up the whole connection once
its few chunks of buffer are full, as with a real kubelet; that bounds memory.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Protocol

from meshlab.cluster.embedded.apiserver import spdy
from meshlab.cluster.embedded.pipe import Pipe

log = logging.getLogger(__name__)

_MOST_STREAMS = 4096


class Wire(Protocol):
    """What a session speaks over: bytes both ways. Both raise OSError when the connection has broken."""

    async def read(self) -> bytes:
        """Some bytes; none at the end."""

    async def write(self, data: bytes) -> None:
        """Send, waiting while the other end doesn't read."""


class RefusedError(Exception):
    """Raised by who is offered a stream and doesn't take it."""


class Stream:
    """One stream, opened by the other end."""

    def __init__(self, session: Session, number: int, headers: Mapping[str, str]) -> None:
        self.number = number
        self.headers = headers
        self._session = session
        self._incoming = Pipe()
        self._is_reset = False
        self._is_finished = False

    async def read(self) -> bytes:
        """Some bytes; none when the other end has said all. Raises ConnectionResetError."""
        data = await self._incoming.get()
        if self._is_reset:
            raise ConnectionResetError(f"stream {self.number} was reset")
        return data

    async def write(self, data: bytes, *, fin: bool = False) -> None:
        """Send bytes; `fin`: they are the last. Raises OSError when the stream or the connection is gone."""
        if self._is_reset:
            raise ConnectionResetError(f"stream {self.number} was reset")
        if not self._is_finished:
            self._is_finished = fin
            await self._session.send(spdy.Data(self.number, data, fin))

    async def reset(self, status: int = spdy.CANCEL) -> None:
        """End the stream at once, in both directions."""
        if not self._is_reset:
            self.end()
            await self._session.send(spdy.Reset(self.number, status))

    async def take(self, data: bytes, *, fin: bool) -> None:
        """Called by the session: bytes that came."""
        await self._incoming.put(data)
        if fin:
            self._incoming.finish()

    def end(self) -> None:
        """Called by the session: there is no such stream any more. Whoever waits is let go."""
        self._is_reset = True
        self._incoming.close()


class Session:
    """A connection with streams. `opened` is told each new one, and may raise RefusedError."""

    def __init__(self, wire: Wire, opened: Callable[[Stream], None]) -> None:
        self._wire = wire
        self._opened = opened
        self._writer = spdy.FrameWriter()
        self._order = asyncio.Lock()
        self._streams: dict[int, Stream] = {}

    async def run(self) -> None:
        """Read until the other end goes. Raises OSError or FramingError when the connection breaks."""
        reader = spdy.FrameReader()
        try:
            while data := await self._wire.read():
                for frame in reader.feed(data):
                    await self._handle(frame)
        finally:
            for stream in self._streams.values():
                stream.end()

    async def send(self, frame: spdy.Frame) -> None:
        """Send a frame. The order of bytes is the order in which headers were compressed."""
        async with self._order:
            await self._wire.write(self._writer.bytes_of(frame))

    def forget(self, *streams: Stream) -> None:
        """Nothing more is expected of these streams."""
        for stream in streams:
            self._streams.pop(stream.number, None)
            stream.end()

    async def _handle(self, frame: spdy.Frame) -> None:
        match frame:
            case spdy.SynStream(number, headers, fin):
                await self._open(number, headers, fin=fin)
            case spdy.Data(number, data, fin) if stream := self._streams.get(number):
                await stream.take(data, fin=fin)
            case spdy.Headers(number, _, True) if stream := self._streams.get(number):
                await stream.take(b"", fin=True)
            case spdy.Reset(number) if stream := self._streams.pop(number, None):
                stream.end()
            case spdy.Ping():
                await self.send(frame)

    async def _open(self, number: int, headers: Mapping[str, str], *, fin: bool) -> None:
        stream = Stream(self, number, headers)
        try:
            self._accept(stream)
        except RefusedError as error:
            log.info("stream %d refused: %s", number, error)
            await self.send(spdy.Reset(number, spdy.REFUSED_STREAM))
            return
        await self.send(spdy.SynReply(number))
        if fin:
            await stream.take(b"", fin=True)

    def _accept(self, stream: Stream) -> None:
        if stream.number in self._streams:
            raise RefusedError("there is a stream of this number")
        if len(self._streams) >= _MOST_STREAMS:
            raise RefusedError("too many streams")
        self._opened(stream)
        self._streams[stream.number] = stream
