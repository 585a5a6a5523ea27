"""How do many controllers share one watch of a kind?"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

from meshlab.kube import Change, Kind, Kube, Object, Reflector

Key = tuple[str, str]
"""Namespace and name."""

Listener = Callable[[Change], None]


def key_of(obj: Object) -> Key:
    """The key of an object in an informer's store and in a work queue."""
    metadata = obj["metadata"]
    return metadata.get("namespace", ""), metadata["name"]


class Informer:
    """Every object of one kind, kept up to date, and whoever wants to hear of changes."""

    def __init__(self, kube: Kube, kind: Kind, *, fields: str = "") -> None:
        self.kind = kind
        self.synced = asyncio.Event()
        self._reflector = Reflector(kube, kind, fields=fields)
        self._listeners: list[Listener] = []

    def listen(self, listener: Listener) -> None:
        """Call `listener` for every object there is and for every change to come."""
        self._listeners.append(listener)
        for obj in list(self._reflector.store.values()):
            listener(Change("ADDED", obj))

    def get(self, namespace: str, name: str) -> Object | None:
        """One object as last seen."""
        return self._reflector.store.get((namespace, name))

    def all(self, namespace: str | None = None) -> Iterator[Object]:
        """The objects of one namespace, or of all."""
        for (there, _), obj in self._reflector.store.items():
            if namespace is None or there == namespace:
                yield obj

    async def run(self) -> None:
        """Follow the cluster until cancelled."""
        async for change in self._reflector.changes():
            if change.type == "SYNCED":
                self.synced.set()
                continue
            for listener in self._listeners:
                listener(change)


class Informers:
    """One informer per kind, made at first use. `run` starts them, also those asked for later."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube
        self._informers: dict[Kind, Informer] = {}
        self._running: dict[Kind, asyncio.Task[None]] = {}
        self._tasks: asyncio.TaskGroup | None = None

    def of(self, kind: Kind) -> Informer:
        """The informer of a kind."""
        if kind not in self._informers:
            self._informers[kind] = Informer(self._kube, kind)
            self._start(kind)
        return self._informers[kind]

    def forget(self, kind: Kind) -> None:
        """Stop watching a kind that is no longer served."""
        self._informers.pop(kind, None)
        if task := self._running.pop(kind, None):
            task.cancel()

    async def run(self) -> None:
        """Run every informer until cancelled."""
        try:
            async with asyncio.TaskGroup() as self._tasks:
                for kind in self._informers:
                    self._start(kind)
                await asyncio.Future()
        finally:
            self._tasks = None

    async def synced(self) -> None:
        """Return when every informer has seen all objects once."""
        await asyncio.gather(*(informer.synced.wait() for informer in self._informers.values()))

    def _start(self, kind: Kind) -> None:
        if self._tasks and kind not in self._running:
            self._running[kind] = self._tasks.create_task(self._informers[kind].run())
