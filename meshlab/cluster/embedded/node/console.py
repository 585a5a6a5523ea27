"""Where do a container's standard streams lead? What it writes goes to its log and to those who attached to it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Any

from meshlab.cluster.embedded.node.logs import ContainerLog
from meshlab.cluster.embedded.node.runtime import Pump
from meshlab.cluster.embedded.node.stdio import Ends
from meshlab.cluster.embedded.pipe import Pipe

Onlooker = Mapping[str, Pipe]
"""One who attached: the outputs wanted. The slowest sets the container's pace, as in a real cluster."""


class Console:
    """The streams of one run of a container. Start the process on `ends`, then `begin`."""

    def __init__(self, spec: Mapping[str, Any], log: ContainerLog) -> None:
        self.ends = Ends.terminal() if spec.get("tty") else Ends.pipes(stdin=bool(spec.get("stdin")))
        self._takes_input = bool(spec.get("stdin"))
        self._takes_once = bool(spec.get("stdinOnce"))
        self._log = log
        self._onlookers: list[Onlooker] = []
        self._pump: Pump | None = None
        self._is_over = False

    def begin(self) -> None:
        """Take what the process writes from now on."""
        self._pump = Pump(self.ends, self._show)

    async def finish(self) -> None:
        """After the process's end."""
        if self._pump:
            await self._pump.finish()
        self.stop()

    def stop(self) -> None:
        """Give everything back at once."""
        if self._pump:
            self._pump.stop()
        self._is_over = True
        for onlooker in self._onlookers:
            for pipe in onlooker.values():
                pipe.finish()

    def join(self, outputs: Collection[str]) -> Onlooker:
        """Look on from now."""
        onlooker = {name: Pipe() for name in self.ends.outputs if name in outputs}
        self._onlookers.append(onlooker)
        if self._is_over:
            self.stop()
        return onlooker

    def leave(self, onlooker: Onlooker) -> None:
        """Look on no more."""
        self._onlookers = [other for other in self._onlookers if other is not onlooker]
        for pipe in onlooker.values():
            pipe.close()

    async def write(self, data: bytes) -> None:
        """To the container's standard input, if it has one."""
        if self.ends.stdin and self._takes_input:
            await self.ends.stdin.write(data)

    def resize(self, columns: int, rows: int) -> None:
        """Its terminal, if it has one, has another size."""
        if self.ends.stdin and self.ends.is_terminal:
            self.ends.stdin.resize(columns, rows)

    def end_input(self) -> None:
        """One who wrote has ended. A container with `stdinOnce` reads no more after the first."""
        if self.ends.stdin and self._takes_once and not self.ends.is_terminal:
            self.ends.stdin.close()

    async def _show(self, stream: str, data: bytes) -> None:
        with suppress(OSError):  # a full disk costs lines, not the container
            self._log.write(stream, data)
        for onlooker in self._onlookers:
            if stream in onlooker:
                await onlooker[stream].put(data)
