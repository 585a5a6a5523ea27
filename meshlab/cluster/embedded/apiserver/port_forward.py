"""How does kubectl reach a port of a pod? Over one WebSocket that carries SPDY, a pair of streams a connection."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from meshlab.cluster.embedded.apiserver import upgrade
from meshlab.cluster.embedded.apiserver.spdy import FramingError
from meshlab.cluster.embedded.apiserver.spdy_session import RefusedError, Session, Stream, Wire

if TYPE_CHECKING:
    from aiohttp import web

    from meshlab.cluster.embedded.apiserver.request import Call

log = logging.getLogger(__name__)

TUNNELLED = "SPDY/3.1+portforward.k8s.io"

_CHUNK = 32 * 2**10

Dial = Callable[[int], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]
"""A port of the pod → a connection to it. Raises OSError."""


async def serve(call: Call, pod: dict[str, Any], dial: Dial) -> web.StreamResponse:
    """Forward connections until the client goes."""
    socket = upgrade.WebSocket(call, upgrade.choose(call, (TUNNELLED,)))
    await socket.open()
    return await socket.serve(Forwarding(socket, dial, pod["metadata"]["uid"]).run())


class Forwarding:
    """The forwarded connections of one client."""

    def __init__(self, wire: Wire, dial: Dial, pod: str) -> None:
        self._session = Session(wire, self._opened)
        self._dial = dial
        self._pod = pod
        self._alone: dict[str, Stream] = {}
        """The first stream of each pair whose second has not come."""
        self._work: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Until the client goes; then every connection is closed."""
        try:
            await self._session.run()
        except (OSError, FramingError) as error:
            log.info("port-forward to pod %s: %s", self._pod, error)
        finally:
            for task in self._work:
                task.cancel()
            await asyncio.gather(*self._work, return_exceptions=True)

    def _opened(self, stream: Stream) -> None:
        kind, port, request = (stream.headers.get(name, "") for name in ("streamtype", "port", "requestid"))
        if kind not in ("data", "error") or not request or not port.isdecimal() or not 0 < int(port) < 2**16:
            raise RefusedError(f"not a stream of a forwarded port: {dict(stream.headers)}")
        other = self._alone.pop(request, None)
        if other is None:
            self._alone[request] = stream
            return
        if other.headers["streamtype"] == kind:
            raise RefusedError(f"a second {kind} stream for one connection")
        data, error = (stream, other) if kind == "data" else (other, stream)
        task = asyncio.create_task(self._forward(int(port), data, error), name=f"port-forward {port}")
        self._work.add(task)
        task.add_done_callback(self._work.discard)

    async def _forward(self, port: int, data: Stream, error: Stream) -> None:
        """One connection. The end of the error stream, with or without words, tells kubectl that it is over."""
        try:
            reader, writer = await self._dial(port)
        except OSError as problem:
            said = f"error forwarding port {port} to pod {self._pod}, uid : {_explain(port, problem)}"
            with suppress(OSError):
                await error.write(said.encode(), fin=True)
                await data.reset()
            return
        sending = asyncio.create_task(_send(data, writer))
        try:
            while chunk := await reader.read(_CHUNK):
                await data.write(chunk)
            await data.write(b"", fin=True)
        except OSError:  # either end broke off: so does the other
            with suppress(OSError):
                await data.reset()
        finally:
            sending.cancel()
            writer.close()
            with suppress(OSError):
                await error.write(b"", fin=True)
            self._session.forget(data, error)


async def _send(stream: Stream, writer: asyncio.StreamWriter) -> None:
    """Pass on what the client says, and that it has said all."""
    try:
        while chunk := await stream.read():
            writer.write(chunk)
            await writer.drain()
        writer.write_eof()
    except OSError:
        writer.transport.abort()


def _explain(port: int, error: OSError) -> str:
    """As a kubelet words it, Go's way of naming errors included."""
    why = os.strerror(error.errno).lower() if error.errno else str(error)
    return f"failed to execute portforward: failed to connect to localhost:{port} inside the pod: connect: {why}"
