"""Which pods run on this node, and what does the node do when one comes, changes or goes?"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import aiohttp

from meshlab.cluster.embedded.events import Recorder
from meshlab.cluster.embedded.informers import Informer, Informers
from meshlab.cluster.embedded.node import cleanup
from meshlab.cluster.embedded.node.images import Images
from meshlab.cluster.embedded.node.logs import LogOptions
from meshlab.cluster.embedded.node.meter import Meter
from meshlab.cluster.embedded.node.network import Network
from meshlab.cluster.embedded.node.networks import Ground
from meshlab.cluster.embedded.node.place import Host
from meshlab.cluster.embedded.node.pod import PodWorker
from meshlab.cluster.embedded.node.registration import Registration
from meshlab.cluster.embedded.node.services import Services
from meshlab.cluster.embedded.node.sources import Sources
from meshlab.cluster.embedded.node.streams import Streams
from meshlab.errors import ClusterError
from meshlab.kube import Change, Kube, Object
from meshlab.kube.objects import CONFIG_MAP, POD, SECRET

log = logging.getLogger(__name__)


class Node:
    """A node that runs pods as processes. `run` until cancelled; `stop` ends all pods within a bound."""

    def __init__(self, kube: Kube, state_dir: Path, *, image: str, ground: Ground, name: str = "meshlab") -> None:
        self.name = name
        self._kube = kube
        self._folder = state_dir / "pods"
        self._image = image
        self._ground = ground
        self._network: Network | None = None
        self._workers: dict[str, PodWorker] = {}
        self._lives: dict[str, asyncio.Task[None]] = {}
        self.streams = Streams(self._workers)
        self.meter = Meter(name, self._workers)
        self._ready = asyncio.Event()
        self._stopping = False

    async def run(self) -> None:
        """Register, end what an earlier daemon left behind, and run this node's pods. May be called again."""
        self._stopping = False
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        await asyncio.to_thread(cleanup.end_leftovers, self._folder)
        connector = aiohttp.TCPConnector(
            force_close=True, limit=0, socket_factory=lambda where: self.open_socket(where[4][0])
        )
        async with aiohttp.ClientSession(connector=connector, headers={"User-Agent": "kube-probe"}) as http:
            try:
                await self._serve(http)
            finally:
                self._ready.clear()

    async def _serve(self, http: aiohttp.ClientSession) -> None:
        mine = f"spec.nodeName={self.name}"
        known = await self._kube.list(POD, fields=mine)
        await asyncio.to_thread(cleanup.forget_pods, self._folder, {pod["metadata"]["uid"] for pod in known})
        informers, pods = Informers(self._kube), Informer(self._kube, POD, fields=mine)
        network = self._network = self._ground.make(Services(informers), known, self._kube.url, self._folder)
        sources, events = Sources(self._kube, informers), Recorder(self._kube, "kubelet", self.name)
        host = Host(self._kube, self._folder, Images(self._image), sources, network, events, http)
        registration = Registration(self._kube, self.name, self._image, network)
        for kind in (CONFIG_MAP, SECRET):
            informers.of(kind).listen(self._source_changed)
        async with asyncio.TaskGroup() as tasks:
            try:
                tasks.create_task(informers.run())
                await informers.synced()
                tasks.create_task(network.run())
                pods.listen(lambda change: self._pod_changed(host, change))
                tasks.create_task(pods.run())
                tasks.create_task(registration.run())
                await registration.done.wait()
                self._ready.set()
                await asyncio.Event().wait()
            finally:  # while there is a network still, by which pods say good-bye
                await self.stop()

    async def ready(self) -> None:
        """Return when the node is registered and takes pods."""
        await self._ready.wait()

    async def stop(self, grace: float = 2.0) -> None:
        """End every pod, the last of them by force when the grace period is over. They run again at the next start."""
        self._stopping = True
        for worker in self._workers.values():
            worker.leave(grace)
        if self._lives:
            await asyncio.wait(list(self._lives.values()))

    def open_socket(self, address: str) -> socket.socket:
        """A TCP socket, not yet connected, that reaches an address as this node does. Raises OSError."""
        if self._network is None:
            return socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        return self._network.open_socket(address)

    async def logs(self, namespace: str, pod: str, container: str, query: Mapping[str, str]) -> AsyncIterator[bytes]:
        """What a container has written, as `GET pods/log` asks for it. Raises ClusterError ML141 if it has not run."""
        about = f"Pod {namespace}/{pod}"
        options = LogOptions.of(query)
        worker = next((found for found in self._workers.values() if _is(found.pod, namespace, pod)), None)
        found = worker.containers[container] if worker and container in worker.containers else None
        if found is None:
            raise ClusterError("ML141", f'pod "{pod}" is not on this node', about=about)
        log = found.logs.get(previous=options.previous)
        if log is None and options.previous:
            what = f'previous terminated container "{container}" in pod "{pod}" not found'
            raise ClusterError("ML141", what, about=about)
        if log is None:
            what = f'container "{container}" in pod "{pod}" is waiting to start: {found.waiting_for}'
            raise ClusterError("ML141", what, about=about)
        return log.read(options)

    def _pod_changed(self, host: Host, change: Change) -> None:
        pod = change.object
        uid = pod["metadata"]["uid"]
        worker = self._workers.get(uid)
        if change.type == "DELETED":
            if worker:
                worker.leave(0.0, for_good=True)
        elif worker:
            worker.update(pod)
        elif not self._stopping:
            self._take(host, uid, pod)

    def _take(self, host: Host, uid: str, pod: Object) -> None:
        worker = self._workers[uid] = PodWorker(host, pod)
        if pod["metadata"].get("deletionTimestamp"):
            worker.update(pod)
        self._lives[uid] = asyncio.create_task(worker.run(), name=f"pod {pod['metadata']['name']}")
        self._lives[uid].add_done_callback(lambda life: self._forget(uid, life))

    def _forget(self, uid: str, life: asyncio.Task[None]) -> None:
        del self._workers[uid], self._lives[uid]
        if not life.cancelled() and (error := life.exception()):
            log.error("a pod's worker failed", exc_info=error)

    def _source_changed(self, change: Change) -> None:
        kind, metadata = change.object["kind"], change.object["metadata"]
        for worker in self._workers.values():
            same_namespace = worker.pod["metadata"]["namespace"] == metadata["namespace"]
            if same_namespace and worker.volumes.uses(kind, metadata["name"]):
                worker.refresh_volumes()


def _is(pod: Object, namespace: str, name: str) -> bool:
    return bool(pod["metadata"]["namespace"] == namespace and pod["metadata"]["name"] == name)
