"""Where does the lab's own work run? On one background thread, in one event loop.

A cell waits for it with `run` or `await wait`. A widget's callback, whose thread is anybody's guess, hands its
work over with `start` and returns at once.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, Future
from functools import cache
from typing import Any, TypeVar

log = logging.getLogger(__name__)

T = TypeVar("T")
OnError = Callable[[BaseException], None]


class LabLoop:
    """An event loop on a thread of its own, for as long as the process lives."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="meshlab-lab", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do it and wait for what it returns. Interrupting the wait (the notebook's stop button) cancels it."""
        if threading.current_thread() is self._thread:
            work.close()
            raise RuntimeError("the lab's loop can't wait for itself: await instead")
        future = self._submit(work)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    async def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """The same, awaited from any other loop."""
        return await asyncio.wrap_future(self._submit(work))

    def start(self, work: Coroutine[Any, Any, Any], on_error: OnError) -> Future[Any]:
        """Begin it and return at once; `on_error` hears of what it raises, on the lab's thread."""
        future = self._submit(work)
        future.add_done_callback(lambda done: _tell(done, on_error))
        return future

    def _submit(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        return asyncio.run_coroutine_threadsafe(work, self._loop)


@cache
def lab_loop() -> LabLoop:
    """The one loop of this process."""
    return LabLoop()


def _tell(done: Future[Any], on_error: OnError) -> None:
    try:
        error = done.exception()
    except CancelledError:
        return
    if error is None:
        return
    try:
        on_error(error)
    except Exception:
        log.exception("an error could not be shown: %r", error)
