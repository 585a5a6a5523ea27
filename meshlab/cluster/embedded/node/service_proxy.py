"""How is a Service reached at its cluster IP? By a small kube-proxy in user space."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from functools import partial

from meshlab.cluster.embedded.node import relay
from meshlab.cluster.embedded.node.services import Address, Services

log = logging.getLogger(__name__)

_CONNECT_SECONDS = 5.0
_TRIES = 3


class ServiceProxy:
    """Listens on every Service's cluster IP and TCP ports and passes each connection to a ready endpoint in turn.

    A port below 1024 can't be bound by an ordinary user; it is passed over, with one line in the log.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._servers: dict[Address, asyncio.Server] = {}
        self._refused: set[Address] = set()
        self._targets: dict[Address, tuple[str, str, str]] = {}
        self._changed = asyncio.Event()
        services.listen(self._changed.set)

    async def run(self) -> None:
        """Follow the Services until cancelled; then no listener is left."""
        self._changed.set()
        try:
            while True:
                await self._changed.wait()
                self._changed.clear()
                await self._update()
        finally:
            for server in self._servers.values():
                server.close()

    async def _update(self) -> None:
        wanted = self._targets = self._services.listeners()
        for address in self._servers.keys() - wanted.keys():
            self._servers.pop(address).close()
        self._refused &= wanted.keys()
        for address in wanted.keys() - self._servers.keys() - self._refused:
            try:
                self._servers[address] = await asyncio.start_server(partial(self._serve, address), *address)
            except OSError as error:
                self._refused.add(address)
                log.warning("Service %s/%s has no relay at %s:%d: %s", *wanted[address][:2], *address, error.strerror)

    async def _serve(self, address: Address, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            target = self._targets.get(address)
            server = await connect(self._services, *target) if target else None
            if server:
                await relay.join((reader, writer), server)
        finally:
            await relay.close(writer)


async def connect(
    services: Services, namespace: str, name: str, port: str
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
    """A connection to a ready endpoint of a Service's port; None when none answers."""
    for _ in range(_TRIES):
        endpoint = services.pick(namespace, name, port)
        if endpoint is None:
            return None
        with suppress(OSError, TimeoutError):
            return await asyncio.wait_for(asyncio.open_connection(*endpoint), _CONNECT_SECONDS)
    return None
