"""What a container writes goes to its log and to those who look on; neither can harm it."""

from __future__ import annotations

import asyncio
import os

import pytest

from meshlab.cluster.embedded.node.console import Console
from meshlab.cluster.embedded.node.logs import ContainerLog, LogOptions
from meshlab.cluster.embedded.node.marks import Seal
from meshlab.cluster.embedded.node.runtime import Command, Process


@pytest.fixture
async def run(tmp_path):
    """Runs a script as a container with a spec: its process and its console."""
    consoles, own = [], ContainerLog(tmp_path / "0.log")

    async def start(script, log=own, **spec):
        console = Console(spec, log)
        consoles.append(console)
        command = Command(["sh", "-c", script], {"PATH": os.environ["PATH"]}, tmp_path, Seal("node", "uid"))
        process = await Process.start(command, console.ends)
        console.begin()
        return process, console

    yield start
    for console in consoles:
        console.stop()
    own.close()


async def read(pipe):
    said = b""
    while data := await pipe.get():
        said += data
    return said


async def test_everybody_sees_what_is_written_and_its_end(run, tmp_path):
    log = ContainerLog(tmp_path / "1.log")
    process, console = await run("read line; echo out $line; echo err >&2", log, stdin=True)
    one, other = console.join({"stdout", "stderr"}), console.join({"stdout"})
    await console.write(b"word\n")
    seen = asyncio.gather(read(one["stdout"]), read(one["stderr"]), read(other["stdout"]))
    assert await process.wait() == 0
    await console.finish()
    log.close()
    assert await seen == [b"out word\n", b"err\n", b"out word\n"]
    assert sorted([line async for line in log.read(LogOptions())]) == [b"err\n", b"out word\n"]


async def test_one_who_comes_after_the_end_is_sent_away(run):
    process, console = await run("true")
    await process.wait()
    await console.finish()
    assert await asyncio.wait_for(read(console.join({"stdout"})["stdout"]), 5) == b""


async def test_one_who_looks_away_holds_up_the_container_until_it_leaves(run):
    process, console = await run("head -c 3000000 /dev/zero | tr '\\0' x")
    idle = console.join({"stdout"})
    waiting = asyncio.create_task(process.wait())
    assert not (await asyncio.wait([waiting], timeout=0.3))[0]
    console.leave(idle)
    assert await asyncio.wait_for(waiting, 20) == 0


async def test_a_log_that_can_not_be_written_does_not_stop_a_container(run):
    class Full:
        def write(self, stream, data):
            raise OSError(28, "No space left on device")

    process, _ = await run("head -c 300000 /dev/zero", Full())
    assert await asyncio.wait_for(process.wait(), 20) == 0


@pytest.mark.parametrize(("once", "ends"), [(True, True), (False, False)])
async def test_input_that_is_opened_once_ends_with_the_first_who_wrote(run, once, ends):
    process, console = await run("cat", stdin=True, stdinOnce=once)
    console.end_input()
    waiting = asyncio.create_task(process.wait())
    assert bool((await asyncio.wait([waiting], timeout=10 if ends else 0.3))[0]) == ends
    await process.stop(0)
    await waiting
