"""A pod network that needs no privilege: each pod has an address of its own in 127.0.0.0/8.

It is cooperative. Nothing keeps a process from listening on another address than its pod's, or from dialling
past its proxy; an app that binds `BIND_ADDRESS` and honours `http_proxy` behaves as it would in a cluster.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult

from meshlab.cluster.embedded.node.forward_proxy import ForwardProxy
from meshlab.cluster.embedded.node.network import Attachment, Network
from meshlab.cluster.embedded.node.pool import Pool
from meshlab.cluster.embedded.node.service_proxy import ServiceProxy
from meshlab.cluster.embedded.node.services import Services
from meshlab.kube import Object

_NO_PROXY = "localhost,127.0.0.1"


class LoopbackNetwork(Network):
    """Addresses 127.n.0.2 to 127.n.127.254."""

    name = "loopback"

    def __init__(self, block: str, services: Services, pods: list[Object], api: SplitResult) -> None:
        """`pods` are those the cluster knows on this node, `api` is the API server's address."""
        self.node_address = f"{block}.0.1"
        self._pool = Pool(block, pods)
        self._service_proxy = ServiceProxy(services)
        self._forward_proxy = ForwardProxy(services, self.node_address)
        # The API server itself, for the relay of its Service would need a privileged port.
        self._api = {"KUBERNETES_SERVICE_HOST": api.hostname or "", "KUBERNETES_SERVICE_PORT": str(api.port or 443)}

    async def run(self) -> None:
        """Relay what is sent to Services until cancelled."""
        try:
            await self._service_proxy.run()
        finally:
            self._forward_proxy.close()

    async def attach(self, pod: Object, folder: Path) -> Attachment:
        """Give a pod its address, and variables by which its programs find their way."""
        del folder
        address = self._pool.take(pod)
        proxy = await self._forward_proxy.url(pod["metadata"]["namespace"])
        variables = {"BIND_ADDRESS": address, "http_proxy": proxy, "no_proxy": _NO_PROXY, **self._api}
        return Attachment(address, variables, tuple(_not_enforced(pod)))

    async def detach(self, pod: Object) -> None:
        """Take a pod's address back."""
        self._pool.give_back(pod)

    def open_socket(self, address: str, pod_uid: str | None = None) -> socket.socket:
        """An ordinary one: the node and all pods are in the machine's own network."""
        del address, pod_uid
        return socket.socket(socket.AF_INET, socket.SOCK_STREAM)

    def localhost(self, address: str) -> str:
        """The pod's address: 127.0.0.1 is everybody's."""
        return address

    def enter(self, pod_uid: str, container: Mapping[str, Any]) -> list[str]:
        """Nothing: there is no inside."""
        del pod_uid, container
        return []


def _not_enforced(pod: Object) -> Iterator[str]:
    spec = pod["spec"]
    for name in ("hostNetwork", "hostAliases", "dnsConfig"):
        if spec.get(name):
            yield name
    for container in spec["containers"]:
        if any(port.get("hostPort") for port in container.get("ports") or []):
            yield f"containers[{container['name']}].ports.hostPort"
