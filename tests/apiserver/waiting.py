"""Waiting for what a server does in its own time, with a bound."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

SECONDS = 20.0


async def until(true: Callable[[], Awaitable[bool]]) -> None:
    """Ask until the answer is yes; a TimeoutError after 20 seconds."""
    async with asyncio.timeout(SECONDS):
        while not await true():  # noqa: ASYNC110  # another process decides: there is no event to wait for
            await asyncio.sleep(0.05)
