"""Which kinds of objects does the cluster have, custom ones included, and what happens to any of them?"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from meshlab.cluster.embedded.informers import Informers
from meshlab.errors import ClusterError
from meshlab.kube import Change, Kind, Kube
from meshlab.kube.objects import CRD, EVENT

log = logging.getLogger(__name__)

_NEEDED = {"list", "watch", "delete"}
_RETRY_SECONDS = 0.5

Listener = Callable[[Kind, Change], None]


class ServedKinds:
    """Every kind whose objects can be listed, watched and deleted; a new custom kind joins when it is served."""

    def __init__(self, kube: Kube, informers: Informers) -> None:
        self._kube = kube
        self._informers = informers
        self._listeners: list[Listener] = []
        self._look_again = asyncio.Event()
        self.kinds: set[Kind] = set()
        self.known = asyncio.Event()
        """Set once the kinds have been found and are listened to."""
        informers.of(CRD).listen(lambda _: self._look_again.set())

    def listen(self, listener: Listener) -> None:
        """Call `listener` for every change of every kind but Events, which own nothing and are owned by nothing."""
        self._listeners.append(listener)

    async def run(self) -> None:
        """Keep up with what is served until cancelled."""
        self._look_again.set()
        while True:
            await self._look_again.wait()
            self._look_again.clear()
            try:
                self._update({kind async for kind in self._discover()})
            except ClusterError as error:
                log.info("discovery: %s", error)
                await asyncio.sleep(_RETRY_SECONDS)
                self._look_again.set()

    async def _discover(self) -> Any:
        versions = (await self._kube.request("GET", "/api"))["versions"]
        for version in versions:
            for kind in _kinds(await self._kube.request("GET", f"/api/{version}")):
                yield kind
        for group in (await self._kube.request("GET", "/apis"))["groups"]:
            version = group["preferredVersion"]["groupVersion"]
            try:
                found = await self._kube.request("GET", f"/apis/{version}")
            except ClusterError as error:
                log.info("discovery of %s: %s", version, error)  # an aggregated API whose server is down
                continue
            for kind in _kinds(found):
                yield kind

    def _update(self, served: set[Kind]) -> None:
        for kind in self.kinds - served:
            self._informers.forget(kind)
        new, self.kinds = served - self.kinds, served
        for kind in new - {EVENT}:
            self._informers.of(kind).listen(partial(self._changed, kind))
        self.known.set()

    def _changed(self, kind: Kind, change: Change) -> None:
        for listener in self._listeners:
            listener(kind, change)


def _kinds(found: dict[str, Any]) -> Iterator[Kind]:
    for row in found["resources"]:
        if "/" not in row["name"] and set(row["verbs"]) >= _NEEDED:
            yield Kind(found["groupVersion"], row["kind"], row["name"], row["namespaced"])
