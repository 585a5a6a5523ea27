"""Where can a lab run?

Everything above this room meets a cluster at its Kubernetes API, so a cluster says only how it starts,
how it is reached and how it goes. `EmbeddedCluster` is the default; kind and any kubeconfig context fit the
same five methods.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol


class Cluster(Protocol):
    """A place with a Kubernetes API.

    `name` is the lab's, `kind` says what it is (``embedded``), `image` what a pod
    spec there writes to get this version of meshlab.
    """

    name: str
    kind: str
    image: str

    @property
    def network(self) -> str:
        """How a pod's traffic reaches its sidecar; empty while nobody knows yet."""

    async def up(self) -> None:
        """Start it; when it runs already, do nothing. Returns when its API answers."""

    def kubeconfig(self) -> Path:
        """The kubeconfig with admin rights. Raises ClusterError when there is none."""

    async def reach(self, namespace: str, service: str, port: int) -> tuple[str, int]:
        """A host and port where this machine finds a Service's port."""

    async def load_image(self) -> None:
        """Make `image` known to the nodes; nothing is pulled."""

    async def down(self) -> None:
        """Stop it and every process it started. What was applied is kept where the cluster can keep it."""
