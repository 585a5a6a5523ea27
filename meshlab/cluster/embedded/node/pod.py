"""What is the life of a pod: a place, its init containers in order, its containers, and an orderly end?"""

from __future__ import annotations

import asyncio
import logging
import shutil
import socket
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from typing import Any

from meshlab.cluster.embedded.clock import now
from meshlab.cluster.embedded.node import marks, status
from meshlab.cluster.embedded.node.container import Container
from meshlab.cluster.embedded.node.limits import not_enforced, refusal
from meshlab.cluster.embedded.node.network import Attachment
from meshlab.cluster.embedded.node.place import Host, Place
from meshlab.cluster.embedded.node.sources import MissingSourceError
from meshlab.cluster.embedded.node.volumes import Volumes
from meshlab.errors import ClusterError
from meshlab.kube import ApiError, Object
from meshlab.kube.objects import POD

log = logging.getLogger(__name__)

_SETUP_RETRY_SECONDS = (0.1, 0.3, 1.0, 2.0)


class PodWorker:
    """Runs one pod. `update` brings news of it, `leave` ends it; `run` returns when nothing of it is left."""

    def __init__(self, host: Host, pod: Object) -> None:
        self._host = host
        volumes = Volumes(host.sources, pod, host.folder_of(pod) / "volumes")
        self._writer = status.StatusWriter(host.kube, pod, self._status)
        self._place = Place(host, pod, Attachment(""), volumes, self._writer.changed)
        self._restart: str = pod["spec"].get("restartPolicy", "Always")
        spec = pod["spec"]
        once = "Never" if self._restart == "Never" else "OnFailure"
        self._init = [
            self._container(init, init.get("restartPolicy") or once, "initContainerStatuses")
            for init in spec.get("initContainers") or []
        ]
        self._containers = [
            self._container(container, self._restart, "containerStatuses") for container in spec["containers"]
        ]
        if not is_finished(pod) and not all(container.is_ended for container in self._containers):
            for init in self._init:
                init.begin_anew()
        self._ephemeral: dict[str, Container] = {}
        self._is_set_up = False
        self._grace: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._for_good = False
        self._work: set[asyncio.Task[None]] = set()
        self._since = (pod.get("status") or {}).get("startTime") or now()

    @property
    def pod(self) -> Object:
        """The newest version seen."""
        return self._place.pod

    @property
    def containers(self) -> dict[str, Container]:
        """All its containers, by name."""
        return {container.name: container for container in [*self._init, *self._containers]} | self._ephemeral

    @property
    def volumes(self) -> Volumes:
        """The pod's volumes."""
        return self._place.volumes

    async def dial(self, port: int) -> socket.socket:
        """A connection to a port of the pod, from inside. Raises OSError."""
        network, address = self._host.network, self._place.attachment.address
        if not address:
            raise ConnectionError("the pod has no network yet")
        return await network.connect(network.localhost(address), port, self.pod["metadata"]["uid"])

    def update(self, pod: Object) -> None:
        """Take note of a newer version."""
        before, self._place.pod = self._place.pod, self._with_address(pod)
        if pod["metadata"].get("deletionTimestamp"):
            self.leave(pod["metadata"].get("deletionGracePeriodSeconds", 30), for_good=True)
            return
        images = {spec["name"]: spec for spec in pod["spec"]["containers"]}
        for container in self._containers:
            if images[container.name]["image"] != container.spec["image"]:
                self._do(container.replace(images[container.name]))
        if _labels_and_annotations(before) != _labels_and_annotations(pod):
            self.refresh_volumes()
        self._start_ephemeral()
        self._place.changed()

    def refresh_volumes(self) -> None:
        """Have the files in the pod's volumes brought up to date."""
        self._do(self.volumes.refresh(self.pod))

    def leave(self, grace: float, *, for_good: bool = False) -> None:
        """Have the pod end within a time. If not `for_good`, it will be run again by the next daemon."""
        self._for_good |= for_good
        if not self._grace.done():
            self._grace.set_result(grace)

    async def run(self) -> None:
        """The pod's whole life."""
        if is_finished(self.pod):  # under an earlier daemon: only its logs are left to be read
            await self._grace
            await self._clean_up()
            return
        writer = asyncio.create_task(self._writer.run())
        life = asyncio.create_task(self._live())
        try:
            self._place.changed()
            grace = await asyncio.shield(self._grace)
            if not self._for_good:
                writer.cancel()  # the pod will be run again: its status must not say that it has ended
            await self._end(grace)
        finally:
            life.cancel()
            writer.cancel()
            await asyncio.gather(life, writer, return_exceptions=True)
            await self._clean_up()

    async def _live(self) -> None:
        tokens = None
        try:
            await self._set_up()
            tokens = asyncio.create_task(self.volumes.keep_tokens_fresh())
            self._is_set_up = True
            self._start_ephemeral()
            if not await self._initialize():
                return
            await asyncio.gather(*(container.start() for container in self._containers))
            for sidecar in reversed(self._sidecars):
                await sidecar.stop(self._default_grace)
        except Exception as error:
            log.exception("pod %s/%s", self.pod["metadata"]["namespace"], self.pod["metadata"]["name"])
            self._cannot_start("InternalError", f"{type(error).__name__}: {error}", event="InternalError")
        finally:
            if tokens:
                tokens.cancel()

    async def _set_up(self) -> None:
        host, tries = self._host, 0
        if refused := refusal(self.pod):
            self._cannot_start(*refused, event=refused[0])
            await asyncio.Future()
        while True:
            try:
                self._place.attachment = await host.network.attach(self.pod, self._place.folder)
                self._place.pod = self._with_address(self.pod)
                await self.volumes.prepare()
                break
            except (MissingSourceError, OSError) as error:
                self._cannot_start("ContainerCreating", f"MountVolume.SetUp failed: {error}")
            except ClusterError as error:
                self._cannot_start("ContainerCreating", f"MountVolume.SetUp failed: {error.what}")
            await asyncio.sleep(_SETUP_RETRY_SECONDS[min(tries, len(_SETUP_RETRY_SECONDS) - 1)])
            tries += 1
        network = self._place.attachment
        ignored = [field for field in not_enforced(self.pod) if not field.endswith(network.enforced)]
        if ignored := [*ignored, *network.not_enforced]:
            message = f"This node runs pods as ordinary processes and does not enforce: {', '.join(ignored)}"
            host.events.record(self.pod, "NotEnforced", message)
        self._place.changed()

    def _cannot_start(self, reason: str, message: str, *, event: str = "FailedMount") -> None:
        self._host.events.record(self.pod, event, message, warning=True)
        for container in [*self._init, *self._containers]:
            container.wait_for(reason, message)

    async def _initialize(self) -> bool:
        """Whether every init container has done its work. A sidecar's is done when it has started."""
        for container in self._containers:
            container.wait_for("PodInitializing" if self._init else "ContainerCreating")
        for container in self._init:
            ended = container.start()
            if container in self._sidecars:
                await container.started.wait()
                continue
            await ended
            if container.exit_code:
                return False
        return True

    def _start_ephemeral(self) -> None:
        """Start the containers that somebody has added to look around. They are never started again."""
        for spec in self.pod["spec"].get("ephemeralContainers") or []:
            if self._is_set_up and spec["name"] not in self._ephemeral and not self._grace.done():
                added = self._ephemeral[spec["name"]] = self._container(spec, "Never", "ephemeralContainerStatuses")
                added.start()

    @property
    def _sidecars(self) -> list[Container]:
        return status.sidecars(self._init)

    @property
    def _default_grace(self) -> float:
        return float(self.pod["spec"].get("terminationGracePeriodSeconds", 30))

    async def _end(self, grace: float) -> None:
        others = [*self._ephemeral.values(), *(init for init in self._init if init not in self._sidecars)]
        await asyncio.gather(*(container.stop(grace) for container in [*others, *self._containers]))
        await asyncio.gather(*(sidecar.stop(grace) for sidecar in self._sidecars))
        if self._for_good:
            with suppress(ClusterError):
                await self._writer.write()

    async def _clean_up(self) -> None:
        """Leave no process, address or file behind, then tell the API server that the pod may go."""
        seal = self._host.seal_of(self.pod)
        await asyncio.to_thread(marks.end_sealed, seal.node, seal.uid)
        await self._host.network.detach(self.pod)
        if not self._for_good:
            return
        await asyncio.to_thread(shutil.rmtree, self._place.folder, ignore_errors=True)
        metadata = self.pod["metadata"]
        path, now_ = POD.path(metadata["namespace"], metadata["name"]), {"gracePeriodSeconds": 0}
        with suppress(ApiError):
            await self._host.kube.request("DELETE", path, body={**now_, "preconditions": {"uid": metadata["uid"]}})

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something beside the pod's life, and hold on to it until it is done."""
        task = asyncio.create_task(work)
        self._work.add(task)
        task.add_done_callback(self._work.discard)

    def _container(self, spec: Mapping[str, Any], restart: str, statuses: str) -> Container:
        rows = (self.pod.get("status") or {}).get(statuses) or []
        known: Mapping[str, Any] = next((row for row in rows if row["name"] == spec["name"]), {})
        return Container(self._place, spec, restart, known)

    def _with_address(self, pod: Object) -> Object:
        """As the pod is once its status is written: a version seen meanwhile may not have its address yet."""
        address = self._place.attachment.address
        if not address:
            return pod
        shown = {"podIP": address, "podIPs": [{"ip": address}], "hostIP": self._host.network.node_address}
        return {**pod, "status": {**(pod.get("status") or {}), **shown}}

    def _status(self) -> dict[str, Any]:
        address, host = self._place.attachment.address, self._host.network.node_address
        phase = status.phase(self._restart, self._init, self._containers)
        rows = status.conditions(self.pod, phase, self._init, self._containers, attached=bool(address))
        result: dict[str, Any] = {"phase": phase, "conditions": rows, "startTime": self._since}
        result |= {"hostIP": host, "hostIPs": [{"ip": host}]}
        result |= {"podIP": address, "podIPs": [{"ip": address}]} if address else {}
        result["containerStatuses"] = [container.status() for container in self._containers]
        if self._init:
            result["initContainerStatuses"] = [container.status() for container in self._init]
        if self._ephemeral:
            rows = [{**container.status(), "ready": False} for container in self._ephemeral.values()]
            result["ephemeralContainerStatuses"] = rows
        return result


def is_finished(pod: Object) -> bool:
    """Whether its status says that all its containers ended for good."""
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def _labels_and_annotations(pod: Object) -> tuple[Any, Any]:
    return pod["metadata"].get("labels"), pod["metadata"].get("annotations")
