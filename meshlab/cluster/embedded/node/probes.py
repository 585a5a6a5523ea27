"""Is a container alive, ready, started? Asked as its probes say, by HTTP, TCP or a command."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp

from meshlab.cluster.embedded.node.runtime import Run, StartError

_FIRST_DELAY, _LONGEST_DELAY = 0.02, 0.5
_SHOWN = 500


@dataclass(frozen=True, slots=True)
class Result:
    """What one attempt found, and in a reader's words why it failed."""

    ok: bool
    why: str = ""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a container's probes and hooks go."""

    address: str
    ports: Mapping[str, int]
    """Named ports of the container."""
    execute: Callable[[list[str], float], Awaitable[Run]]
    http: aiohttp.ClientSession
    connect: Callable[[str, int], Awaitable[socket.socket]]

    def port(self, port: int | str) -> int:
        """The number of a port that may be a name."""
        return self.ports[port] if isinstance(port, str) and port in self.ports else int(port)


async def follow(probe: Mapping[str, Any], target: Target, *, eager: bool) -> AsyncIterator[tuple[Result, bool]]:
    """Every attempt's result that counts, and whether as many in a row as the threshold asks agree; forever.

    `eager`: until the first success there are more attempts than the period asks for; of those only a success counts.
    """
    await asyncio.sleep(probe.get("initialDelaySeconds", 0))
    period, hasty = probe.get("periodSeconds", 10), eager
    threshold = {True: probe.get("successThreshold", 1), False: probe.get("failureThreshold", 3)}
    before, in_a_row = None, 0
    while True:
        result = await (_attempt_for(period, probe, target) if hasty else attempt(probe, target))
        in_a_row = in_a_row + 1 if result.ok == before else 1
        before, hasty = result.ok, hasty and not result.ok
        yield result, in_a_row >= threshold[result.ok]
        if not hasty:
            await asyncio.sleep(period)


async def _attempt_for(seconds: float, probe: Mapping[str, Any], target: Target) -> Result:
    """Ask again and again until the first success, or until the time is over."""
    deadline, delay = time.monotonic() + seconds, _FIRST_DELAY
    while True:
        result = await attempt(probe, target)
        left = deadline - time.monotonic()
        if result.ok or left <= 0:
            return result
        await asyncio.sleep(min(delay, left))
        delay = min(2 * delay, _LONGEST_DELAY)


async def attempt(handler: Mapping[str, Any], target: Target) -> Result:
    """Ask once, within the probe's timeout."""
    seconds = handler.get("timeoutSeconds", 1)
    if "exec" in handler:
        return await _execute(handler["exec"]["command"], target, seconds)
    try:
        async with asyncio.timeout(seconds):
            if "httpGet" in handler:
                return await _get(handler["httpGet"], target)
            return await _connect(handler["tcpSocket"], target)
    except TimeoutError:
        return Result(ok=False, why=f"no answer within {seconds} s")
    except (OSError, aiohttp.ClientError, KeyError, ValueError) as error:
        return Result(ok=False, why=str(error) or type(error).__name__)


async def _get(action: Mapping[str, Any], target: Target) -> Result:
    scheme, path = action.get("scheme", "HTTP").lower(), action.get("path") or "/"
    host, port = action.get("host") or target.address, target.port(action["port"])
    headers = {entry["name"]: entry["value"] for entry in action.get("httpHeaders") or []}
    url = f"{scheme}://{host}:{port}{path if path.startswith('/') else '/' + path}"
    async with target.http.get(url, headers=headers, ssl=False, allow_redirects=False) as response:
        if 200 <= response.status < 400:
            return Result(ok=True)
        return Result(ok=False, why=f"HTTP probe failed with statuscode: {response.status}")


async def _connect(action: Mapping[str, Any], target: Target) -> Result:
    host = action.get("host") or target.address
    (await target.connect(host, target.port(action["port"]))).close()
    return Result(ok=True)


async def _execute(command: list[str], target: Target, seconds: float) -> Result:
    try:
        done = await target.execute(command, seconds)
    except StartError as error:
        return Result(ok=False, why=str(error))
    if done.code is None:
        return Result(ok=False, why=f'command "{" ".join(command)}" timed out after {seconds} s')
    return Result(ok=done.code == 0, why=done.output.decode(errors="replace")[:_SHOWN].strip())
