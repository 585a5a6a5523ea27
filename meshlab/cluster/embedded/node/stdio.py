"""Where do a process's standard streams lead? To pipes or to a terminal, of which the node holds the other ends."""

from __future__ import annotations

import asyncio
import fcntl
import os
import struct
import termios
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

NOWHERE = asyncio.subprocess.DEVNULL
_CHUNK = 32 * 2**10


class Descriptor:
    """An end of a pipe or terminal. Reading and writing wait for the other end; the event loop goes on."""

    def __init__(self, number: int) -> None:
        os.set_blocking(number, False)
        self._number = number
        self._waiting: set[asyncio.Future[None]] = set()

    async def read(self) -> bytes:
        """Some bytes; none at the end."""
        loop = asyncio.get_running_loop()
        while not self.is_closed:
            try:
                return os.read(self._number, _CHUNK)
            except BlockingIOError:
                await self._wait(loop.add_reader, loop.remove_reader)
            except OSError:  # EIO: the terminal's last program has closed it
                break
        return b""

    async def write(self, data: bytes) -> None:
        """Write all of it. When nobody can read it any more it is dropped."""
        loop = asyncio.get_running_loop()
        while data and not self.is_closed:
            try:
                data = data[os.write(self._number, data) :]
            except BlockingIOError:
                await self._wait(loop.add_writer, loop.remove_writer)
            except OSError:
                return

    def resize(self, columns: int, rows: int) -> None:
        """Give a terminal another size; the kernel sends its programs SIGWINCH."""
        with suppress(OSError, struct.error):
            fcntl.ioctl(self._number, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    @property
    def is_closed(self) -> bool:
        """Whether `close` was called."""
        return self._number < 0

    def close(self) -> None:
        """Give it back. Whoever waits to read or write is let go."""
        number, self._number = self._number, -1
        if number < 0:
            return
        loop = asyncio.get_running_loop()
        loop.remove_reader(number)
        loop.remove_writer(number)
        os.close(number)
        for waiting in self._waiting:
            _release(waiting)

    async def _wait(self, begin: Callable[..., Any], end: Callable[[int], Any]) -> None:
        ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        number = self._number
        self._waiting.add(ready)
        begin(number, _release, ready)
        try:
            await ready
        finally:
            self._waiting.discard(ready)
            if number == self._number:
                end(number)


def _release(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)


@dataclass(frozen=True)
class Ends:
    """Our ends of a process's standard streams; `theirs` are what it is started with."""

    stdin: Descriptor | None
    outputs: Mapping[str, Descriptor]
    """What can be read of it: `stdout` and `stderr`; of a terminal only `stdout`."""
    theirs: tuple[int, int, int]
    is_terminal: bool = False
    _open: set[int] = field(default_factory=set)

    @classmethod
    def pipes(cls, *, stdin: bool = False, outputs: Collection[str] = ("stdout", "stderr")) -> Ends:
        """A pipe for each stream that is wanted; the others lead nowhere."""
        theirs, mine, kept = [NOWHERE, NOWHERE, NOWHERE], {}, None
        if stdin:
            theirs[0], number = os.pipe()
            kept = Descriptor(number)
        for position, name in ((1, "stdout"), (2, "stderr")):
            if name in outputs:
                number, theirs[position] = os.pipe()
                mine[name] = Descriptor(number)
        return cls(kept, mine, (theirs[0], theirs[1], theirs[2]), _open={fd for fd in theirs if fd >= 0})

    @classmethod
    def terminal(cls) -> Ends:
        """A pseudo-terminal for all three."""
        master, slave = os.openpty()
        end = Descriptor(master)
        return cls(end, {"stdout": end}, (slave, slave, slave), is_terminal=True, _open={slave})

    def close_theirs(self) -> None:
        """Once the process has its ends they have to be closed here, so that its end is seen."""
        while self._open:
            os.close(self._open.pop())

    def close(self) -> None:
        """Give all of them back. A terminal hangs up: its programs get SIGHUP."""
        self.close_theirs()
        for end in (self.stdin, *self.outputs.values()):
            if end:
                end.close()
