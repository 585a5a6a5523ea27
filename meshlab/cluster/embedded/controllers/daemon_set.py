"""Does every node have its pod of a DaemonSet?"""

from __future__ import annotations

from typing import Any

from meshlab.cluster.embedded.controllers.daemon_steps import belongs, new_pod, next_steps, node_of
from meshlab.cluster.embedded.controllers.history import POD_LABEL, History
from meshlab.cluster.embedded.controllers.pod_control import PodControl
from meshlab.cluster.embedded.controllers.pods import is_leaving, is_ready, seconds_to_available
from meshlab.cluster.embedded.controllers.workqueue import WorkQueue
from meshlab.cluster.embedded.events import Recorder
from meshlab.cluster.embedded.informers import Informers, Key, key_of
from meshlab.kube import Kube, Object
from meshlab.kube.objects import DAEMON_SET, NODE, labels_of

_ALWAYS = ("currentNumberScheduled", "desiredNumberScheduled", "numberMisscheduled", "numberReady")


class DaemonSetController:
    """Takes one step at a time; the change it makes brings the DaemonSet back for the next."""

    def __init__(self, kube: Kube, informers: Informers) -> None:
        self._kube = kube
        self._sets, self._nodes = informers.of(DAEMON_SET), informers.of(NODE)
        self._pods = PodControl(kube, informers, DAEMON_SET, Recorder(kube, "daemonset-controller"))
        self._history = History(kube, informers, DAEMON_SET, POD_LABEL)
        self._queue: WorkQueue[Key] = WorkQueue("daemonset", self._sync)
        self._sets.listen(lambda change: self._queue.add(key_of(change.object)))
        self._pods.listen(self._queue)
        self._history.listen(self._queue)
        self._nodes.listen(lambda _: self._nodes_changed())

    async def run(self) -> None:
        """Work until cancelled."""
        await self._queue.run()

    def _nodes_changed(self) -> None:
        for daemon_set in self._sets.all():
            self._queue.add(key_of(daemon_set))

    async def _sync(self, key: Key) -> None:
        daemon_set = self._sets.get(*key)
        if daemon_set is None or daemon_set["metadata"].get("deletionTimestamp"):
            return
        known = await self._history.of(daemon_set)
        present = await self._history.newest(daemon_set, known)
        template, nodes = self._history.hash_of(present), list(self._nodes.all())
        pods = await self._pods.seen(daemon_set)
        await self._report(daemon_set, nodes, pods, template)
        if next_steps(daemon_set, nodes, pods, template):
            pods = await self._pods.fresh(daemon_set)
            steps = next_steps(daemon_set, nodes, pods, template)
            await self._pods.create(daemon_set, [new_pod(daemon_set, node, template) for node in steps.create])
            await self._pods.delete(daemon_set, steps.delete)
        used = {template, *(labels_of(pod).get(POD_LABEL, "") for pod in pods)}
        in_use = [found["metadata"]["name"] for found in known if self._history.hash_of(found) in used]
        await self._history.forget_old(daemon_set, known, in_use)

    async def _report(self, daemon_set: Object, nodes: list[Object], pods: list[Object], template: str) -> None:
        seconds = daemon_set["spec"].get("minReadySeconds", 0)
        if to_come := [wait for pod in pods if (wait := seconds_to_available(pod, seconds))]:
            self._queue.add_after(key_of(daemon_set), min(to_come))
        status = _status(daemon_set, nodes, pods, template)
        if status != daemon_set.get("status"):
            await self._kube.replace({**daemon_set, "status": status}, subresource="status")


def _status(daemon_set: Object, nodes: list[Object], pods: list[Object], template: str) -> dict[str, Any]:
    seconds = daemon_set["spec"].get("minReadySeconds", 0)
    wanted = {node["metadata"]["name"] for node in nodes if belongs(daemon_set, node)}
    staying = [pod for pod in pods if not is_leaving(pod)]

    def places(found: list[Object]) -> set[str]:
        return {node_of(pod) for pod in found}

    available = places([pod for pod in staying if seconds_to_available(pod, seconds) == 0]) & wanted
    before = daemon_set.get("status") or {}
    status: dict[str, Any] = {
        "currentNumberScheduled": len(places(staying) & wanted),
        "numberMisscheduled": len(places(staying) - wanted),
        "desiredNumberScheduled": len(wanted),
        "numberReady": len(places([pod for pod in staying if is_ready(pod)]) & wanted),
        "observedGeneration": daemon_set["metadata"]["generation"],
        "updatedNumberScheduled": len(
            places([pod for pod in staying if labels_of(pod).get(POD_LABEL) == template]) & wanted
        ),
        "numberAvailable": len(available),
        "numberUnavailable": len(wanted - available),
        "collisionCount": before.get("collisionCount", 0),
    }
    return {name: value for name, value in status.items() if value or name in _ALWAYS}
