"""What happened to a collection lately, for those who watch it?

A watch has no queue of its own: it reads this window from its own position onwards and waits for more. A
watcher too slow for the window is told to list anew, so memory is bounded whatever the watchers do.
"""

from __future__ import annotations

import asyncio
import contextlib
from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from meshlab.cluster.embedded.apiserver.store import Stored

WINDOW_BYTES = 4 << 20
WINDOW_EVENTS = 4096


@dataclass(frozen=True, slots=True)
class Event:
    """One change. `stored` is the state after it (for a deletion: the last), `previous` the state before it."""

    type: Literal["ADDED", "MODIFIED", "DELETED"]
    stored: Stored
    previous: Stored | None


class History:
    """A bounded window of events. It is complete after version `start`."""

    def __init__(self, start: int) -> None:
        self.start = start
        self._events: list[Event] = []
        self._dropped = 0
        self._bytes = 0
        self._changed = asyncio.Event()

    def append(self, event: Event) -> None:
        """Add an event and wake every watcher."""
        self._events.append(event)
        self._bytes += len(event.stored.raw)
        if self._bytes > WINDOW_BYTES or len(self._events) > WINDOW_EVENTS:
            self._shrink()
        self.wake()

    def wake(self) -> None:
        """Have every watcher look again."""
        self._changed.set()
        self._changed = asyncio.Event()

    def position(self, version: int) -> int | None:
        """Where to read what came after a version; None when the window no longer reaches back so far."""
        if version < self.start:
            return None
        return self._dropped + bisect_right(self._events, version, key=lambda event: event.stored.version)

    def end(self) -> int:
        """The position after the newest event."""
        return self._dropped + len(self._events)

    def read(self, position: int) -> list[Event] | None:
        """The events from a position on; None when some of them have left the window."""
        return None if position < self._dropped else self._events[position - self._dropped :]

    async def changed(self, seconds: float | None = None) -> None:
        """Wait for the next event, or at most so long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()

    def _shrink(self) -> None:
        leaving = self._events[: len(self._events) // 4 + 1]
        del self._events[: len(leaving)]
        self._dropped += len(leaving)
        self._bytes -= sum(len(event.stored.raw) for event in leaving)
        self.start = leaving[-1].stored.version
