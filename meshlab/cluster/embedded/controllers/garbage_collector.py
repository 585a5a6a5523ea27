"""What must go because its owner went, and what must its owner wait for?"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from meshlab.cluster.embedded.controllers.ownership import Item, Ownership
from meshlab.cluster.embedded.controllers.served_kinds import ServedKinds
from meshlab.cluster.embedded.controllers.workqueue import WorkQueue
from meshlab.errors import PolicyError
from meshlab.kube import ApiError, Change, Kind, Kube
from meshlab.kube.client import MERGE_PATCH

FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"

Uid = tuple[str]


class GarbageCollector:
    """Background: what has lost its last owner is deleted. Foreground: an owner stays until those that block it
    have gone. Orphan: an owner's references are taken off before it goes.
    """

    def __init__(self, kube: Kube, served: ServedKinds) -> None:
        self._kube = kube
        self._graph = Ownership()
        self._queue: WorkQueue[Uid] = WorkQueue("garbage collector", self._sync)
        served.listen(self._changed)

    async def run(self) -> None:
        """Work until cancelled."""
        await self._queue.run()

    def _changed(self, kind: Kind, change: Change) -> None:
        item = self._graph.note(kind, change)
        if change.type == "DELETED":
            for dependent in self._graph.dependents(item.uid):
                self._queue.add((dependent.uid,))
        elif item.is_leaving or any(self._graph.owner(item, owner) is None for owner in item.owners):
            self._queue.add((item.uid,))
        for reference in item.owners:
            owner = self._graph.owner(item, reference)
            if owner and owner.is_leaving:
                self._queue.add((owner.uid,))

    async def _sync(self, key: Uid) -> None:
        item = self._graph.get(*key)
        if item is None:
            return
        if item.is_leaving:
            if ORPHAN in item.finalizers:
                await self._orphan_dependents(item)
            elif FOREGROUND in item.finalizers:
                await self._delete_dependents(item)
        elif item.owners:
            await self._judge(item)

    async def _orphan_dependents(self, owner: Item) -> None:
        for dependent in self._graph.dependents(owner.uid):
            await self._drop_references(dependent, {owner.uid})
        await self._drop_finalizer(owner, ORPHAN)

    async def _delete_dependents(self, owner: Item) -> None:
        dependents = list(self._graph.dependents(owner.uid))
        for dependent in dependents:
            if not dependent.is_leaving:
                self._queue.add((dependent.uid,))
        if not any(_blocks(dependent, owner) for dependent in dependents):
            await self._drop_finalizer(owner, FOREGROUND)

    async def _judge(self, item: Item) -> None:
        """Delete an object that has no owner left; take off references to those that are going or gone."""
        gone, going = set(), set()
        for reference in item.owners:
            owner = self._graph.owner(item, reference)
            if owner is None:
                if not await self._exists(item, reference):
                    gone.add(reference["uid"])
            elif owner.is_leaving and FOREGROUND in owner.finalizers:
                going.add(reference["uid"])
        if not gone and not going:
            return
        if len(gone | going) < len({reference["uid"] for reference in item.owners}):
            await self._drop_references(item, gone | going)
        elif going and any(True for _ in self._graph.dependents(item.uid)):
            await self._delete(item, "Foreground")
        else:
            await self._delete(item, "Background")

    async def _exists(self, item: Item, reference: dict[str, Any]) -> bool:
        """Whether an owner that the graph doesn't know is there after all. A kind that isn't served may come back."""
        try:
            kind = await self._kube.kind_of({**reference, "metadata": {"name": reference["name"]}})
        except PolicyError:
            return True
        found = await self._kube.find(kind, reference["name"], item.namespace)
        return found is not None and found["metadata"]["uid"] == reference["uid"]

    async def _delete(self, item: Item, propagation: str) -> None:
        body = {"propagationPolicy": propagation, "preconditions": {"uid": item.uid}}
        await self._request("DELETE", item, body)

    async def _drop_references(self, item: Item, uids: set[str]) -> None:
        kept = [reference for reference in item.owners if reference["uid"] not in uids]
        await self._request("PATCH", item, _guarded(item, {"ownerReferences": kept or None}))

    async def _drop_finalizer(self, item: Item, finalizer: str) -> None:
        kept = [name for name in item.finalizers if name != finalizer]
        await self._request("PATCH", item, _guarded(item, {"finalizers": kept or None}))

    async def _request(self, method: str, item: Item, body: dict[str, Any]) -> None:
        """Write to an object; one that is gone needs nothing."""
        name = item.object["metadata"]["name"]
        content_type = MERGE_PATCH if method == "PATCH" else "application/json"
        path, about = item.kind.path(item.namespace, name), f"{item.kind.kind} {name}"
        try:
            await self._kube.request(method, path, body=body, content_type=content_type, about=about)
        except ApiError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise


def _guarded(item: Item, metadata: dict[str, Any]) -> dict[str, Any]:
    """A change of metadata that fails (409) when somebody else changed the object meanwhile."""
    return {"metadata": {**metadata, "resourceVersion": item.object["metadata"]["resourceVersion"]}}


def _blocks(dependent: Item, owner: Item) -> bool:
    return any(ref["uid"] == owner.uid and ref.get("blockOwnerDeletion") for ref in dependent.owners)
