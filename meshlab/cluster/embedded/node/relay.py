"""How do bytes get from one connection to another?"""

from __future__ import annotations

import asyncio
from contextlib import suppress

_CHUNK = 64 * 2**10


async def join(
    client: tuple[asyncio.StreamReader, asyncio.StreamWriter], server: tuple[asyncio.StreamReader, asyncio.StreamWriter]
) -> None:
    """Pass bytes both ways until both ends have said all; an end that breaks off ends the other too."""
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_copy(client[0], server[1]))
            tasks.create_task(_copy(server[0], client[1]))
    except* OSError:
        pass
    finally:
        await close(server[1])


async def close(writer: asyncio.StreamWriter) -> None:
    """Close a connection, whatever state it is in."""
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(_CHUNK):
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()
