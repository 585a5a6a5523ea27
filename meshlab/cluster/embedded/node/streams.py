"""How does one get into a pod of this node? What the API server asks for exec, attach and port-forward."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

from meshlab.cluster.embedded.node.attached import Attached
from meshlab.cluster.embedded.node.execution import Execution
from meshlab.cluster.embedded.node.instance import Instance
from meshlab.cluster.embedded.node.pod import PodWorker
from meshlab.cluster.embedded.node.runtime import StartError
from meshlab.cluster.embedded.pod_streams import CommandError, NotRunningError, Wanted
from meshlab.kube import Object


class Streams:
    """Ways into the pods that run here; the API server's `PodStreams`."""

    def __init__(self, workers: Mapping[str, PodWorker]) -> None:
        """`workers` are the node's own, by the uid of their pod."""
        self._workers = workers

    async def dial(self, pod: Object, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to a port of a pod, made inside the pod. Raises OSError."""
        worker = self._workers.get(pod["metadata"]["uid"])
        if worker is None:
            raise ConnectionError(f"pod {pod['metadata']['name']} does not run on this node")
        connection = await worker.dial(port)
        return await asyncio.open_connection(sock=connection)

    def check(self, pod: Object, container: str) -> None:
        """Raises NotRunningError when a container doesn't run here."""
        self._instance(pod, container)

    async def execute(self, pod: Object, container: str, argv: Sequence[str], wanted: Wanted) -> Execution:
        """Run a command in a container; it ends with the container. Raises NotRunningError and CommandError."""
        instance = self._instance(pod, container)
        try:
            execution = await Execution.start(replace(instance.command, argv=argv), wanted)
        except StartError as error:
            raise CommandError(str(error)) from error
        instance.companions.add(execution)
        return execution

    async def attach(self, pod: Object, container: str, wanted: Wanted) -> Attached:
        """Look on while a container runs. Raises NotRunningError."""
        return Attached(self._instance(pod, container), wanted)

    def _instance(self, pod: Object, name: str) -> Instance:
        worker = self._workers.get(pod["metadata"]["uid"])
        container = worker.containers.get(name) if worker else None
        instance = container.instance if container else None
        if instance is None:
            raise NotRunningError(f'container not found ("{name}")')
        return instance
