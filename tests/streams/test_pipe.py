"""A pipe between two tasks holds a few chunks, and lets everybody go at its end."""

from __future__ import annotations

import asyncio

from meshlab.cluster.embedded.pipe import Pipe


async def write(pipe, count):
    for number in range(count):
        await pipe.put(b"%d." % number)
    pipe.finish()


async def read(pipe):
    found = b""
    while data := await pipe.get():
        found += data
    return found


async def test_everything_arrives_in_order():
    pipe = Pipe()
    _, found = await asyncio.gather(write(pipe, 100), read(pipe))
    assert found == b"".join(b"%d." % number for number in range(100))
    assert await pipe.get() == b""


async def test_who_is_faster_waits():
    pipe = Pipe()
    writing = asyncio.create_task(write(pipe, 100))
    done, _ = await asyncio.wait([writing], timeout=0.05)
    assert not done
    assert (await read(pipe)).endswith(b"99.")
    await writing


async def test_closing_lets_a_writer_and_a_reader_go():
    full, empty = Pipe(), Pipe()
    tasks = [asyncio.create_task(write(full, 100)), asyncio.create_task(read(empty))]
    await asyncio.sleep(0)
    full.close()
    empty.close()
    await asyncio.wait_for(asyncio.gather(*tasks), 5)
    assert await full.get() == b""
