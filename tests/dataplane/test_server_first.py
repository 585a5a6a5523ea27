"""A server that speaks first says nothing to a client that is refused: not one byte of it leaves the pod."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from loopback_mesh import Mesh

from meshlab.dataplane.envoy import names
from meshlab.identity import CertificateAuthority, Svid, new_svid
from meshlab.mesh.identity import Identity
from meshlab.mesh.rules import HttpMatch, HttpRule, Permission, TcpRule
from meshlab.mesh.service import Protocol, ServiceName
from meshlab.mesh.view import Upstream

BANNER = b"220 books.example is ready\r\n"
BOOKS, BUYER, THIEF = (Identity(name, name) for name in ("books", "bookbuyer", "bookthief"))
SNI = Upstream(ServiceName("books", "books"), 14001).sni
SECONDS = 10


@dataclass
class Greeter:
    """A server that greets whoever connects, behind a real Envoy."""

    mesh: Mesh
    folder: Path
    greeted: int = 0
    told: int = 0
    """How many bytes clients have said."""

    async def greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.greeted += 1
        writer.write(BANNER)
        while said := await reader.read(2**16):
            self.told += len(said)
        writer.close()

    async def allow(self, *permissions: Permission) -> None:
        self.mesh.permissive, self.mesh.permissions = False, permissions
        await self.mesh.push()

    async def line(self, svid: Svid | None) -> ssl.SSLSocket:
        """A connection to the proxy's inbound port, as another proxy makes it."""
        tls = ssl.create_default_context(cadata=(await self.mesh.ca.bundle()).decode())
        tls.check_hostname = False  # the name in the certificate is a SPIFFE id
        tls.set_alpn_protocols([names.ALPN])
        if svid:
            (self.folder / "svid.pem").write_bytes(svid.key + svid.chain)
            tls.load_cert_chain(self.folder / "svid.pem")
        raw = socket.create_connection((self.mesh.pods["books"].address, names.INBOUND_PORT), SECONDS)
        try:
            return await asyncio.to_thread(tls.wrap_socket, raw, server_hostname=SNI)
        except OSError:
            raw.close()
            raise

    async def heard_by(self, svid: Svid | None) -> bytes:
        """The first bytes that reach such a client. The kernel and OpenSSL hand over all that came before an end."""
        try:
            with await self.line(svid) as line:
                return await asyncio.to_thread(line.recv, 100)
        except (ssl.SSLError, ConnectionError):
            return b""


@pytest.fixture
async def greeter(mesh: Mesh, tmp_path: Path) -> AsyncIterator[Greeter]:
    pod = await mesh.pod("books", app=False)
    mesh.protocol = Protocol.TCP_SERVER_FIRST
    mesh.service("books/books", "books")
    greeter = Greeter(mesh, tmp_path)
    async with await asyncio.start_server(greeter.greet, pod.address, pod.port):
        yield greeter


def permit(*sources: Identity, ports: tuple[int, ...] = (14001,), http: bool = False) -> Permission:
    rules = (HttpRule("books/h", (HttpMatch("all"),)),) if http else ()
    return Permission("books/p", BOOKS, frozenset(sources), rules, (TcpRule("books/t", ports),))


async def test_only_who_is_permitted_hears_the_greeting(greeter: Greeter):
    ca = greeter.mesh.ca
    buyer, thief = await new_svid(ca, BUYER), await new_svid(ca, THIEF)
    stranger = await new_svid(CertificateAuthority.create(), BUYER)
    await greeter.allow(permit(BUYER))
    assert await greeter.heard_by(buyer) == BANNER
    greeted = greeter.greeted
    for refused in (thief, stranger, None):
        assert await greeter.heard_by(refused) == b""
    assert greeter.greeted == greeted, "the server was not even called"


async def test_a_port_that_no_tcp_rule_opens_greets_nobody(greeter: Greeter):
    buyer = await new_svid(greeter.mesh.ca, BUYER)
    for closed in ((), (permit(BUYER, ports=(6379,)),), (permit(BUYER, http=True),)):
        await greeter.allow(*closed)
        assert await greeter.heard_by(buyer) == b""
    assert greeter.greeted == 0


async def test_in_permissive_mode_every_identity_of_the_mesh_hears_it(greeter: Greeter):
    await greeter.mesh.push()
    assert await greeter.heard_by(await new_svid(greeter.mesh.ca, THIEF)) == BANNER
    assert await greeter.heard_by(await new_svid(CertificateAuthority.create(), THIEF)) == b""
    assert await greeter.heard_by(None) == b""


async def test_a_connection_ends_with_its_permission(greeter: Greeter):
    await greeter.allow(permit(BUYER))
    with await greeter.line(await new_svid(greeter.mesh.ca, BUYER)) as line:
        assert await asyncio.to_thread(line.recv, 100) == BANNER
        await greeter.allow()
        assert await asyncio.to_thread(line.recv, 100) == b""


async def test_a_connection_is_told_of_when_it_begins_and_again_when_it_has_ended(greeter: Greeter):
    told = greeter.mesh.exchanges
    await greeter.allow(permit(BUYER))
    with await greeter.line(await new_svid(greeter.mesh.ca, BUYER)) as line:
        assert await asyncio.to_thread(line.recv, 100) == BANNER
        await greeter.mesh.eventually(lambda: told)
        assert [(exchange.source, exchange.upstream, exchange.under_way) for exchange in told] == [
            (BUYER, "books/books|14001", True)
        ]
    await greeter.mesh.eventually(lambda: len(told) == 2)
    assert (told[1].under_way, told[1].bytes_sent) == (False, len(BANNER))


async def test_what_a_client_says_at_once_arrives_whole(greeter: Greeter):
    await greeter.allow(permit(BUYER))
    with await greeter.line(await new_svid(greeter.mesh.ca, BUYER)) as line:
        await asyncio.to_thread(line.sendall, b"x" * 1_000_000)
        await greeter.mesh.eventually(lambda: greeter.told == 1_000_000)
