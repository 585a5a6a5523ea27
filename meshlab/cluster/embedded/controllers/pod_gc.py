"""Which pods can nobody end any more? Those of a node that is gone."""

from __future__ import annotations

from meshlab.cluster.embedded.controllers.workqueue import WorkQueue
from meshlab.cluster.embedded.informers import Informers, Key, key_of
from meshlab.kube import Change, Kube
from meshlab.kube.objects import NODE, POD


class PodGarbageCollector:
    """Removes pods bound to a node that no longer exists: there is no kubelet that would."""

    def __init__(self, kube: Kube, informers: Informers) -> None:
        self._kube = kube
        self._pods, self._nodes = informers.of(POD), informers.of(NODE)
        self._queue: WorkQueue[Key] = WorkQueue("pod gc", self._sync)
        self._pods.listen(lambda change: self._queue.add(key_of(change.object)))
        self._nodes.listen(self._node_changed)

    async def run(self) -> None:
        """Work until cancelled."""
        await self._queue.run()

    def _node_changed(self, change: Change) -> None:
        if change.type == "DELETED":
            for pod in self._pods.all():
                if pod["spec"].get("nodeName") == change.object["metadata"]["name"]:
                    self._queue.add(key_of(pod))

    async def _sync(self, key: Key) -> None:
        pod = self._pods.get(*key)
        node = pod["spec"].get("nodeName") if pod else None
        if pod is None or not node or self._nodes.get("", node):
            return
        if await self._kube.find(NODE, node) is None:
            body = {"gracePeriodSeconds": 0, "preconditions": {"uid": pod["metadata"]["uid"]}}
            await self._kube.request("DELETE", POD.path(*key), body=body, about=f"Pod {'/'.join(key)}")
