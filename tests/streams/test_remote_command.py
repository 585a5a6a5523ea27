"""A command's streams over one WebSocket, with a node of the test's own behind it."""

from __future__ import annotations

import asyncio
import json

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import RawTestServer

from meshlab.cluster.embedded.apiserver import remote_command
from meshlab.cluster.embedded.apiserver.request import Call, User, request_info
from meshlab.cluster.embedded.apiserver.status import StatusError
from meshlab.cluster.embedded.pipe import Pipe
from meshlab.cluster.embedded.pod_streams import CommandError

V5, V4 = "v5.channel.k8s.io", "v4.channel.k8s.io"


class Echo:
    """A command that says what it is told, until its input ends."""

    def __init__(self, wanted):
        self.outputs = tuple(wanted.outputs)
        self.sizes, self.ended, self.read_count = [], asyncio.Event(), 0
        self._pipe = Pipe()

    async def read(self, output):
        self.read_count += 1
        return await self._pipe.get()

    async def write(self, data):
        await self._pipe.put(data)

    def end_input(self):
        self._pipe.finish()

    def resize(self, columns, rows):
        self.sizes.append((columns, rows))

    async def wait(self):
        return 3

    async def end(self):
        self._pipe.close()
        self.ended.set()


class Endless(Echo):
    """A command that always has something to say."""

    async def read(self, output):
        self.read_count += 1
        return bytes(32768)


@pytest.fixture
async def shell():
    """Opens WebSockets to a new command each; `commands` are those that were started. No task is left."""
    before = asyncio.all_tasks()
    sessions = []

    async def serve(http):
        call = Call(http, request_info(http.method, http.path, http.query), User("somebody"))

        async def start(wanted):
            kind = {"echo": Echo, "endless": Endless}.get(http.query["command"])
            if kind is None:
                raise CommandError("no such program")
            sessions.append(kind(wanted))
            return sessions[-1]

        try:
            return await remote_command.serve(call, start)
        except StatusError as error:
            return web.json_response(error.to_dict(), status=error.code)

    async with RawTestServer(serve) as server, aiohttp.ClientSession() as client:

        def connect(command, protocol, streams="stdin=true&stdout=true"):
            return client.ws_connect(server.make_url(f"/?command={command}&{streams}"), protocols=[protocol])

        connect.commands, connect.client, connect.url = sessions, client, server.make_url("/?command=echo")
        yield connect
    async with asyncio.timeout(30):
        while asyncio.all_tasks() - before - {asyncio.current_task()}:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_input_output_size_end_and_exit_code_have_channels(shell):
    async with shell("echo", V5) as socket:
        assert socket.protocol == V5
        assert await socket.receive_bytes() == b"\x01"
        await socket.send_bytes(b'\x04{"Width":91,"Height":37}')
        await socket.send_bytes(b"\x00hello")
        assert await socket.receive_bytes() == b"\x01hello"
        await socket.send_bytes(b"\xff\x00")
        outcome = json.loads((await socket.receive_bytes())[1:])
        assert outcome["reason"] == "NonZeroExitCode"
        assert outcome["details"]["causes"] == [{"reason": "ExitCode", "message": "3"}]
        assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE
    assert shell.commands[0].sizes == [(91, 37)]
    assert shell.commands[0].ended.is_set()


async def test_a_program_that_can_not_be_started_is_told_on_the_error_channel(shell):
    async with shell("nothing", V4) as socket:
        assert await socket.receive_bytes() == b"\x01"
        outcome = json.loads((await socket.receive_bytes())[1:])
        assert (outcome["code"], outcome["reason"]) == (500, "InternalError")
        assert "no such program" in outcome["message"]


async def test_nonsense_from_a_client_is_passed_over(shell):
    async with shell("echo", V5) as socket:
        for message in (b"\x04no size", b'\x04{"Width":"wide"}', b"\x09what", b"\xff\x09", b"\x00still"):
            await socket.send_bytes(message)
        await socket.receive_bytes()
        assert await socket.receive_bytes() == b"\x01still"


@pytest.mark.parametrize("command", ["echo", "endless"])
async def test_a_command_ends_when_its_client_vanishes(shell, command):
    socket = await shell(command, V5)
    await socket.receive_bytes()
    socket._response.connection.transport.abort()
    await asyncio.wait_for(shell.commands[0].ended.wait(), 30)
    await socket.close()


async def test_a_client_that_does_not_read_makes_the_command_wait(shell):
    socket = await shell("endless", V5)
    await socket.receive_bytes()
    before, count = -1, 0
    async with asyncio.timeout(60):
        while before != (count := shell.commands[0].read_count):
            before = count
            await asyncio.sleep(0.3)
    assert count < 1000  # that is 32 MB, what the kernel keeps included
    await socket.close()


async def test_who_wants_no_web_socket_is_refused(shell):
    async with shell.client.get(f"{shell.url}&stdout=true") as answer:
        assert (answer.status, (await answer.json())["message"]) == (400, "Upgrade request required")
    with pytest.raises(aiohttp.WSServerHandshakeError, match="400"):
        await shell("echo", "v1.unknown.example")
    with pytest.raises(aiohttp.WSServerHandshakeError, match="400"):
        await shell("echo", V5, streams="tty=true")
