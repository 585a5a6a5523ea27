"""How does a controller find, make and end the pods of its objects, and tell of it?"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from meshlab.cluster.embedded.controllers.owners import claim, controller_of, reference_to
from meshlab.cluster.embedded.controllers.selectors import selects
from meshlab.cluster.embedded.controllers.workqueue import WorkQueue
from meshlab.cluster.embedded.events import Recorder
from meshlab.cluster.embedded.informers import Informers, Key, key_of
from meshlab.kube import ApiError, Change, Kind, Kube, Object
from meshlab.kube.objects import POD, labels_of

_FIRST_BATCH = 1

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Words:
    """What Events say of a pod's beginning and end."""

    created: str = "Created pod: {pod}"
    deleted: str = "Deleted pod: {pod}"
    failed: str = "Error creating: {error}"


def pod_of(owner: Object, template: Mapping[str, Any], name: str = "") -> Object:
    """The pod that a template makes for its owner; without a name it gets one that begins with the owner's."""
    metadata = copy.deepcopy(dict(template.get("metadata") or {}))
    metadata.pop("creationTimestamp", None)
    metadata |= {"name": name} if name else {"generateName": f"{owner['metadata']['name']}-"}
    metadata |= {"namespace": owner["metadata"]["namespace"], "ownerReferences": [reference_to(owner)]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": copy.deepcopy(template["spec"])}


class PodControl:
    """The pods of all objects of one kind.

    What the watch has `seen` decides whether to look; only a `fresh` list decides to act, so that a pod whose
    creation the watch has not shown yet is never made twice.
    """

    def __init__(
        self, kube: Kube, informers: Informers, owners: Kind, events: Recorder, words: Words | None = None
    ) -> None:
        self._kube = kube
        self._kind = owners
        self._owners, self._pods = informers.of(owners), informers.of(POD)
        self._events = events
        self._words = words or Words()

    def listen(self, queue: WorkQueue[Key]) -> None:
        """Queue an owner when a pod of its own changes, or one without an owner that it selects."""

        def changed(change: Change) -> None:
            pod = change.object
            namespace, controller = pod["metadata"]["namespace"], controller_of(pod)
            if controller is None:
                for owner in self._owners.all(namespace):
                    if selects(owner["spec"]["selector"], labels_of(pod)):
                        queue.add(key_of(owner))
            elif controller["kind"] == self._kind.kind:
                queue.add((namespace, controller["name"]))

        self._pods.listen(changed)

    async def seen(self, owner: Object) -> list[Object]:
        """An owner's pods, as last seen."""
        return await claim(self._kube, POD, owner, list(self._pods.all(owner["metadata"]["namespace"])))

    async def fresh(self, owner: Object) -> list[Object]:
        """An owner's pods, as they are."""
        return await claim(self._kube, POD, owner, await self._kube.list(POD, owner["metadata"]["namespace"]))

    async def create(self, owner: Object, pods: Iterable[Object]) -> list[Object]:
        """Make pods; none in a namespace that is on its way out. The first failure is raised."""
        try:
            return await _in_batches([partial(self._create, owner, pod) for pod in pods])
        except ApiError as error:
            if _namespace_is_leaving(error):
                return []
            raise

    async def delete(self, owner: Object, pods: Iterable[Object]) -> None:
        """End pods: these very ones, not others that have their names by now."""
        await _in_batches([partial(self._delete, owner, pod) for pod in pods])

    async def _create(self, owner: Object, pod: Object) -> Object:
        name = pod["metadata"].get("name", "")
        try:
            created = await self._kube.create(pod)
        except ApiError as error:
            if error.reason != "AlreadyExists" and not _namespace_is_leaving(error):
                self._say(owner, "FailedCreate", self._words.failed, pod=name, error=error.message)
            raise
        self._say(owner, "SuccessfulCreate", self._words.created, pod=created["metadata"]["name"])
        return created

    async def _delete(self, owner: Object, pod: Object) -> None:
        metadata = pod["metadata"]
        body, about = {"preconditions": {"uid": metadata["uid"]}}, f"Pod {'/'.join(key_of(pod))}"
        try:
            await self._kube.request("DELETE", POD.path(*key_of(pod)), body=body, about=about)
        except ApiError as error:
            if error.reason != "NotFound":
                raise
        self._say(owner, "SuccessfulDelete", self._words.deleted, pod=metadata["name"])

    def _say(self, owner: Object, reason: str, words: str, **values: str) -> None:
        text = words.format(owner=owner["metadata"]["name"], **values)
        self._events.record(owner, reason, text, warning=reason.startswith("Failed"))


def _namespace_is_leaving(error: ApiError) -> bool:
    return any(cause.get("reason") == "NamespaceTerminating" for cause in error.details.get("causes") or [])


async def _in_batches(calls: list[Callable[[], Awaitable[T]]]) -> list[T]:
    """Call one, then two, then four at once: what fails for all fails early. The first failure is raised."""
    done: list[T] = []
    size = _FIRST_BATCH
    while len(done) < len(calls):
        batch = calls[len(done) : len(done) + size]
        results = await asyncio.gather(*(call() for call in batch), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
            done.append(result)
        size *= 2
    return done
