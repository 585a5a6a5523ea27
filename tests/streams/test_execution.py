"""Commands with pipes or a terminal; what they leave behind is known: nothing, once their client has gone."""

from __future__ import annotations

import asyncio
import hashlib
import os
import secrets

import psutil
import pytest

from meshlab.cluster.embedded.node.execution import Execution
from meshlab.cluster.embedded.node.marks import Seal
from meshlab.cluster.embedded.node.runtime import Command, StartError
from meshlab.cluster.embedded.pod_streams import Wanted

BOTH = Wanted(stdin=True, outputs=frozenset({"stdout", "stderr"}))
TERMINAL = Wanted(stdin=True, outputs=frozenset({"stdout"}), tty=True)


@pytest.fixture
async def start(tmp_path):
    """Starts shell scripts. At the end every process, task and descriptor of theirs is gone."""
    seal, running = Seal(f"{tmp_path}-{secrets.token_hex(4)}", "uid"), []
    tasks, descriptors = asyncio.all_tasks(), set(os.listdir("/proc/self/fd"))  # noqa: PTH208

    async def run(script, wanted=BOTH):
        command = Command(["sh", "-c", script], {"PATH": os.environ["PATH"]}, tmp_path, seal)
        running.append(await Execution.start(command, wanted))
        return running[-1]

    yield run
    await asyncio.gather(*(each.end() for each in running))
    async with asyncio.timeout(30):
        while asyncio.all_tasks() - tasks - {asyncio.current_task()}:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert len(os.listdir("/proc/self/fd")) <= len(descriptors)  # noqa: PTH208
    assert not [each for each in psutil.process_iter() if _is_marked(each, seal.node)]


def _is_marked(process, node):
    try:
        return node in process.environ().values()
    except psutil.Error:
        return False


async def read(execution, output="stdout"):
    said = b""
    while data := await execution.read(output):
        said += data
    return said


async def shows(execution, text):
    said = b""
    while text not in said:
        data = await asyncio.wait_for(execution.read("stdout"), 30)
        assert data, said
        said += data
    return said


async def test_outputs_are_apart_and_the_exit_code_is_told(start):
    execution = await start("echo out; echo err >&2; exit 7")
    assert await asyncio.gather(read(execution), read(execution, "stderr")) == [b"out\n", b"err\n"]
    assert await execution.wait() == 7


async def test_input_is_read_to_its_end(start):
    execution = await start("sha256sum")
    await execution.write(b"0" * 1_000_000)
    execution.end_input()
    assert (await read(execution)).split()[0].decode() == hashlib.sha256(b"0" * 1_000_000).hexdigest()


async def test_only_the_streams_that_are_wanted_are_there(start):
    execution = await start("cat; echo err >&2; echo out", Wanted(outputs=frozenset({"stderr"})))
    assert execution.outputs == ("stderr",)
    assert await read(execution, "stderr") == b"err\n"


async def test_one_left_in_the_background_holds_up_nobody_and_goes_on(start, tmp_path):
    execution = await start("sleep 600 & echo $! > background; echo done")
    assert await asyncio.wait_for(read(execution), 20) == b"done\n"
    assert await execution.wait() == 0
    await execution.end()
    background = psutil.Process(int((tmp_path / "background").read_text()))
    assert background.is_running()
    background.kill()


async def test_a_terminal_is_one_with_a_size_and_with_signals(start):
    execution = await start("tty; trap 'stty size' WINCH; echo ready; while :; do sleep 0.05; done", TERMINAL)
    assert b"/dev/pts/" in await shows(execution, b"ready")
    execution.resize(91, 37)
    await shows(execution, b"37 91")
    await execution.write(b"\x03")
    assert await execution.wait() == 130


@pytest.mark.parametrize("wanted", [BOTH, TERMINAL])
@pytest.mark.parametrize(
    "script", ["exec sleep 600", "setsid sleep 600 & wait", "trap '' HUP TERM; while :; do sleep 1; done"]
)
async def test_its_end_is_the_end_of_all_it_started(start, script, wanted):
    execution = await start(f"echo up; {script}", wanted)
    await shows(execution, b"up")
    await execution.end()


async def test_who_writes_to_one_that_does_not_read_waits_and_is_let_go(start):
    execution = await start("sleep 600")
    writing = asyncio.create_task(execution.write(bytes(10_000_000)))
    assert not (await asyncio.wait([writing], timeout=0.2))[0]
    await execution.end()
    await asyncio.wait_for(writing, 5)


@pytest.mark.parametrize(
    ("program", "why"),
    [
        ("no-such-program", r"executable file not found in \$PATH"),
        ("./no-such-program", "no such file or directory"),
        ("./no-program", "permission denied"),
    ],
)
async def test_a_program_that_can_not_be_started_is_named(tmp_path, program, why):
    (tmp_path / "no-program").touch(0o644)
    command = Command([program], {"PATH": os.environ["PATH"]}, tmp_path, Seal("node", "uid"))
    for wanted in (BOTH, TERMINAL):
        with pytest.raises(StartError, match=f'exec: "{program}": {why}'):
            await Execution.start(command, wanted)
