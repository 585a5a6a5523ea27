"""What does the API server ask of the node for those who want to get into a pod?

Both run in the daemon's process and meet here, where a real API server calls a kubelet.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from meshlab.kube import Object


class NotRunningError(Exception):
    """A container that doesn't run on this node."""


class CommandError(Exception):
    """A command that can't be started."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The streams that a client wants of a command or container. A terminal has one output, `stdout`."""

    stdin: bool = False
    outputs: frozenset[str] = frozenset()
    tty: bool = False


class StreamSession(Protocol):
    """A command, or a container somebody attached to. Whoever opened it has to `end` it."""

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of what can be read."""

    async def read(self, output: str) -> bytes:
        """Some of what was written; nothing at the end."""

    async def write(self, data: bytes) -> None:
        """To standard input, waiting while nobody reads."""

    def end_input(self) -> None:
        """Standard input has ended."""

    def resize(self, columns: int, rows: int) -> None:
        """The terminal has another size."""

    async def wait(self) -> int:
        """The exit code, once it has ended."""

    async def end(self) -> None:
        """Give everything back. A command that still runs is ended."""


class PodStreams(Protocol):
    """The ways into a node's pods."""

    async def dial(self, pod: Object, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to a port of a pod, made inside the pod. Raises OSError."""

    def check(self, pod: Object, container: str) -> None:
        """Raises NotRunningError when a container doesn't run."""

    async def execute(self, pod: Object, container: str, argv: Sequence[str], wanted: Wanted) -> StreamSession:
        """Run a command in a container. Raises NotRunningError and CommandError."""

    async def attach(self, pod: Object, container: str, wanted: Wanted) -> StreamSession:
        """Join a running container. Raises NotRunningError."""
