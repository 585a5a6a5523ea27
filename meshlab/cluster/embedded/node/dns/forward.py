"""Who knows the names outside of the cluster? Those that the machine itself asks."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Sequence
from contextlib import suppress
from ipaddress import IPv4Address

from meshlab.cluster.embedded.node.dns.resolver import Resolver

_SECONDS = 2.0
_PORT = 53
_ID = 2


Server = tuple[str, int]
"""Its address and port."""


def upstreams(machine: Resolver) -> list[Server]:
    """The name servers of a machine, as far as they have IPv4 addresses."""
    found = []
    for address in machine.servers:
        with suppress(ValueError):
            found.append((str(IPv4Address(address)), _PORT))
    return found


async def ask(servers: Sequence[Server], query: bytes, *, tcp: bool) -> bytes | None:
    """The first server's answer to a query, both as they are on the wire; None when none answers in time."""
    for server in servers:
        with suppress(OSError, EOFError, TimeoutError):
            async with asyncio.timeout(_SECONDS):
                return await (_over_tcp if tcp else _over_udp)(server, query)
    return None


async def _over_udp(server: Server, query: bytes) -> bytes:
    loop = asyncio.get_running_loop()
    transport, waiting = await loop.create_datagram_endpoint(lambda: _Waiting(query), remote_addr=server)
    try:
        transport.sendto(query)
        return await waiting.answer
    finally:
        transport.close()


async def _over_tcp(server: Server, query: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(*server)
    try:
        writer.write(struct.pack(">H", len(query)) + query)
        (length,) = struct.unpack(">H", await reader.readexactly(2))
        return await reader.readexactly(length)
    finally:
        writer.close()


class _Waiting(asyncio.DatagramProtocol):
    """For the answer to one query."""

    def __init__(self, query: bytes) -> None:
        self._query = query
        self.answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, addr: object) -> None:
        """Called by asyncio."""
        del addr
        if data[:_ID] == self._query[:_ID] and not self.answer.done():
            self.answer.set_result(data)

    def error_received(self, exc: Exception) -> None:
        """Called by asyncio: nobody is there."""
        if not self.answer.done():
            self.answer.set_exception(exc)
