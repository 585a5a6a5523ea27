"""How do custom kinds come and go while the server runs?

The definitions in the store are followed: an established one is served, a deleted one stops being served once every
object of its kind is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Any

from meshlab.cluster.embedded.apiserver import crd, metadata
from meshlab.cluster.embedded.apiserver.store import VersionConflictError

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshlab.cluster.embedded.apiserver.registry import Registry
    from meshlab.cluster.embedded.apiserver.store import Key, Store

log = logging.getLogger(__name__)

_LOOK_SECONDS = 60.0
"""How long a wait for a change lasts before one looks anyway."""


class Definitions:
    """Keeps a registry in step with the definitions in a store."""

    def __init__(self, store: Store, registry: Registry) -> None:
        self._store = store
        self._registry = registry
        self._tasks: set[asyncio.Task[None]] = set()
        self._ending: set[str] = set()

    def start(self) -> None:
        """Serve what is defined now, and follow the changes until `stop`."""
        position = self._store.history(crd.COLLECTION).end()
        for stored in self._store.list(crd.COLLECTION):
            self._take(stored.obj)
        self._spawn(self._follow(position))

    async def stop(self) -> None:
        """Follow no more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _follow(self, position: int) -> None:
        history = self._store.history(crd.COLLECTION)
        while True:
            for event in history.read(position) or []:
                if event.type == "DELETED":
                    self._forget(event.stored.obj)
                else:
                    self._take(event.stored.obj)
            position = history.end()
            await history.changed(_LOOK_SECONDS)

    def _take(self, definition: dict[str, Any]) -> None:
        if definition["metadata"].get("deletionTimestamp"):
            name: str = definition["metadata"]["name"]
            if name not in self._ending and crd.FINALIZER in (definition["metadata"].get("finalizers") or ()):
                self._ending.add(name)
                self._spawn(self._end(name))
            return
        rows = crd.rows(definition)
        spec = definition["spec"]
        served = {row.version for row in rows}
        for version in spec["versions"]:
            if version["name"] not in served:
                self._registry.remove_custom(spec["group"], spec["names"]["plural"], version["name"])
        for row in rows:
            self._registry.add_custom(row)

    def _forget(self, definition: dict[str, Any]) -> None:
        self._registry.remove_custom(definition["spec"]["group"], definition["spec"]["names"]["plural"])

    async def _end(self, name: str) -> None:
        """Delete every object of a kind, then let its definition go."""
        try:
            while (count := self._store.count(name)) > 0:
                changed = asyncio.ensure_future(self._store.history(name).changed(_LOOK_SECONDS))
                for stored in self._store.list(name):
                    await self._change(name, stored.key, _deleted)
                if self._store.count(name) < count:
                    changed.cancel()
                else:
                    await changed
            await self._change(crd.COLLECTION, ("", name), _released)
        finally:
            self._ending.discard(name)

    async def _change(self, storage: str, key: Key, change: Callable[[dict[str, Any]], dict[str, Any] | None]) -> None:
        """Store what `change` makes of an object (None: delete it); nothing when it changes nothing."""
        while (newest := self._store.newest(storage, key)) is not None:
            changed = change(newest.copy())
            if changed == newest.obj:
                return
            with contextlib.suppress(VersionConflictError):
                await self._store.write(storage, key, changed, newest.version)
                return

    def _spawn(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception():
            log.error("custom resource definitions: %s", task.exception(), exc_info=task.exception())


def _deleted(obj: dict[str, Any]) -> dict[str, Any] | None:
    """An object asked to go: gone unless a finalizer holds it."""
    if not obj["metadata"].get("finalizers"):
        return None
    obj["metadata"].setdefault("deletionTimestamp", metadata.now())
    obj["metadata"].setdefault("deletionGracePeriodSeconds", 0)
    return obj


def _released(definition: dict[str, Any]) -> dict[str, Any] | None:
    finalizers = [item for item in definition["metadata"].get("finalizers") or [] if item != crd.FINALIZER]
    definition["metadata"]["finalizers"] = finalizers
    return definition if finalizers else None
