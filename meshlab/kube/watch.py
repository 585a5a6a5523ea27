"""How does one keep an up-to-date copy of every object of a kind?"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Literal

from meshlab.errors import ClusterError
from meshlab.kube.client import ApiError, Kube
from meshlab.kube.objects import Kind, Object

log = logging.getLogger(__name__)

_BACKOFF_SECONDS = (0.05, 0.2, 0.5, 1.0, 2.0)


@dataclass(frozen=True, slots=True)
class Change:
    """One event of a watch. `SYNCED` (with an empty object) follows the first complete list."""

    type: Literal["ADDED", "MODIFIED", "DELETED", "SYNCED"]
    object: Object


class Reflector:
    """A list followed by a watch, begun anew after any break; `changes()` yields what differs.

    `store` maps (namespace, name) to the newest object seen. After a break the list is compared with the
    store, so a consumer sees a deletion that happened meanwhile, and no event twice.
    """

    def __init__(self, kube: Kube, kind: Kind, namespace: str = "", *, labels: str = "", fields: str = "") -> None:
        self._kube = kube
        self.kind = kind
        self._path = kind.path(namespace)
        self._query = {k: v for k, v in {"labelSelector": labels, "fieldSelector": fields}.items() if v}
        self.store: dict[tuple[str, str], Object] = {}

    async def changes(self) -> AsyncIterator[Change]:
        """Every change, forever. A cluster that doesn't answer is tried again with back-off."""
        failures = 0
        while True:
            try:
                listed = await self._kube.request("GET", self._path, query=self._query)
                for change in self._reconcile(listed.get("items") or []):
                    yield change
                yield Change("SYNCED", {})
                failures = 0
                async for change in self._watch(listed["metadata"]["resourceVersion"]):
                    yield change
            except ApiError as error:
                if error.status != HTTPStatus.GONE:
                    log.warning("watch of %s: %s", self.kind.plural, error)
                    failures += 1
            except (ClusterError, OSError, asyncio.IncompleteReadError, ValueError) as error:
                log.warning("watch of %s: %s", self.kind.plural, error)
                failures += 1
            await asyncio.sleep(_BACKOFF_SECONDS[min(failures, len(_BACKOFF_SECONDS) - 1)] if failures else 0)

    async def _watch(self, version: str) -> AsyncIterator[Change]:
        while True:
            query = {**self._query, "watch": "true", "allowWatchBookmarks": "true", "resourceVersion": version}
            began = version
            async for line in self._kube.lines(self._path, query):
                event = json.loads(line)
                obj: Object = event["object"]
                if event["type"] == "ERROR":
                    raise ApiError(obj.get("code", 500), obj, self._path)
                version = obj["metadata"]["resourceVersion"]
                if event["type"] != "BOOKMARK":
                    yield self._remember(event["type"], obj)
            if version == began:
                await asyncio.sleep(_BACKOFF_SECONDS[0])

    def _remember(self, type_: Literal["ADDED", "MODIFIED", "DELETED"], obj: Object) -> Change:
        obj.setdefault("apiVersion", self.kind.api_version)
        obj.setdefault("kind", self.kind.kind)
        key = _key(obj)
        if type_ == "DELETED":
            self.store.pop(key, None)
        else:
            self.store[key] = obj
        return Change(type_, obj)

    def _reconcile(self, items: list[Object]) -> Iterator[Change]:
        seen = {_key(item) for item in items}
        for key in [key for key in self.store if key not in seen]:
            yield self._remember("DELETED", self.store[key])
        for item in items:
            known = self.store.get(_key(item))
            if known is None:
                yield self._remember("ADDED", item)
            elif known["metadata"]["resourceVersion"] != item["metadata"]["resourceVersion"]:
                yield self._remember("MODIFIED", item)


def _key(obj: Object) -> tuple[str, str]:
    metadata = obj["metadata"]
    return metadata.get("namespace", ""), metadata["name"]
