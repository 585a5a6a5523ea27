"""How does a request become a connection of its own? As a WebSocket, with a protocol that both ends know."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Coroutine, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from aiohttp import WSMsgType, web

from meshlab.cluster.embedded.apiserver import status

if TYPE_CHECKING:
    from meshlab.cluster.embedded.apiserver.request import Call

log = logging.getLogger(__name__)

_LARGEST_MESSAGE = 32 * 2**20
_CLOSE_SECONDS = 2.0
_LOOK_SECONDS = 1.0
_TCP_CLOSE, _TCP_CLOSE_WAIT = 7, 8
"""States of a TCP connection of which the other end is gone (linux/tcp_states.h)."""


def asked_for(call: Call) -> list[str]:
    """The protocols that the client offers, its favourite first. Raises 400 when it wants no WebSocket."""
    wanted = call.http.headers.get("Upgrade", "").lower()
    if wanted.startswith("spdy/"):
        message = "the embedded cluster takes WebSockets here and no SPDY: use kubectl 1.31 or newer"
        raise status.bad_request(message)
    if wanted != "websocket":
        raise status.bad_request("Upgrade request required")
    return [word.strip() for word in call.http.headers.get("Sec-WebSocket-Protocol", "").split(",") if word.strip()]


def choose(call: Call, known: Iterable[str]) -> str:
    """The first protocol of the client's that is known here. Raises 400 when there is none."""
    asked, known = asked_for(call), list(known)
    for protocol in asked:
        if protocol in known:
            return protocol
    raise status.bad_request(f"unable to upgrade: none of the protocols [{' '.join(asked)}] is one of {known}")


class WebSocket:
    """The server's end of a WebSocket: binary messages both ways, bounded in memory by waiting."""

    def __init__(self, call: Call, protocol: str) -> None:
        self.response = web.WebSocketResponse(
            protocols=(protocol,) if protocol else (),
            compress=False,
            max_msg_size=_LARGEST_MESSAGE,
            timeout=_CLOSE_SECONDS,
        )
        self._http = call.http

    async def open(self) -> None:
        """Answer the request: from here on it is a WebSocket."""
        await self.response.prepare(self._http)

    async def read(self) -> bytes:
        """The next message that isn't empty; nothing when the client has gone."""
        while True:
            message = await self.response.receive()
            if message.type in (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR):
                return b""
            if message.data:
                return message.data if isinstance(message.data, bytes) else str(message.data).encode()

    async def write(self, data: bytes) -> None:
        """Send a message, waiting while the client doesn't read. Raises OSError when it has gone."""
        await self.response.send_bytes(data)

    async def serve(self, work: Coroutine[Any, Any, None]) -> web.StreamResponse:
        """Do work until it is done or the client has gone, whichever comes first; then close."""
        doing, gone = asyncio.ensure_future(work), asyncio.ensure_future(self._gone())
        try:
            await asyncio.wait((doing, gone), return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone.cancel()
            doing.cancel()
            await asyncio.wait((doing, gone))
        if not doing.cancelled() and (error := doing.exception()):
            log.error("%s %s", self._http.method, self._http.path, exc_info=error)
        await self.response.close()
        return self.response

    async def _gone(self) -> None:
        """Return when the client is gone.

        While a command doesn't read its input we don't read the client's, and aren't told of its end, which lies
        behind what we haven't read. So it is looked for: whoever is gone refuses a pong, who is there ignores it.
        """
        while (transport := self._http.transport) is not None and not transport.is_closing():
            if isinstance(transport, asyncio.Transport) and not transport.is_reading():
                state = transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
                if state in (_TCP_CLOSE, _TCP_CLOSE_WAIT):
                    return
                if not transport.get_write_buffer_size():
                    with suppress(OSError):
                        await self.response.pong()
            await asyncio.sleep(_LOOK_SECONDS)
