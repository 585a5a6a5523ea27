"""How do a command's streams travel? Over one WebSocket, whose messages begin with a byte that says which it is.

`v5.channel.k8s.io` is what kubectl speaks, `v4.channel.k8s.io` what the official Python client does: there, the end
of standard input can't be told.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from meshlab.cluster.embedded.apiserver import status
from meshlab.cluster.embedded.apiserver.upgrade import WebSocket, choose
from meshlab.cluster.embedded.pod_streams import CommandError, NotRunningError, StreamSession, Wanted

if TYPE_CHECKING:
    from aiohttp import web

    from meshlab.cluster.embedded.apiserver.request import Call

log = logging.getLogger(__name__)

_PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
_STDIN, _ERROR, _RESIZE, _CLOSE = 0, 3, 4, 255
_CHANNELS = {"stdout": 1, "stderr": 2}
_TRUE = ("true", "1", "t", "T", "TRUE", "True")

Open = Callable[[Wanted], Awaitable[StreamSession]]
"""Starts or joins what the client wants. Raises NotRunningError and CommandError."""


def wanted(call: Call) -> Wanted:
    """The streams that the query asks for. Raises 400 when it is none."""
    asked = {name for name in ("stdin", "stdout", "stderr", "tty") if call.query.get(name) in _TRUE}
    if not asked - {"tty"}:
        raise status.bad_request("you must specify at least 1 of stdin, stdout, stderr")
    outputs = asked & _CHANNELS.keys() - ({"stderr"} if "tty" in asked else set())
    return Wanted("stdin" in asked, frozenset(outputs), "tty" in asked)


async def serve(call: Call, open_: Open) -> web.StreamResponse:
    """Carry the streams until the command ends or the client goes."""
    streams = wanted(call)
    socket = WebSocket(call, choose(call, _PROTOCOLS))
    await socket.open()
    return await socket.serve(_carry(socket, streams, open_))


async def _carry(socket: WebSocket, streams: Wanted, open_: Open) -> None:
    with suppress(OSError):  # the client has gone: there is nobody to tell
        await socket.write(bytes([min((_CHANNELS[name] for name in streams.outputs), default=_ERROR)]))
        try:
            session = await open_(streams)
        except (CommandError, NotRunningError) as error:
            said = status.internal(f"error executing command in container: {error}").to_dict()
            await _tell(socket, said | {"metadata": {}})
            return
        try:
            await _run(socket, session)
        finally:
            await session.end()


async def _run(socket: WebSocket, session: StreamSession) -> None:
    """Both ways, until the command has ended and all it wrote is sent, or the client has gone."""
    talking = asyncio.ensure_future(_listen(socket, session))
    sending = asyncio.ensure_future(_send_all(socket, session))
    try:
        await asyncio.wait((talking, sending), return_when=asyncio.FIRST_COMPLETED)
        if sending.done():
            await _tell(socket, _outcome(sending.result()))
    finally:
        for task in (talking, sending):
            task.cancel()
        await asyncio.gather(talking, sending, return_exceptions=True)


async def _listen(socket: WebSocket, session: StreamSession) -> None:
    """What the client says, until it goes."""
    while message := await socket.read():
        channel, data = message[0], message[1:]
        if channel == _STDIN:
            await session.write(data)
        elif channel == _RESIZE:
            with suppress(ValueError, KeyError, TypeError):
                size = json.loads(data)
                session.resize(size["Width"], size["Height"])
        elif channel == _CLOSE and data == bytes([_STDIN]):
            session.end_input()


async def _send_all(socket: WebSocket, session: StreamSession) -> int:
    """Its exit code, when everything it wrote is sent."""
    await asyncio.gather(*(_send(socket, session, name) for name in session.outputs))
    return await session.wait()


async def _send(socket: WebSocket, session: StreamSession, output: str) -> None:
    channel = bytes([_CHANNELS[output]])
    while data := await session.read(output):
        await socket.write(channel + data)


async def _tell(socket: WebSocket, outcome: dict[str, Any]) -> None:
    await socket.write(bytes([_ERROR]) + json.dumps(outcome).encode())


def _outcome(code: int) -> dict[str, Any]:
    if code == 0:
        return {"metadata": {}, "status": "Success"}
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"command terminated with non-zero exit code: command terminated with exit code {code}",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }
