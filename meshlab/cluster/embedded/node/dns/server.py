"""Who answers the pods' questions for names? A server on sockets that it is given."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Sequence
from contextlib import suppress
from typing import cast

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
from dns.message import Message

from meshlab.cluster.embedded.node.dns.answer import answer, to_datagram
from meshlab.cluster.embedded.node.dns.forward import Server, ask
from meshlab.cluster.embedded.node.dns.records import Records, records
from meshlab.cluster.embedded.node.services import Services

_HEADER, _ID = 12, 2
_MOST_SAID = 1000
"""Answers that are kept until a Service changes: pods ask the same over and over."""
_IDLE_SECONDS = 10.0
_Address = tuple[str, int]


class NameServer:
    """Answers for the cluster's names from the Services as they are, and passes other questions on."""

    def __init__(self, services: Services, servers: Sequence[Server]) -> None:
        """`servers` know the names outside of the cluster; without any, there are none."""
        self._services = services
        self._servers = servers
        self._records: Records | None = None
        self._said: dict[tuple[bytes, bool], bytes] = {}
        services.listen(self._forget)

    async def run(self, datagrams: socket.socket, listener: socket.socket) -> None:
        """Serve on a bound UDP socket and a listening TCP socket until cancelled; both are closed then."""
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(self), sock=datagrams)
        try:
            async with await asyncio.start_server(self._converse, sock=listener) as server:
                await server.serve_forever()
        finally:
            transport.close()

    async def respond(self, wire: bytes, *, tcp: bool) -> bytes | None:
        """The answer to a query, both as they are on the wire; None to what deserves none."""
        if len(wire) < _HEADER or wire[2] >> 7:
            return None
        if said := self._said.get((wire[_ID:], tcp)):
            return wire[:_ID] + said
        try:
            query = dns.message.from_wire(wire)
        except dns.exception.DNSException:
            return wire[:_ID] + struct.pack(">HHHHH", dns.flags.QR | dns.rcode.FORMERR, 0, 0, 0, 0)
        response, outside = answer(query, self._current())
        if outside and not response.answer:
            if self._servers:
                passed_on = await ask(self._servers, wire, tcp=tcp)
                if passed_on is not None:
                    return passed_on
            response.set_rcode(dns.rcode.SERVFAIL if self._servers else dns.rcode.NXDOMAIN)
        elif outside:
            await self._complete(query, response, outside)
        answered = response.to_wire() if tcp else to_datagram(query, response)
        if not outside and len(self._said) < _MOST_SAID:
            self._said[wire[_ID:], tcp] = answered[_ID:]
        return answered

    async def _complete(self, query: Message, response: Message, outside: str) -> None:
        """Append what a name outside of the cluster means, to which one inside leads."""
        question = dns.message.make_query(outside, query.question[0].rdtype)
        wire = await ask(self._servers, question.to_wire(), tcp=False)
        response.set_rcode(dns.rcode.SERVFAIL if self._servers else dns.rcode.NXDOMAIN)
        if wire is None:
            return
        with suppress(dns.exception.DNSException):
            found = dns.message.from_wire(wire)
            response.set_rcode(found.rcode())
            response.answer.extend(found.answer)

    def _current(self) -> Records:
        if self._records is None:
            self._records = records(self._services.all(), self._services.slices())
        return self._records

    def _forget(self) -> None:
        self._records = None
        self._said.clear()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one query after another, each preceded by its length."""
        try:
            with suppress(OSError, EOFError, TimeoutError):
                while True:
                    async with asyncio.timeout(_IDLE_SECONDS):
                        (length,) = struct.unpack(">H", await reader.readexactly(2))
                        query = await reader.readexactly(length)
                    response = await self.respond(query, tcp=True)
                    if response is None:
                        return
                    writer.write(struct.pack(">H", len(response)) + response)
                    await writer.drain()
        finally:
            writer.close()


class _Datagrams(asyncio.DatagramProtocol):
    """Questions that come one to a packet."""

    def __init__(self, server: NameServer) -> None:
        self._server = server
        self._at_work: set[asyncio.Task[None]] = set()
        self._transport: asyncio.DatagramTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by asyncio."""
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: _Address) -> None:
        """Called by asyncio."""
        task = asyncio.create_task(self._respond(data, addr))
        self._at_work.add(task)
        task.add_done_callback(self._at_work.discard)

    async def _respond(self, query: bytes, asker: _Address) -> None:
        response = await self._server.respond(query, tcp=False)
        if response is not None:
            self._transport.sendto(response, asker)
