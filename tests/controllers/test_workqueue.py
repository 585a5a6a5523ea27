"""One object at a time, as soon as it changes, again after a failure."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest

from meshlab.cluster.embedded.controllers.workqueue import WorkQueue
from meshlab.kube import ApiError


@asynccontextmanager
async def working(sync):
    queue = WorkQueue("test", sync)
    task = asyncio.create_task(queue.run())
    yield queue
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_one_key_is_never_worked_on_twice_at_once_and_others_do_not_wait():
    running, both, gate = set(), asyncio.Event(), asyncio.Event()

    async def sync(key):
        assert key not in running
        running.add(key)
        if len(running) == 2:
            both.set()
        await gate.wait()
        running.discard(key)

    async with working(sync) as queue:
        for key in [("a", "1"), ("a", "1"), ("b", "1")]:
            queue.add(key)
        await asyncio.wait_for(both.wait(), 5)
        queue.add(("a", "1"))
        gate.set()


async def test_a_change_during_a_sync_brings_one_more():
    seen, begun = [], asyncio.Event()

    async def sync(key):
        seen.append(key)
        if len(seen) == 1:
            begun.set()
            await asyncio.sleep(0)
        else:
            done.set()

    done = asyncio.Event()
    async with working(sync) as queue:
        queue.add(("a", "1"))
        await begun.wait()
        queue.add(("a", "1"))
        queue.add(("a", "1"))
        await asyncio.wait_for(done.wait(), 5)
    assert len(seen) == 2


async def test_a_conflict_is_tried_again_at_once():
    tries, done = [], asyncio.Event()

    async def sync(key):
        tries.append(asyncio.get_running_loop().time())
        if len(tries) == 1:
            raise ApiError(409, {"reason": "Conflict"}, "x")
        done.set()

    async with working(sync) as queue:
        queue.add(("a", "1"))
        await asyncio.wait_for(done.wait(), 5)
    assert tries[1] - tries[0] < 0.1


async def test_a_failure_waits_longer_each_time_and_a_change_cuts_that_short():
    tries, done = [], asyncio.Event()

    async def sync(key):
        tries.append(key)
        if len(tries) == 12:
            done.set()
        raise RuntimeError("not yet")

    async with working(sync) as queue:
        queue.add(("a", "1"))
        async with asyncio.timeout(10):
            while not done.is_set():
                queue.add(("a", "1"))
                await asyncio.sleep(0)


async def test_a_wish_for_later_comes_true():
    done = asyncio.Event()

    async def sync(key):
        done.set()

    async with working(sync) as queue:
        queue.add_after(("a", "1"), 60)
        queue.add_after(("a", "1"), 0.01)
        await asyncio.wait_for(done.wait(), 5)
