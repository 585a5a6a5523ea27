"""Does a TCP port of the app accept connections? The answer to a tcpSocket probe, as HTTP on port 15904.

The kubelet can't ask the port itself: a connection from outside is meant for the proxy, which takes it
whether the app lives or not.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from meshlab.dataplane.envoy import names
from meshlab.dataplane.envoy.probes import TCP_PORT_HEADER

_TIMEOUT = 1.0
_MAX_HEAD = 8192


async def serve_tcp_probes(listen: str, app: str) -> asyncio.Server:
    """Answer probes on `listen`: 200 when the port named by the header accepts at address `app`, else 503."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            async with asyncio.timeout(_TIMEOUT):
                port = _port(await reader.readuntil(b"\r\n\r\n"))
                status = b"200 OK" if port and await _accepts(app, port) else b"503 Service Unavailable"
                writer.write(b"HTTP/1.1 %s\r\ncontent-length: 0\r\nconnection: close\r\n\r\n" % status)
                await writer.drain()
        writer.close()

    return await asyncio.start_server(answer, listen, names.TCP_PROBE_PORT, limit=_MAX_HEAD)


def _port(head: bytes) -> int:
    for line in head.decode("latin-1").split("\r\n")[1:]:
        name, _, value = line.partition(":")
        if name.strip().lower() == TCP_PORT_HEADER.lower() and value.strip().isdecimal():
            return int(value)
    return 0


async def _accepts(address: str, port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(address, port)
    except (OSError, OverflowError):
        return False
    writer.close()
    return True
