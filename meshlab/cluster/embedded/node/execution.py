"""What is a command that somebody runs in a container (kubectl exec)? A process that ends with its client."""

from __future__ import annotations

import asyncio
import secrets
import signal
from contextlib import suppress
from dataclasses import replace

from meshlab.cluster.embedded.node import marks
from meshlab.cluster.embedded.node.runtime import Command, Process, look_for_program
from meshlab.cluster.embedded.node.stdio import Ends
from meshlab.cluster.embedded.pod_streams import Wanted

_HANG_UP_SECONDS = 1.0
_LAST_WORDS_SECONDS = 1.0


class Execution:
    """A running command. `end` leaves nothing of it behind; after an end of its own, what it started goes on."""

    def __init__(self, command: Command, process: Process, ends: Ends) -> None:
        self._command = command
        self._process = process
        self._ends = ends
        self._all_said = asyncio.create_task(self._wait_for_last_words())

    @classmethod
    async def start(cls, command: Command, wanted: Wanted) -> Execution:
        """Run a command. Raises StartError."""
        look_for_program(command)
        command = replace(command, seal=replace(command.seal, run=secrets.token_hex(8)))
        if wanted.tty:
            command = replace(command, environment={"TERM": "xterm", **command.environment})
        ends = Ends.terminal() if wanted.tty else Ends.pipes(stdin=wanted.stdin, outputs=wanted.outputs)
        return cls(command, await Process.start(command, ends, ends_group=False), ends)

    @property
    def pid(self) -> int:
        """Of its first process."""
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether its first process is there: only then its id is its own."""
        return not self._process.has_ended

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of what can be read."""
        return tuple(self._ends.outputs)

    async def read(self, output: str) -> bytes:
        """Some of what it has written; nothing at the end, also when others hold the stream open."""
        reading = asyncio.ensure_future(self._ends.outputs[output].read())
        try:
            await asyncio.wait((reading, self._all_said), return_when=asyncio.FIRST_COMPLETED)
            return reading.result() if reading.done() else b""
        finally:
            reading.cancel()

    async def write(self, data: bytes) -> None:
        """To its standard input, waiting while it doesn't read."""
        if self._ends.stdin:
            await self._ends.stdin.write(data)

    def end_input(self) -> None:
        """Its standard input has ended."""
        if self._ends.stdin and not self._ends.is_terminal:
            self._ends.stdin.close()

    def resize(self, columns: int, rows: int) -> None:
        """Its terminal has another size."""
        if self._ends.is_terminal and self._ends.stdin:
            self._ends.stdin.resize(columns, rows)

    async def wait(self) -> int:
        """Its exit code."""
        return await self._process.wait()

    def kill(self) -> None:
        """Its container has ended, and everything in it."""
        if self.is_running:
            self._process.signal(signal.SIGKILL)

    async def end(self) -> None:
        """Hang up. If it runs still, it ends with everything it started."""
        self._all_said.cancel()
        self._ends.close()
        if not self.is_running:
            return
        self._process.signal(signal.SIGHUP)
        with suppress(TimeoutError):
            await asyncio.wait_for(self._process.wait(), _HANG_UP_SECONDS)
        seal = self._command.seal
        await asyncio.to_thread(marks.end_sealed, seal.node, seal.uid, seal.run)
        self.kill()  # it may have taken the mark off
        await self._process.wait()

    async def _wait_for_last_words(self) -> None:
        await self._process.wait()
        await asyncio.sleep(_LAST_WORDS_SECONDS)
