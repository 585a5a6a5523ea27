"""What is the least that telling N proxies can take? Bytes that are there, sent by a server that does nothing else."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc

from fleet.control import Control
from fleet.fleet import Fleet
from fleet.proxies import ECHO
from meshlab.xds import credentials


class Floor:
    """A bare server that each simulated proxy has one more connection to."""

    def __init__(self, proxies: int) -> None:
        self._proxies = proxies
        self._payload = b""
        self._bells: list[asyncio.Event] = []
        self._waiting = 0
        self._answered = asyncio.Event()
        self.connected = asyncio.Event()

    async def echo(self, _: AsyncIterator[bytes], context: grpc.aio.ServicerContext[bytes, bytes]) -> None:
        """One connection: send when told to, and wait for an answer."""
        await context.read()
        bell = asyncio.Event()
        self._bells.append(bell)
        if len(self._bells) == self._proxies:
            self.connected.set()
        while True:
            await bell.wait()
            bell.clear()
            await context.write(self._payload)
            await context.read()
            self._waiting -= 1
            if not self._waiting:
                self._answered.set()

    async def send(self, proxies: int, size: int) -> float:
        """Milliseconds from the first of so many messages, of `size` bytes together, to the last answer."""
        told = self._bells[:proxies]  # Envoys can't echo
        self._payload = bytes(size // len(told))
        self._waiting = len(told)
        self._answered.clear()
        began = time.perf_counter()
        for bell in told:
            bell.set()
        await self._answered.wait()
        return (time.perf_counter() - began) * 1000


@asynccontextmanager
async def floor(control: Control, proxies: Fleet) -> AsyncIterator[Floor]:
    """The server, once every proxy has connected to it."""
    floor = Floor(control.count)
    server = grpc.aio.server()
    _, service, method = ECHO.split("/")
    handler = grpc.stream_stream_rpc_method_handler(floor.echo)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {method: handler}),))
    port = server.add_secure_port("127.0.0.1:0", credentials(lambda: control.pair))
    await server.start()
    try:
        await proxies.tell(do="echo", port=port)
        await floor.connected.wait()
        yield floor
    finally:
        await server.stop(None)
