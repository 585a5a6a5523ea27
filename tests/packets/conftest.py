"""Two pods on a bridge, in namespaces of their own, and sockets of theirs for the tests to hold."""

from __future__ import annotations

import select
import socket
import struct
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import IPv4Interface
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from meshlab import nft
from meshlab.cluster.embedded.node.namespaces.client import Holder
from meshlab.cluster.embedded.node.namespaces.entry import prefix
from meshlab.cluster.embedded.node.namespaces.holder import NODE

TCP, UDP = socket.SOCK_STREAM, socket.SOCK_DGRAM
_ORIGINAL_DESTINATION = 80
_SECONDS = 5


@dataclass(frozen=True)
class Arrival:
    """What a server saw of a connection that came to it."""

    at: tuple[str, int]
    """Where the server listens."""
    caller: str
    meant_for: tuple[str, int]
    """Where the caller wanted to go."""


@dataclass
class Place:
    """A network: the node's or a pod's."""

    holder: Holder
    name: str
    address: str
    servers: list[socket.socket]
    """Of all places."""
    namespaces: list[str] = field(default_factory=list)
    """The paths of a pod's."""

    def socket(self, kind: int = TCP) -> socket.socket:
        return self.holder.open_socket(self.name, socket.AF_INET, kind)

    def way(self) -> socket.socket:
        """For rules."""
        return self.holder.open_socket(self.name, *nft.WAY)

    def run(self, command: list[str], hidden: Path, *capabilities: str, stdin: str = "") -> CompletedProcess[str]:
        """Run a command there, as a container is run; `hidden` is a folder that it does not see."""
        whole = [*prefix(self.namespaces, {}, hidden=hidden, capabilities=capabilities), *command]
        return subprocess.run(whole, input=stdin, capture_output=True, text=True, check=False, timeout=60)

    def apply(self, *chains: nft.Chain, name: str = "test") -> None:
        with self.way() as way:
            nft.apply(nft.encode(nft.Table(name, chains)), way)

    def listen(self, port: int, kind: int = TCP, address: str = "0.0.0.0") -> None:
        server = self.socket(kind)
        self.servers.append(server)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((address, port))
        if kind == TCP:
            server.listen(200)

    def call(self, address: str, port: int, *, kind: int = TCP, mark: int = 0, source: str = "", own_port: int = 0):
        """Where a connection arrives; the exception when it doesn't."""
        with self.socket(kind) as client:
            client.settimeout(_SECONDS)
            if mark:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, mark)
            if source or own_port:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                client.bind((source, own_port))
            try:
                client.connect((address, port))
                if kind == UDP:
                    client.send(b"hello")
            except OSError as error:
                return type(error)
            return self._arrival(kind)

    def _arrival(self, kind: int) -> Arrival:
        servers = [server for server in self.servers if server.type == kind]
        ready, _, _ = select.select(servers, [], [], _SECONDS)
        assert ready, "it arrived nowhere"
        [server] = ready
        if kind == UDP:
            _, caller = server.recvfrom(100)
            return Arrival(server.getsockname(), caller[0], ("", 0))
        connection, caller = server.accept()
        with connection:
            meant = connection.getsockname()
            with suppress(OSError):  # no rule of any kind has seen it
                raw = connection.getsockopt(socket.IPPROTO_IP, _ORIGINAL_DESTINATION, 16)
                port, address = struct.unpack("!2xH4s8x", raw)
                meant = socket.inet_ntoa(address), port
            return Arrival(connection.getsockname(), caller[0], meant)


@dataclass
class Wires:
    """A node and two pods on its bridge."""

    node: Place
    here: Place
    there: Place


@pytest.fixture(scope="module")
def _holder(unavailable: Callable[[str], None]) -> Iterator[Holder]:
    try:
        holder = Holder()
    except OSError as error:
        unavailable(f"a network namespace of one's own ({error.strerror})")
    with holder:
        holder.make_node(IPv4Interface("10.77.0.1/16"))
        yield holder


_numbers = iter(range(2, 1 << 15))


@pytest.fixture
def wires(_holder: Holder) -> Iterator[Wires]:
    """Two new pods; nothing listens anywhere."""
    servers: list[socket.socket] = []

    def pod() -> Place:
        address = f"10.77.0.{next(_numbers)}"
        paths = _holder.make_pod(address, "pod", IPv4Interface(f"{address}/16"))
        return Place(_holder, address, address, servers, paths)

    made = Wires(Place(_holder, NODE, "10.77.0.1", servers), pod(), pod())
    yield made
    for server in servers:
        server.close()
    for place in (made.here, made.there):
        _holder.forget(place.name)
