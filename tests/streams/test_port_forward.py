"""Forwarded connections over SPDY, spoken by a client of the test's own; nothing of them remains afterwards."""

from __future__ import annotations

import asyncio

import pytest

from meshlab.cluster.embedded.apiserver import spdy
from meshlab.cluster.embedded.apiserver.port_forward import Forwarding
from meshlab.cluster.embedded.pipe import Pipe


class Memory:
    """A wire in memory, and a client at its other end."""

    def __init__(self):
        self.sent, self.answered = Pipe(), Pipe()
        self._writer, self._reader = spdy.FrameWriter(), spdy.FrameReader()
        self._frames = []

    async def read(self):
        return await self.sent.get()

    async def write(self, data):
        await self.answered.put(data)

    async def say(self, *frames):
        for frame in frames:
            await self.sent.put(self._writer.bytes_of(frame))

    async def open(self, port, request=1):
        """The two streams of a connection: their numbers."""
        numbers = 4 * request - 3, 4 * request - 1
        for number, kind in zip(numbers, ("error", "data"), strict=True):
            headers = {"streamtype": kind, "port": str(port), "requestid": str(request)}
            await self.say(spdy.SynStream(number, headers))
            assert await self.frame() == spdy.SynReply(number)
        return numbers

    async def frame(self):
        while not self._frames:
            data = await asyncio.wait_for(self.answered.get(), 30)
            assert data, "the server has hung up"
            self._frames += self._reader.feed(data)
        return self._frames.pop(0)

    async def read_stream(self, number):
        """All that a stream says to its end; what other streams say is put back."""
        said, others = b"", []
        while True:
            frame = await self.frame()
            if isinstance(frame, spdy.Reset) and frame.stream == number:
                said = None
            elif not isinstance(frame, spdy.Data) or frame.stream != number:
                others.append(frame)
                continue
            else:
                said += frame.data
            if said is None or frame.fin:
                self._frames = others + self._frames
                return said


async def upper(reader, writer):
    async for line in reader:
        writer.write(line.upper())
        await writer.drain()
    writer.write(b"BYE")
    writer.close()


@pytest.fixture
async def tunnel():
    """A client of a server that answers in capitals. At the end no task is left."""
    before = asyncio.all_tasks()
    server = await asyncio.start_server(upper, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]

    async def dial(asked):
        return await asyncio.open_connection("127.0.0.1", port if asked == 80 else asked)

    wire = Memory()
    running = asyncio.create_task(Forwarding(wire, dial, "uid").run())
    yield wire
    wire.sent.finish()
    await asyncio.wait_for(running, 10)
    server.close()
    await asyncio.wait_for(server.wait_closed(), 10)
    async with asyncio.timeout(30):
        while asyncio.all_tasks() - before - {asyncio.current_task()}:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_bytes_go_both_ways_until_the_client_has_said_all(tunnel):
    error, data = await tunnel.open(80)
    await tunnel.say(spdy.Data(error, b"", fin=True), spdy.Data(data, b"one\ntw"), spdy.Data(data, b"o\n", fin=True))
    assert await tunnel.read_stream(data) == b"ONE\nTWO\nBYE"
    assert await tunnel.read_stream(error) == b""


async def test_connections_know_nothing_of_each_other(tunnel):
    pairs = [await tunnel.open(80, request) for request in range(1, 6)]
    for number, (_, data) in enumerate(pairs):
        await tunnel.say(spdy.Data(data, b"line %d\n" % number, fin=True))
    for number, (_, data) in reversed(list(enumerate(pairs))):
        assert await tunnel.read_stream(data) == b"LINE %d\nBYE" % number


async def test_a_port_where_nobody_listens_is_told_on_the_error_stream(tunnel, unused_port):
    error, data = await tunnel.open(unused_port)
    said = await tunnel.read_stream(error)
    assert said.startswith(b"error forwarding port %d to pod uid, uid : " % unused_port)
    assert said.endswith(b"connect: connection refused")
    assert await tunnel.read_stream(data) is None


async def test_a_client_that_resets_its_stream_is_done_with(tunnel):
    error, data = await tunnel.open(80)
    await tunnel.say(spdy.Data(data, b"begun\n"))
    assert await tunnel.frame() == spdy.Data(data, b"BEGUN\n")
    await tunnel.say(spdy.Reset(data))
    assert await tunnel.read_stream(error) == b""


async def test_a_server_that_breaks_off_ends_the_stream(tunnel):
    async def break_off(reader, writer):
        await reader.readline()
        writer.transport.abort()

    async with await asyncio.start_server(break_off, "127.0.0.1", 0) as server:
        error, data = await tunnel.open(server.sockets[0].getsockname()[1])
        await tunnel.say(spdy.Data(data, b"x\n"))
        assert not await tunnel.read_stream(data)
        assert await tunnel.read_stream(error) == b""


@pytest.mark.parametrize(
    "headers",
    [
        {"streamtype": "data", "port": "80"},
        {"streamtype": "data", "port": "0", "requestid": "1"},
        {"streamtype": "data", "port": "65536", "requestid": "1"},
        {"streamtype": "other", "port": "80", "requestid": "1"},
    ],
)
async def test_a_stream_that_makes_no_sense_is_refused(tunnel, headers):
    await tunnel.say(spdy.SynStream(1, headers))
    assert await tunnel.frame() == spdy.Reset(1, spdy.REFUSED_STREAM)


async def test_a_ping_comes_back(tunnel):
    await tunnel.say(spdy.Ping(7), spdy.Other(4, b"settings"), spdy.Ping(9))
    assert [await tunnel.frame() for _ in range(2)] == [spdy.Ping(7), spdy.Ping(9)]


async def test_what_is_no_spdy_ends_the_connection(tunnel):
    _, data = await tunnel.open(80)
    await tunnel.say(spdy.Data(data, b"open"))
    await tunnel.sent.put(b"GET / HTTP/1.1\r\nthis is not what was agreed upon\r\n" * 3000)


@pytest.fixture
async def unused_port():
    server = await asyncio.start_server(upper, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    return port
