import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web
from kubernetes.aio.client import Configuration

from meshlab.kube import Kube
from meshlab.lab.stream import ROOT, Stream

PATIENCE = 10


class FakeStream:
    """A control plane that says some lines, then breaks off, as one that is killed does."""

    def __init__(self, *connections: list[float]) -> None:
        self._connections = list(connections)
        self.asked_since: list[str | None] = []
        self.open = 0
        self.closed = asyncio.Event()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked_since.append(request.query.get("since"))
        response = web.StreamResponse()
        await response.prepare(request)
        times = self._connections.pop(0)
        for t in times:
            await response.write(json.dumps({"t": t, "window": 0.5, "permissive": True, "edges": []}).encode() + b"\n")
        if not self._connections:
            self.open += 1
            try:
                await asyncio.Event().wait()
            finally:
                self.open -= 1
                self.closed.set()
        return response

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[Kube]:
        app = web.Application()
        app.add_routes([web.get(f"{ROOT}/stream", self.handle)])
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        configuration = Configuration()
        configuration.host = f"http://127.0.0.1:{runner.addresses[0][1]}"
        async with Kube(configuration) as kube:
            yield kube
        await runner.cleanup()


class Ear:
    def __init__(self) -> None:
        self.times: list[float] = []
        self.lost_because: list[str] = []
        self.changed = asyncio.Event()

    def heard(self, line) -> None:
        self.times.append(line["t"])
        self.changed.set()

    def lost(self, why: str) -> None:
        self.lost_because.append(why)
        self.changed.set()

    async def until(self, condition) -> None:
        async with asyncio.timeout(PATIENCE):
            while not condition():
                await self.changed.wait()
                self.changed.clear()


async def test_every_listener_hears_every_line() -> None:
    fake, first, second = FakeStream([1.0, 1.5, 2.0]), Ear(), Ear()
    async with fake.serve() as kube:
        stream = Stream(kube)
        await stream.add(first)
        await stream.add(second)
        await first.until(lambda: first.times == [1.0, 1.5, 2.0])
        await second.until(lambda: second.times == [1.0, 1.5, 2.0])
        assert fake.asked_since == [None], "one connection serves both"
        await stream.remove(first)
        await stream.remove(second)


async def test_after_a_break_it_goes_on_where_it_was_and_says_so() -> None:
    fake, ear = FakeStream([1.0, 1.5], [2.0]), Ear()
    async with fake.serve() as kube:
        stream = Stream(kube)
        await stream.add(ear)
        await ear.until(lambda: ear.times == [1.0, 1.5, 2.0])
        assert len(ear.lost_because) == 1
        assert fake.asked_since == [None, "1.500"], "no slot of time is missed"
        await stream.remove(ear)


async def test_the_last_listener_to_leave_closes_the_connection() -> None:
    fake, ear = FakeStream([1.0]), Ear()
    async with fake.serve() as kube:
        stream = Stream(kube)
        await stream.add(ear)
        await ear.until(lambda: ear.times == [1.0])
        assert fake.open == 1
        await stream.remove(ear)
        await asyncio.wait_for(fake.closed.wait(), PATIENCE)
