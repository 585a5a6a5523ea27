"""How does a proxy get its certificate? It proves which pod it is by the pod's service-account token."""

from __future__ import annotations

import asyncio
import socket
import ssl
from dataclasses import dataclass
from http import HTTPStatus

from meshlab.dataplane.envoy import names
from meshlab.errors import DataPlaneError
from meshlab.identity.grant import Grant

PATH = "/v1/certificates"
_CONNECT_SECONDS, _SIGN_SECONDS = 5.0, 40.0
_LONGEST_HEAD = 64 << 10
_KEEP_ALIVE = {socket.TCP_KEEPIDLE: 20, socket.TCP_KEEPINTVL: 5, socket.TCP_KEEPCNT: 3}
"""Seconds: who waits for hours for an answer notices that the other end is gone."""


@dataclass(frozen=True, slots=True)
class Signed:
    """An answer, and the word for the trust that it belongs to."""

    grant: Grant
    trust: str


@dataclass(frozen=True, slots=True)
class SigningService:
    """The control plane's signing endpoint: where it is, and the name its certificate must show."""

    address: str
    name: str
    port: int = names.SIGNING_PORT
    mark: int = 0
    """What the kernel knows the proxy's own connections by, if it has to."""

    async def sign(self, request: bytes, token: str, roots: str, *, has: str = "") -> Signed:
        """Have a request signed. With `has`, a `Signed.trust`: as soon as another trust than that one holds.

        Raises DataPlaneError ML301 when it isn't, and says why.
        """
        try:
            status, head, body = await self._post(request, token, roots, has)
        except (OSError, TimeoutError, asyncio.IncompleteReadError, ValueError) as error:
            raise DataPlaneError("ML301", f"no answer: {error or type(error).__name__}", about=str(self)) from error
        if status != HTTPStatus.OK:
            raise DataPlaneError("ML301", f"{status}: {body.decode(errors='replace').strip()}", about=str(self))
        if "etag" not in head:
            raise DataPlaneError("ML301", "the answer does not say under which trust", about=str(self))
        return Signed(Grant.from_json(body), head["etag"].strip('"'))

    def __str__(self) -> str:
        return f"{self.name} at {self.address}:{self.port}"

    async def _post(self, request: bytes, token: str, roots: str, has: str) -> tuple[int, dict[str, str], bytes]:
        context = ssl.create_default_context(cadata=roots)
        async with asyncio.timeout(_CONNECT_SECONDS):
            plain = await self._connect()
            reader, writer = await asyncio.open_connection(
                sock=plain, ssl=context, server_hostname=self.name, limit=_LONGEST_HEAD
            )
        headers = {
            "Host": f"{self.name}:{self.port}",
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/x-pem-file",
            "Content-Length": str(len(request)),
            "Connection": "close",
            **({"If-None-Match": f'"{has}"'} if has else {}),
        }
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        try:
            writer.write(f"POST {PATH} HTTP/1.1\r\n{lines}\r\n".encode() + request)
            async with asyncio.timeout(None if has else _SIGN_SECONDS):
                return await _response(reader)
        finally:
            writer.close()

    async def _connect(self) -> socket.socket:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(self.address, self.port, type=socket.SOCK_STREAM)
        family, kind, protocol, _, where = found[0]
        plain = socket.socket(family, kind, protocol)
        try:
            plain.setblocking(False)  # noqa: FBT003
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for option, seconds in _KEEP_ALIVE.items():
                plain.setsockopt(socket.IPPROTO_TCP, option, seconds)
            if self.mark:
                plain.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, self.mark)
            await loop.sock_connect(plain, where)
        except BaseException:
            plain.close()
            raise
        return plain


async def _response(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    status, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    head = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return int(status.split()[1]), head, await reader.readexactly(int(head["content-length"]))
