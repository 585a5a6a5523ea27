"""How is one object at a time brought in line, as soon as it changes and again after a failure?"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from http import HTTPStatus
from typing import Generic, TypeVar

from meshlab.errors import ClusterError
from meshlab.kube import ApiError

log = logging.getLogger(__name__)

_FIRST_DELAY = 0.005
_LONGEST_DELAY = 30.0
_WORTH_A_WARNING = 5


K = TypeVar("K", bound=tuple[str, ...])


class WorkQueue(Generic[K]):
    """Keys whose objects may not be as they should. `sync(key)` is called for each, never twice at once for the same.

    A key added while its sync runs is synced once more afterwards. A failed sync is tried again with growing
    delay; a conflict (somebody else wrote first) is tried again at once, and a new change cuts the delay short.
    """

    def __init__(self, name: str, sync: Callable[[K], Awaitable[None]]) -> None:
        self._name = name
        self._sync = sync
        self._wanted: dict[K, asyncio.Event] = {}
        self._timers: dict[K, asyncio.TimerHandle] = {}
        self._tasks: asyncio.TaskGroup | None = None

    def add(self, key: K) -> None:
        """Have a key synced soon."""
        if key not in self._wanted:
            self._wanted[key] = asyncio.Event()
            if self._tasks:
                self._tasks.create_task(self._work(key))
        self._wanted[key].set()

    def add_after(self, key: K, seconds: float) -> None:
        """Have a key synced when some time has passed; replaces an earlier such wish."""
        if timer := self._timers.pop(key, None):
            timer.cancel()
        self._timers[key] = asyncio.get_running_loop().call_later(max(0.0, seconds), self._due, key)

    async def run(self) -> None:
        """Work until cancelled."""
        try:
            async with asyncio.TaskGroup() as self._tasks:
                for key in self._wanted:
                    self._tasks.create_task(self._work(key))
                await asyncio.Future()
        finally:
            self._tasks = None
            for timer in self._timers.values():
                timer.cancel()

    def _due(self, key: K) -> None:
        self._timers.pop(key, None)
        self.add(key)

    async def _work(self, key: K) -> None:
        wanted, failures = self._wanted[key], 0
        while wanted.is_set():
            wanted.clear()
            if await self._try(key, failures):
                failures = 0
                continue
            failures += 1
            delay = 0.0 if failures == 1 else min(_FIRST_DELAY * 2 ** min(failures, 20), _LONGEST_DELAY)
            with suppress(TimeoutError):
                await asyncio.wait_for(wanted.wait(), delay)
            wanted.set()
        del self._wanted[key]

    async def _try(self, key: K, failures: int) -> bool:
        try:
            await self._sync(key)
        except ApiError as error:
            if error.status != HTTPStatus.CONFLICT and failures >= _WORTH_A_WARNING:
                log.warning("%s %s: %s", self._name, "/".join(key), error)
        except ClusterError as error:
            log.info("%s %s: %s", self._name, "/".join(key), error)
        except Exception:
            log.exception("%s %s", self._name, "/".join(key))
        else:
            return True
        return False
