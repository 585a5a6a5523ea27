"""Are there as many pods as a ReplicaSet wants?"""

from __future__ import annotations

from typing import Any

from meshlab.cluster.embedded.clock import now
from meshlab.cluster.embedded.controllers.pod_control import PodControl, pod_of
from meshlab.cluster.embedded.controllers.pods import (
    condition,
    is_active,
    is_ready,
    seconds_to_available,
    victims_first,
)
from meshlab.cluster.embedded.controllers.workqueue import WorkQueue
from meshlab.cluster.embedded.events import Recorder
from meshlab.cluster.embedded.informers import Informers, Key, key_of
from meshlab.kube import ApiError, Kube, Object
from meshlab.kube.objects import REPLICA_SET, labels_of

_BURST = 500


class ReplicaSetController:
    """Makes and deletes pods."""

    def __init__(self, kube: Kube, informers: Informers) -> None:
        self._kube = kube
        self._sets = informers.of(REPLICA_SET)
        self._pods = PodControl(kube, informers, REPLICA_SET, Recorder(kube, "replicaset-controller"))
        self._queue: WorkQueue[Key] = WorkQueue("replicaset", self._sync)
        self._sets.listen(lambda change: self._queue.add(key_of(change.object)))
        self._pods.listen(self._queue)

    async def run(self) -> None:
        """Work until cancelled."""
        await self._queue.run()

    async def _sync(self, key: Key) -> None:
        replica_set = self._sets.get(*key)
        if replica_set is None:
            return
        pods = list(filter(is_active, await self._pods.seen(replica_set)))
        wanted = replica_set["spec"].get("replicas", 1)
        failure: ApiError | None = None
        if not replica_set["metadata"].get("deletionTimestamp") and len(pods) != wanted:
            pods = list(filter(is_active, await self._pods.fresh(replica_set)))
            try:
                pods = await self._scale(replica_set, pods, wanted - len(pods))
            except ApiError as error:
                failure = error
        await self._report(replica_set, pods, failure)
        if failure:
            raise failure

    async def _scale(self, replica_set: Object, pods: list[Object], missing: int) -> list[Object]:
        if missing > 0:
            new = pod_of(replica_set, replica_set["spec"]["template"])
            return pods + await self._pods.create(replica_set, [new] * min(missing, _BURST))
        victims = victims_first(pods)[: -missing or None] if missing else []
        await self._pods.delete(replica_set, victims)
        gone = {pod["metadata"]["uid"] for pod in victims}
        return [pod for pod in pods if pod["metadata"]["uid"] not in gone]

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
