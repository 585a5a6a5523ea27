"""How is a request passed on to a server behind this one, bytes flowing both ways as they come?"""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import aiohttp
from aiohttp import web
from multidict import CIMultiDict

from meshlab.cluster.embedded.apiserver import status, websocket_proxy
from meshlab.cluster.embedded.apiserver.dial import OpenSocket, connector

if TYPE_CHECKING:
    from meshlab.cluster.embedded.apiserver.request import User

_HOP_BY_HOP = frozenset({
    *("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer"),
    *("transfer-encoding", "upgrade", "host", "content-length"),
})  # fmt: skip
_NEVER_TOLD = ("authorization", "impersonate-", "x-remote-")
_HEAD = "HEAD"


class Forwarder:
    """Keeps connections to the servers requests are passed on to."""

    def __init__(self, open_socket: OpenSocket) -> None:
        self._open_socket = open_socket
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Give the connections back."""
        if self._session:
            await self._session.close()

    @property
    def session(self) -> aiohttp.ClientSession:
        """A session without limits, proxies, cookies or decoding: what comes is passed on."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=connector(self._open_socket),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
            )
        return self._session

    async def forward(
        self,
        http: web.BaseRequest,
        url: str,
        *,
        headers: Iterable[tuple[str, str]] = (),
        context: ssl.SSLContext | None = None,
        server_name: str | None = None,
    ) -> web.StreamResponse:
        """Send the request on to a URL and its answer back; a WebSocket, too.

        Raises 501 for another upgrade, 503 when nobody answers.
        """
        sent = CIMultiDict([*kept(http.headers), *headers])
        sent.setdefault("X-Forwarded-For", http.remote or "")
        if websocket_proxy.is_wanted(http):
            tls = {"ssl": context, "server_hostname": server_name} if context else {}
            return await websocket_proxy.forward(http, self.session, url, sent, **tls)
        if "upgrade" in http.headers.get("Connection", "").lower():
            message = "connections upgraded to anything but WebSocket aren't passed on by the embedded cluster"
            raise status.not_implemented(message)
        try:
            answer = await self.session.request(
                http.method,
                url,
                headers=sent,
                data=http.content if http.can_read_body else None,
                ssl=context or True,
                server_hostname=server_name if context else None,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=10),
            )
        except (aiohttp.ClientError, TimeoutError) as error:
            raise status.unavailable(f"error trying to reach service: {error or 'no answer in time'}") from error
        async with answer:
            return await _pass_back(http, answer)


def kept(headers: Mapping[str, str]) -> list[tuple[str, str]]:
    """The headers that concern both ends, without those of this connection and without credentials."""
    return [
        (key, value)
        for key, value in headers.items()
        if key.lower() not in _HOP_BY_HOP and not key.lower().startswith(_NEVER_TOLD)
    ]


def user_headers(user: User) -> list[tuple[str, str]]:
    """Who asks, for a server that trusts the front proxy's certificate."""
    extra = [(f"X-Remote-Extra-{key}", value) for key, values in user.extra.items() for value in values]
    return [("X-Remote-User", user.name), *(("X-Remote-Group", group) for group in user.groups), *extra]


async def _pass_back(http: web.BaseRequest, answer: aiohttp.ClientResponse) -> web.StreamResponse:
    response = web.StreamResponse(status=answer.status, reason=answer.reason, headers=CIMultiDict(kept(answer.headers)))
    if answer.content_length is not None:
        response.content_length = answer.content_length
    await response.prepare(http)
    with contextlib.suppress(ConnectionError):  # the client has gone: there is nobody to tell
        try:
            if http.method != _HEAD:
                async for part in answer.content.iter_any():
                    await response.write(part)
            await response.write_eof()
        except aiohttp.ClientPayloadError:
            _break_off(http)
    return response


def _break_off(http: web.BaseRequest) -> None:
    """End the connection: the answer has begun and can't be completed, and the client must not think it is."""
    if http.transport:
        http.transport.abort()
