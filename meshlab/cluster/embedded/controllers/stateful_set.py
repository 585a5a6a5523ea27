"""Does a StatefulSet have its pods, each under its own name, in order?"""

from __future__ import annotations

from meshlab.cluster.embedded.controllers.history import History, template_of
from meshlab.cluster.embedded.controllers.pod_control import PodControl, Words
from meshlab.cluster.embedded.controllers.pods import seconds_to_available
from meshlab.cluster.embedded.controllers.stateful_pods import new_pod, revision_of
from meshlab.cluster.embedded.controllers.stateful_status import status_of
from meshlab.cluster.embedded.controllers.stateful_steps import Steps, is_at_present_revision, next_steps
from meshlab.cluster.embedded.controllers.workqueue import WorkQueue
from meshlab.cluster.embedded.events import Recorder
from meshlab.cluster.embedded.informers import Informers, Key, key_of
from meshlab.kube import Kube, Object
from meshlab.kube.objects import STATEFUL_SET

_HASH_LABEL = "controller.kubernetes.io/hash"
_WORDS = Words(
    created="create Pod {pod} in StatefulSet {owner} successful",
    deleted="delete Pod {pod} in StatefulSet {owner} successful",
    failed="create Pod {pod} in StatefulSet {owner} failed error: {error}",
)


class StatefulSetController:
    """Takes one step at a time; the change it makes brings the StatefulSet back for the next."""

    def __init__(self, kube: Kube, informers: Informers) -> None:
        self._kube = kube
        self._sets = informers.of(STATEFUL_SET)
        self._pods = PodControl(kube, informers, STATEFUL_SET, Recorder(kube, "statefulset-controller"), _WORDS)
        self._history = History(kube, informers, STATEFUL_SET, _HASH_LABEL)
        self._queue: WorkQueue[Key] = WorkQueue("statefulset", self._sync)
        self._sets.listen(lambda change: self._queue.add(key_of(change.object)))
        self._pods.listen(self._queue)
        self._history.listen(self._queue)

    async def run(self) -> None:
        """Work until cancelled."""
        await self._queue.run()

    async def _sync(self, key: Key) -> None:
        stateful_set = self._sets.get(*key)
        if stateful_set is None or stateful_set["metadata"].get("deletionTimestamp"):
            return
        known = await self._history.of(stateful_set)
        update = await self._history.newest(stateful_set, known)
        name = (stateful_set.get("status") or {}).get("currentRevision")
        current = next((found for found in known if found["metadata"]["name"] == name), update)
        pods = await self._pods.seen(stateful_set)
        await self._report(stateful_set, pods, current, update)
        if next_steps(stateful_set, pods, update["metadata"]["name"]):
            pods = await self._pods.fresh(stateful_set)
            await self._take(stateful_set, next_steps(stateful_set, pods, update["metadata"]["name"]), current, update)
        self._come_back(stateful_set, pods)
        in_use = {current["metadata"]["name"], update["metadata"]["name"], *map(revision_of, pods)}
        await self._history.forget_old(stateful_set, known, in_use)

    async def _take(self, stateful_set: Object, steps: Steps, current: Object, update: Object) -> None:
        new = []
        for number in steps.create:
            revision = current if is_at_present_revision(stateful_set, number) else update
            new.append(new_pod(stateful_set, template_of(revision), revision["metadata"]["name"], number))
        await self._pods.create(stateful_set, new)
        await self._pods.delete(stateful_set, steps.delete)

    def _come_back(self, stateful_set: Object, pods: list[Object]) -> None:
        """Look again when a pod that is ready will have been so for long enough."""
        seconds = stateful_set["spec"].get("minReadySeconds", 0)
        if to_come := [wait for pod in pods if (wait := seconds_to_available(pod, seconds))]:
            self._queue.add_after(key_of(stateful_set), min(to_come))

    async def _report(self, stateful_set: Object, pods: list[Object], current: Object, update: Object) -> None:
        status = status_of(stateful_set, pods, current["metadata"]["name"], update["metadata"]["name"])
        if status != stateful_set.get("status"):
            await self._kube.replace({**stateful_set, "status": status}, subresource="status")
