"""How is a container run as a process, and how is it ended with everything it started?"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from meshlab.cluster.embedded.node.marks import Record, Seal

Output = Callable[[str, bytes], None]
"""Takes what a process writes: the stream's name and some bytes."""

_STREAMS = {1: "stdout", 2: "stderr"}
_DRAIN_SECONDS = 1.0
_UMASK = 0o022


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

    def __init__(self, output: Output) -> None:
        self._output = output
        self._ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._drained = asyncio.Event()
        self._open_pipes = set(_STREAMS)
        self._transport: asyncio.SubprocessTransport | None = None
        self.record = Record(0, 0)

    @classmethod
    async def start(cls, command: Command, output: Output) -> Process:
        """Start a command. Raises StartError when there is no such program, folder or permission."""
        loop = asyncio.get_running_loop()
        try:
            transport, process = await loop.subprocess_exec(
                lambda: cls(output),
                *command.prefix,
                *command.argv,
                stdin=asyncio.subprocess.DEVNULL,
                env={**command.environment, **command.seal.variables},
                cwd=command.folder,
                start_new_session=True,
                umask=_UMASK,
            )
        except (OSError, ValueError) as error:
            raise StartError(_explain(command, error)) from error
        process._transport = transport  # noqa: SLF001
        process.record = Record.of(transport.get_pid())
        return process

    @property
    def pid(self) -> int:
        """Also the id of its process group and session."""
        return self.record.pid

    async def wait(self) -> int:
        """The exit code once it has ended: 128 and the signal's number when a signal ended it."""
        code = await asyncio.shield(self._ended)
        with suppress(TimeoutError):
            await asyncio.wait_for(self._drained.wait(), _DRAIN_SECONDS)
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

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """Called by asyncio."""
        self._output(_STREAMS[fd], data)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        """Called by asyncio."""
        del exc
        self._open_pipes.discard(fd)
        if not self._open_pipes:
            self._drained.set()

    def process_exited(self) -> None:
        """Called by asyncio. What the process left behind in its group ends with it, as in a container."""
        if self._transport:
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


@dataclass(slots=True)
class Run:
    """What a command that was run to its end left: its exit code, None when time was up, and what it wrote."""

    code: int | None
    output: bytes = field(repr=False)


async def run(command: Command, timeout: float) -> Run:
    """Run a command to its end: an exec probe, a hook. Raises StartError."""
    written = bytearray()
    process = await Process.start(command, lambda _, data: written.extend(data[: 10_240 - len(written)]))
    try:
        code = await asyncio.wait_for(process.wait(), timeout)
    except TimeoutError:
        return Run(None, bytes(written))
    finally:
        process.signal(signal.SIGKILL)
    return Run(code, bytes(written))


def _explain(command: Command, error: Exception) -> str:
    program = command.argv[0]
    if isinstance(error, FileNotFoundError) and not command.folder.is_dir():
        return f"the container's folder {command.folder} is gone"
    if isinstance(error, FileNotFoundError):
        return f'exec: "{program}": executable file not found in $PATH'
    if isinstance(error, PermissionError):
        return f'exec: "{program}": permission denied'
    return f'exec: "{program}": {error}'
