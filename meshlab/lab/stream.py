"""What passes between the workloads, as it passes? The control plane's stream of edges, for whoever listens.

One connection serves every listener of a lab, and is open only while there is one.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Any, Protocol

from meshlab.errors import MeshlabError
from meshlab.kube import Kube

ROOT = "/apis/observe.meshlab.dev/v1alpha1"
Line = Mapping[str, Any]
"""One line of the stream; `meshlab.observe` describes it."""

_BACKOFF_SECONDS = (0.2, 0.5, 1.0, 2.0)


class Listener(Protocol):
    """Hears every line, and why there are none."""

    def heard(self, line: Line) -> None:
        """A stretch of time has passed."""

    def lost(self, why: str) -> None:
        """The stream broke; it is being tried again."""


async def lines(kube: Kube, since: float | None = None) -> AsyncIterator[Line]:
    """The lines of one connection, from `since` (seconds since the epoch; default: now)."""
    query = {} if since is None else {"since": f"{since:.3f}"}
    async for line in kube.lines(f"{ROOT}/stream", query):
        yield json.loads(line)


class Stream:
    """The stream, read while anybody listens. Belongs to the lab's loop."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube
        self._listeners: list[Listener] = []
        self._reading: asyncio.Task[None] | None = None

    async def add(self, listener: Listener) -> None:
        """Let one more listen."""
        self._listeners.append(listener)
        if self._reading is None:
            self._reading = asyncio.create_task(self._read())

    async def remove(self, listener: Listener) -> None:
        """Let one less listen; the last one closes the connection."""
        with suppress(ValueError):
            self._listeners.remove(listener)
        if not self._listeners and self._reading:
            self._reading.cancel()
            self._reading = None

    async def close(self) -> None:
        """Nobody listens any more."""
        for listener in tuple(self._listeners):
            await self.remove(listener)

    async def _read(self) -> None:
        since: float | None = None
        failures = 0
        while True:
            why = "the control plane closed the stream"
            try:
                async for line in lines(self._kube, since):
                    since, failures = line["t"], 0
                    for listener in tuple(self._listeners):
                        listener.heard(line)
            except (MeshlabError, OSError, ValueError) as error:
                why = error.what if isinstance(error, MeshlabError) else str(error) or type(error).__name__
            for listener in tuple(self._listeners):
                listener.lost(why)
            await asyncio.sleep(_BACKOFF_SECONDS[min(failures, len(_BACKOFF_SECONDS) - 1)])
            failures += 1
