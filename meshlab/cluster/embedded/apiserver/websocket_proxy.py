"""How is a WebSocket passed on to a server behind this one? As two WebSockets, message by message."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any

import aiohttp
from aiohttp import WSMsgType, web

from meshlab.cluster.embedded.apiserver import status

_LARGEST_MESSAGE = 32 * 2**20
_OURS = "sec-websocket-"

_Either = web.WebSocketResponse | aiohttp.ClientWebSocketResponse


def is_wanted(http: web.BaseRequest) -> bool:
    """Whether a request wants to become a WebSocket."""
    return http.headers.get("Upgrade", "").lower() == "websocket"


async def forward(
    http: web.BaseRequest, session: aiohttp.ClientSession, url: str, headers: Mapping[str, str], **tls: Any
) -> web.StreamResponse:
    """Pass messages both ways until one end closes. Raises what the server answers instead of an upgrade, or 503."""
    protocols = [word.strip() for word in http.headers.get("Sec-WebSocket-Protocol", "").split(",") if word.strip()]
    sent = {key: value for key, value in headers.items() if not key.lower().startswith(_OURS)}
    try:
        behind = await session.ws_connect(
            url, protocols=protocols, headers=sent, autoping=False, max_msg_size=_LARGEST_MESSAGE, **tls
        )
    except aiohttp.WSServerHandshakeError as error:
        raise status.StatusError(error.status, "", f"the server did not upgrade: {error.message}") from error
    except (aiohttp.ClientError, TimeoutError) as error:
        raise status.unavailable(f"error trying to reach service: {error or 'no answer in time'}") from error
    async with behind:
        agreed = (behind.protocol,) if behind.protocol else ()
        ahead = web.WebSocketResponse(
            protocols=agreed, autoping=False, compress=False, max_msg_size=_LARGEST_MESSAGE, timeout=2.0
        )
        await ahead.prepare(http)
        ways = [asyncio.ensure_future(_pass_on(ahead, behind)), asyncio.ensure_future(_pass_on(behind, ahead))]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
        await ahead.close(code=behind.close_code or aiohttp.WSCloseCode.OK)
        return ahead


async def _pass_on(source: _Either, target: _Either) -> None:
    with contextlib.suppress(ConnectionError):  # that end has gone: there is nobody to tell
        async for message in source:
            match message.type:
                case WSMsgType.TEXT:
                    await target.send_str(message.data)
                case WSMsgType.BINARY:
                    await target.send_bytes(message.data)
                case WSMsgType.PING:
                    await target.ping(message.data)
                case WSMsgType.PONG:
                    await target.pong(message.data)
