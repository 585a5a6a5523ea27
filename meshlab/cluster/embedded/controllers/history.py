"""Which templates has a StatefulSet or DaemonSet had? One ControllerRevision each, which `kubectl rollout` reads."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

from meshlab.cluster.embedded.controllers.owners import claim, controller_of, is_controlled_by, reference_to
from meshlab.cluster.embedded.controllers.revisions import template_hash
from meshlab.cluster.embedded.controllers.workqueue import WorkQueue
from meshlab.cluster.embedded.informers import Informers, Key
from meshlab.kube import ApiError, Change, Kind, Kube, Object
from meshlab.kube.objects import CONTROLLER_REVISION, labels_of

POD_LABEL = "controller-revision-hash"
"""Tells of a pod which revision it was made from."""


class History:
    """The ControllerRevisions of all objects of one kind. `hash_label` is where a revision keeps its hash."""

    def __init__(self, kube: Kube, informers: Informers, owners: Kind, hash_label: str) -> None:
        self._kube = kube
        self._kind = owners
        self._hash_label = hash_label
        self._revisions = informers.of(CONTROLLER_REVISION)

    def listen(self, queue: WorkQueue[Key]) -> None:
        """Queue an owner when a revision of its own goes."""

        def changed(change: Change) -> None:
            controller = controller_of(change.object)
            if change.type == "DELETED" and controller and controller["kind"] == self._kind.kind:
                queue.add((change.object["metadata"]["namespace"], controller["name"]))

        self._revisions.listen(changed)

    async def of(self, owner: Object) -> list[Object]:
        """An owner's revisions, the oldest first."""
        candidates = list(self._revisions.all(owner["metadata"]["namespace"]))
        found = await claim(self._kube, CONTROLLER_REVISION, owner, candidates)
        return sorted(found, key=lambda revision: (revision["revision"], revision["metadata"]["creationTimestamp"]))

    async def newest(self, owner: Object, known: list[Object]) -> Object:
        """The revision of the present template: made if need be, numbered anew when an earlier one comes back."""
        data, number = data_of(owner), max((found["revision"] for found in known), default=0) + 1
        same = next((found for found in reversed(known) if found["data"] == data), None)
        if same is None:
            return await self._create(owner, data, number)
        if same is known[-1]:
            return same
        return await self._kube.replace({**same, "revision": number})

    async def forget_old(self, owner: Object, known: list[Object], in_use: Iterable[str]) -> None:
        """Delete the oldest revisions that nothing uses, down to the limit."""
        used = set(in_use)
        idle = [found for found in known if found["metadata"]["name"] not in used]
        limit = owner["spec"].get("revisionHistoryLimit", 10)
        for found in idle[: max(0, len(idle) - limit)]:
            metadata = found["metadata"]
            await self._kube.delete(CONTROLLER_REVISION, metadata["name"], metadata["namespace"])

    def hash_of(self, revision: Object) -> str:
        """The hash in a revision's name."""
        return labels_of(revision)[self._hash_label]

    async def _create(self, owner: Object, data: dict[str, Any], number: int) -> Object:
        metadata, label = owner["metadata"], template_hash(owner)
        name = f"{metadata['name']}-{label}"
        wanted = {
            "apiVersion": CONTROLLER_REVISION.api_version,
            "kind": CONTROLLER_REVISION.kind,
            "metadata": {
                "name": name,
                "namespace": metadata["namespace"],
                "labels": {**labels_of(owner["spec"]["template"]), self._hash_label: label},
                "annotations": dict(metadata.get("annotations") or {}),
                "ownerReferences": [reference_to(owner)],
            },
            "data": data,
            "revision": number,
        }
        try:
            return await self._kube.create(wanted)
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise
            existing = await self._kube.get(CONTROLLER_REVISION, name, metadata["namespace"])
            if existing["data"] == data and is_controlled_by(existing, owner):
                return existing
            await self._count_collision(owner)
            raise

    async def _count_collision(self, owner: Object) -> None:
        """Another template or owner has this hash: the next try gets another name."""
        metadata, count = owner["metadata"], (owner.get("status") or {}).get("collisionCount", 0) + 1
        body = {"status": {"collisionCount": count}}
        await self._kube.patch(self._kind, metadata["name"], body, metadata["namespace"], subresource="status")


def data_of(owner: Object) -> dict[str, Any]:
    """A patch that brings the present template back."""
    template = copy.deepcopy(owner["spec"]["template"])
    (template.get("metadata") or {}).pop("creationTimestamp", None)
    return {"spec": {"template": {**template, "$patch": "replace"}}}


def template_of(revision: Object) -> dict[str, Any]:
    """The template that a revision keeps."""
    template = dict(revision["data"]["spec"]["template"])
    del template["$patch"]
    return template
