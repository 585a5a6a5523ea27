"""How does one get into a pod of this node? What the API server asks for exec, attach and port-forward."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from meshlab.cluster.embedded.node.pod import PodWorker
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
