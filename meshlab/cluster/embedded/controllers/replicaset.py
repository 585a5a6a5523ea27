"""Are there as many pods as a ReplicaSet wants?"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from meshlab.cluster.embedded.clock import now
from meshlab.cluster.embedded.controllers.owners import claim, controller_of, reference_to
from meshlab.cluster.embedded.controllers.pods import (
    condition,
    is_active,
    is_ready,
    seconds_to_available,
    victims_first,
)
from meshlab.cluster.embedded.controllers.selectors import selects
from meshlab.cluster.embedded.controllers.workqueue import WorkQueue
from meshlab.cluster.embedded.events import Recorder
from meshlab.cluster.embedded.informers import Informers, Key, key_of
from meshlab.kube import ApiError, Change, Kube, Object
from meshlab.kube.objects import POD, REPLICA_SET, labels_of

_FIRST_BATCH = 1
_BURST = 500


class ReplicaSetController:
    """Makes and deletes pods. The watched copy decides whether to look; only a fresh list decides to act, so that
    a pod whose creation the watch has not shown yet is never made twice.
    """

    def __init__(self, kube: Kube, informers: Informers) -> None:
        self._kube = kube
        self._events = Recorder(kube, "replicaset-controller")
        self._sets, self._pods = informers.of(REPLICA_SET), informers.of(POD)
        self._queue: WorkQueue[Key] = WorkQueue("replicaset", self._sync)
        self._sets.listen(lambda change: self._queue.add(key_of(change.object)))
        self._pods.listen(self._pod_changed)

    async def run(self) -> None:
        """Work until cancelled."""
        await self._queue.run()

    def _pod_changed(self, change: Change) -> None:
        pod = change.object
        namespace = pod["metadata"]["namespace"]
        controller = controller_of(pod)
        if controller is None:
            for replica_set in self._sets.all(namespace):
                if selects(replica_set["spec"]["selector"], labels_of(pod)):
                    self._queue.add(key_of(replica_set))
        elif controller["kind"] == "ReplicaSet":
            self._queue.add((namespace, controller["name"]))

    async def _sync(self, key: Key) -> None:
        replica_set = self._sets.get(*key)
        if replica_set is None:
            return
        pods = await self._claim(replica_set, [pod for pod in self._pods.all(key[0]) if is_active(pod)])
        wanted = replica_set["spec"].get("replicas", 1)
        failure: ApiError | None = None
        if not replica_set["metadata"].get("deletionTimestamp") and len(pods) != wanted:
            fresh = await self._kube.list(POD, key[0])
            pods = await self._claim(replica_set, [pod for pod in fresh if is_active(pod)])
            try:
                pods = await self._scale(replica_set, pods, wanted - len(pods))
            except ApiError as error:
                failure = error
        await self._report(replica_set, pods, failure)
        if failure and not _namespace_is_leaving(failure):
            raise failure

    async def _claim(self, replica_set: Object, pods: list[Object]) -> list[Object]:
        return await claim(self._kube, POD, replica_set, pods)

    async def _scale(self, replica_set: Object, pods: list[Object], missing: int) -> list[Object]:
        if missing > 0:
            return pods + await self._create(replica_set, min(missing, _BURST))
        victims = victims_first(pods)[: -missing or None] if missing else []
        await _in_batches([partial(self._delete, replica_set, pod) for pod in victims])
        gone = {pod["metadata"]["uid"] for pod in victims}
        return [pod for pod in pods if pod["metadata"]["uid"] not in gone]

    async def _create(self, replica_set: Object, count: int) -> list[Object]:
        template = replica_set["spec"]["template"]
        metadata = copy.deepcopy(template.get("metadata") or {})
        metadata |= {
            "generateName": f"{replica_set['metadata']['name']}-",
            "namespace": replica_set["metadata"]["namespace"],
            "ownerReferences": [reference_to(replica_set)],
        }
        metadata.pop("creationTimestamp", None)
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}

        async def create() -> Object:
            try:
                created = await self._kube.create(pod)
            except ApiError as error:
                self._events.record(replica_set, "FailedCreate", f"Error creating: {error.message}", warning=True)
                raise
            self._events.record(replica_set, "SuccessfulCreate", f"Created pod: {created['metadata']['name']}")
            return created

        return await _in_batches([create] * count)

    async def _delete(self, replica_set: Object, pod: Object) -> None:
        name = pod["metadata"]["name"]
        await self._kube.delete(POD, name, pod["metadata"]["namespace"])
        self._events.record(replica_set, "SuccessfulDelete", f"Deleted pod: {name}")

    async def _report(self, replica_set: Object, pods: list[Object], failure: ApiError | None) -> None:
        spec, before = replica_set["spec"], replica_set.get("status") or {}
        waits = [seconds_to_available(pod, spec.get("minReadySeconds", 0)) for pod in pods]
        to_come = [wait for wait in waits if wait]
        if to_come:
            self._queue.add_after(key_of(replica_set), min(to_come))
        status: dict[str, Any] = {
            "replicas": len(pods),
            "fullyLabeledReplicas": sum(_has_labels_of(pod, spec["template"]) for pod in pods),
            "readyReplicas": sum(is_ready(pod) for pod in pods),
            "availableReplicas": sum(wait == 0 for wait in waits),
            "observedGeneration": replica_set["metadata"]["generation"],
            "conditions": _conditions(replica_set, failure),
        }
        status = {name: value for name, value in status.items() if value or name in ("replicas", "observedGeneration")}
        if status != before:
            await self._kube.replace({**replica_set, "status": status}, subresource="status")


def _conditions(replica_set: Object, failure: ApiError | None) -> list[dict[str, Any]]:
    before = (replica_set.get("status") or {}).get("conditions") or []
    others = [found for found in before if found["type"] != "ReplicaFailure"]
    if failure is None:
        return others
    if condition(replica_set, "ReplicaFailure"):
        return list(before)  # a new message each time would be a change, and bring the next try at once
    failed = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": failure.message}
    return [*others, {**failed, "lastTransitionTime": now()}]


def _has_labels_of(pod: Object, template: Object) -> bool:
    return labels_of(template).items() <= labels_of(pod).items()


def _namespace_is_leaving(error: ApiError) -> bool:
    return any(cause.get("reason") == "NamespaceTerminating" for cause in error.details.get("causes") or [])


async def _in_batches(calls: list[Callable[[], Awaitable[Any]]]) -> list[Any]:
    """Call one, then two, then four at once: what fails for all fails early. The first failure is raised."""
    done: list[Any] = []
    size = _FIRST_BATCH
    while len(done) < len(calls):
        batch = calls[len(done) : len(done) + size]
        results = await asyncio.gather(*(call() for call in batch), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        done += results
        size *= 2
    return done
