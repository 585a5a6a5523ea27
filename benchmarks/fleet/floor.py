"""What is the least that telling N proxies can take? Bytes that are there, sent by a server that does nothing else."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from statistics import median

import grpc

from fleet.control import Control
from fleet.fleet import Fleet
from fleet.proxies import ECHO
from meshlab.xds import credentials


async def floor(control: Control, proxies: Fleet, streams: int, size: int, runs: int) -> float:
    """Milliseconds (median) from the first of `streams` messages, of `size` bytes together, to the last answer."""
    streams = min(streams, control.count)  # Envoys can't echo
    payload = bytes(size // streams)
    bells: list[asyncio.Event] = []
    answered, connected = asyncio.Event(), asyncio.Event()
    waiting = 0

    async def echo(_: AsyncIterator[bytes], context: grpc.aio.ServicerContext[bytes, bytes]) -> None:
        nonlocal waiting
        await context.read()
        bell = asyncio.Event()
        bells.append(bell)
        if len(bells) == streams:
            connected.set()
        while True:
            await bell.wait()
            bell.clear()
            await context.write(payload)
            await context.read()
            waiting -= 1
            if not waiting:
                answered.set()

    server = grpc.aio.server()
    _, service, method = ECHO.split("/")
    handler = grpc.stream_stream_rpc_method_handler(echo)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {method: handler}),))
    port = server.add_secure_port("127.0.0.1:0", credentials(lambda: control.pair))
    await server.start()
    times = []
    try:
        await proxies.tell(do="echo", port=port, count=streams)
        await connected.wait()
        for _ in range(runs):
            waiting = streams
            answered.clear()
            began = time.perf_counter()
            for bell in bells:
                bell.set()
            await answered.wait()
            times.append((time.perf_counter() - began) * 1000)
    finally:
        await proxies.tell(do="leave")
        await server.stop(None)
    return median(times)
