"""How does a pod without a sidecar call `http://bookstore.bookstore:14001/` where there is no DNS?

By `http_proxy`: this proxy knows the Services' names. A short name is meant in the caller's namespace, so each
namespace has a port of its own; a connection's source address would not tell, for it is 127.0.0.1 on every pod.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

from meshlab.cluster.embedded.node import relay
from meshlab.cluster.embedded.node.service_proxy import connect
from meshlab.cluster.embedded.node.services import Services

log = logging.getLogger(__name__)

_LARGEST_HEAD = 64 * 2**10
_HOP_BY_HOP = {b"proxy-connection", b"proxy-authorization", b"connection", b"keep-alive"}
_DEFAULT_PORTS = {"http": 80, "https": 443}

_Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class RefusedError(Exception):
    """A request that can't be passed on: the status line's words, and why."""

    def __init__(self, status: str, why: str) -> None:
        super().__init__(why)
        self.status = status
        self.why = why


@dataclass(frozen=True, slots=True)
class _Request:
    method: bytes
    host: str
    port: int
    head: bytes
    """What the server is sent; nothing for CONNECT."""


class ForwardProxy:
    """An HTTP forward proxy on the node's address, one port per namespace. One request per connection."""

    def __init__(self, services: Services, address: str) -> None:
        self._services = services
        self._address = address
        self._servers: dict[str, asyncio.Server] = {}
        self._opening = asyncio.Lock()

    async def url(self, namespace: str) -> str:
        """Where the pods of a namespace find it."""
        async with self._opening:
            if namespace not in self._servers:
                self._servers[namespace] = await asyncio.start_server(
                    lambda reader, writer: self._serve(namespace, reader, writer),
                    self._address,
                    0,
                    limit=_LARGEST_HEAD,
                )
        port = self._servers[namespace].sockets[0].getsockname()[1]
        return f"http://{self._address}:{port}"

    def close(self) -> None:
        """Stop listening."""
        for server in self._servers.values():
            server.close()
        self._servers.clear()

    async def _serve(self, namespace: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = await _read(reader)
            server = await self._connect(namespace, request)
            if request.head:
                server[1].write(request.head)
            else:
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await relay.join((reader, writer), server)
        except RefusedError as refusal:
            writer.write(_answer(refusal))
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            await relay.close(writer)

    async def _connect(self, namespace: str, request: _Request) -> _Streams:
        where = f"{request.host}:{request.port}"
        if _is_address(request.host):
            try:
                return await asyncio.open_connection(request.host, request.port)
            except OSError as error:
                raise RefusedError("502 Bad Gateway", f"{where}: {error.strerror}") from error
        name, there = _service_name(request.host, namespace)
        service = self._services.find(there, name)
        if service is None:
            raise RefusedError("502 Bad Gateway", f"this node knows Services only, and no {name} in namespace {there}")
        port = self._services.port_named(service, request.port)
        if port is None:
            raise RefusedError("502 Bad Gateway", f"Service {there}/{name} has no port {request.port}")
        streams = await connect(self._services, there, name, port)
        if streams is None:
            raise RefusedError("503 Service Unavailable", f"Service {there}/{name} has no ready endpoint")
        return streams


async def _read(reader: asyncio.StreamReader) -> _Request:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError as error:
        raise RefusedError("431 Request Header Fields Too Large", "the request's head is too large") from error
    first, *lines = head[:-4].split(b"\r\n")
    with suppress(ValueError):
        method, target, version = first.split(b" ")
        if method == b"CONNECT":
            host, _, port = target.decode().rpartition(":")
            return _Request(method, host, int(port), b"")
        url = urlsplit(target.decode())
        if url.scheme in _DEFAULT_PORTS and url.hostname:
            path = url._replace(scheme="", netloc="").geturl() or "/"
            kept = [line for line in lines if line.partition(b":")[0].strip().lower() not in _HOP_BY_HOP]
            parts = [b" ".join((method, path.encode(), version)), *kept, b"Connection: close", b"", b""]
            return _Request(method, url.hostname, url.port or _DEFAULT_PORTS[url.scheme], b"\r\n".join(parts))
    raise RefusedError("400 Bad Request", "a proxy is asked for a whole URL (GET http://service:port/) or with CONNECT")


def _service_name(host: str, namespace: str) -> tuple[str, str]:
    """A Service and its namespace, from `svc`, `svc.ns`, `svc.ns.svc` or `svc.ns.svc.cluster.local`."""
    for suffix in (".svc.cluster.local", ".svc"):
        host = host.removesuffix(".").removesuffix(suffix)
    name, _, there = host.partition(".")
    return name, there or namespace


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _answer(refusal: RefusedError) -> bytes:
    body = f"{refusal.why}\n".encode()
    head = (
        f"HTTP/1.1 {refusal.status}",
        "Content-Type: text/plain",
        f"Content-Length: {len(body)}",
        "Connection: close",
    )
    return "\r\n".join((*head, "", "")).encode() + body
