"""How is a container run as a process, and how is it ended with everything it started?"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from meshlab.cluster.embedded.node.marks import Record, Seal
from meshlab.cluster.embedded.node.stdio import Descriptor, Ends

Output = Callable[[str, bytes], Awaitable[None]]
"""Takes what a process writes: the stream's name and some bytes."""

_TAKES_TERMINAL = (sys.executable, "-I", "-S", str(Path(__file__).with_name("controlling_terminal.py")))
_DRAIN_SECONDS = 1.0
_UMASK = 0o022
_KEPT = 10_240


class StartError(Exception):
    """The command can't be started. The text is what the container's status says."""


@dataclass(frozen=True, slots=True)
class Command:
    """What to run, where, with which variables."""

    argv: Sequence[str]
    environment: Mapping[str, str]
    folder: Path
    seal: Seal
    """What tells later that the process is ours."""
    prefix: Sequence[str] = ()
    """What brings it into its pod, before the command itself."""


class Process(asyncio.SubprocessProtocol):
    """A running process in a session of its own. Ending it ends everything it started in that session."""

    def __init__(self, *, ends_group: bool) -> None:
        self._ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._ends_group = ends_group
        self._transport: asyncio.SubprocessTransport | None = None
        self.record = Record(0, 0)

    @classmethod
    async def start(cls, command: Command, ends: Ends, *, ends_group: bool = True) -> Process:
        """Start a command on its ends of some streams.

        What it leaves behind in its process group ends with it, unless told otherwise. Raises StartError when there
        is no such program, folder or permission.
        """
        loop = asyncio.get_running_loop()
        try:
            if command.prefix:
                look_for_program(command)
            transport, process = await loop.subprocess_exec(
                lambda: cls(ends_group=ends_group),
                *(_TAKES_TERMINAL if ends.is_terminal else ()),
                *command.prefix,
                *command.argv,
                stdin=ends.theirs[0],
                stdout=ends.theirs[1],
                stderr=ends.theirs[2],
                env={**command.environment, **command.seal.variables},
                cwd=command.folder,
                start_new_session=True,
                umask=_UMASK,
            )
        except StartError:
            ends.close()
            raise
        except (OSError, ValueError) as error:
            ends.close()
            raise StartError(_explain(command, error)) from error
        ends.close_theirs()
        process._transport = transport  # noqa: SLF001
        process.record = Record.of(transport.get_pid())
        return process

    @property
    def pid(self) -> int:
        """Also the id of its process group and session."""
        return self.record.pid

    @property
    def has_ended(self) -> bool:
        """Whether it has ended: its id may be another's by now."""
        return self._ended.done()

    async def wait(self) -> int:
        """The exit code once it has ended: 128 and the signal's number when a signal ended it."""
        code = await asyncio.shield(self._ended)
        if self._transport:
            self._transport.close()
        return code if code >= 0 else 128 - code

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process and all in its group."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    async def stop(self, grace: float) -> int:
        """Ask to end, and insist when the grace period is over; the exit code."""
        if not self._ended.done():
            self.signal(signal.SIGTERM)
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(self._ended), grace)
        if not self._ended.done():
            self.signal(signal.SIGKILL)
        return await self.wait()

    def process_exited(self) -> None:
        """Called by asyncio."""
        if self._transport:
            if self._ends_group:
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(self._transport.get_pid(), signal.SIGKILL)
            self._set_ended(self._transport.get_returncode() or 0)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by asyncio."""
        if isinstance(transport, asyncio.SubprocessTransport):
            self._transport = transport

    def _set_ended(self, code: int) -> None:
        if not self._ended.done():
            self._ended.set_result(code)


class Pump:
    """Passes on what a process writes, as fast as it is taken."""

    def __init__(self, ends: Ends, output: Output) -> None:
        self._ends = ends
        self._pumps = [asyncio.create_task(_pump(end, name, output)) for name, end in ends.outputs.items()]

    async def finish(self) -> None:
        """After the process's end: take what is left, but don't wait long for others that hold its streams open."""
        await asyncio.wait(self._pumps, timeout=_DRAIN_SECONDS)
        self.stop()

    def stop(self) -> None:
        """Give the streams back."""
        for pump in self._pumps:
            pump.cancel()
        self._ends.close()


async def _pump(end: Descriptor, name: str, output: Output) -> None:
    while data := await end.read():
        await output(name, data)


@dataclass(slots=True)
class Run:
    """What a command that was run to its end left: its exit code, None when time was up, and what it wrote."""

    code: int | None
    output: bytes = field(repr=False)


async def run(command: Command, timeout: float) -> Run:
    """Run a command to its end: an exec probe, a hook. Raises StartError."""
    written = bytearray()

    async def keep(_: str, data: bytes) -> None:
        written.extend(data[: _KEPT - len(written)])

    ends = Ends.pipes()
    process = await Process.start(command, ends)
    pump = Pump(ends, keep)
    try:
        code = await asyncio.wait_for(process.wait(), timeout)
        await pump.finish()
    except TimeoutError:
        return Run(None, bytes(written))
    finally:
        process.signal(signal.SIGKILL)
        pump.stop()
    return Run(code, bytes(written))


def look_for_program(command: Command) -> None:
    """Raises StartError for a program that can't be run: what brings it into its pod or terminal can't say so."""
    program = command.argv[0]
    if "/" not in program:
        if shutil.which(program, path=command.environment.get("PATH", os.defpath)) is None:
            raise StartError(f'exec: "{program}": executable file not found in $PATH')
    elif not (path := command.folder / program).exists():
        raise StartError(f'exec: "{program}": no such file or directory')
    elif not os.access(path, os.X_OK):
        raise StartError(f'exec: "{program}": permission denied')


def _explain(command: Command, error: Exception) -> str:
    program = command.argv[0]
    if isinstance(error, FileNotFoundError) and not command.folder.is_dir():
        return f"the container's folder {command.folder} is gone"
    if isinstance(error, FileNotFoundError):
        return f'exec: "{program}": executable file not found in $PATH'
    if isinstance(error, PermissionError):
        return f'exec: "{program}": permission denied'
    return f'exec: "{program}": {error}'
