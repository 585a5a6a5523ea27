"""A pod network that needs no privilege: each pod has an address of its own in 127.0.0.0/8.

It is cooperative. Nothing keeps a process from listening on another address than its pod's, or from dialling
past its proxy; an app that binds `BIND_ADDRESS` and honours `http_proxy` behaves as it would in a cluster.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address
from itertools import chain
from pathlib import Path
from typing import Any

from meshlab.cluster.embedded.node.forward_proxy import ForwardProxy
from meshlab.cluster.embedded.node.network import Attachment, Network
from meshlab.cluster.embedded.node.service_proxy import ServiceProxy
from meshlab.cluster.embedded.node.services import Services
from meshlab.errors import ClusterError
from meshlab.kube import Object

_NO_PROXY = "localhost,127.0.0.1"


class LoopbackNetwork(Network):
    """Addresses 127.n.0.2 to 127.n.127.254, given out in turn so that one is not soon reused."""

    name = "loopback"

    def __init__(self, octet: int, services: Services, pods: list[Object]) -> None:
        """`pods` are those the cluster knows on this node: their addresses stay theirs."""
        self.node_address = f"127.{octet}.0.1"
        self._first, self._last = IPv4Address(f"127.{octet}.0.2"), IPv4Address(f"127.{octet}.127.254")
        self._next = self._first
        self._taken: dict[str, str] = {}
        self._service_proxy = ServiceProxy(services)
        self._forward_proxy = ForwardProxy(services, self.node_address)
        for pod in pods:
            if address := (pod.get("status") or {}).get("podIP"):
                self._taken[address] = pod["metadata"]["uid"]
                if self._first <= IPv4Address(address) < self._last:
                    self._next = max(self._next, IPv4Address(address) + 1)

    async def run(self) -> None:
        """Relay what is sent to Services until cancelled."""
        try:
            await self._service_proxy.run()
        finally:
            self._forward_proxy.close()

    async def attach(self, pod: Object, folder: Path) -> Attachment:
        """Give a pod its address, the one in its status if it has one."""
        del folder
        uid, address = pod["metadata"]["uid"], (pod.get("status") or {}).get("podIP")
        if not address or self._taken.get(address, uid) != uid:
            address = next((taken for taken, owner in self._taken.items() if owner == uid), None) or self._free()
        self._taken[address] = uid
        proxy = await self._forward_proxy.url(pod["metadata"]["namespace"])
        variables = {"BIND_ADDRESS": address, "http_proxy": proxy, "no_proxy": _NO_PROXY}
        return Attachment(address, variables, tuple(_not_enforced(pod)))

    async def detach(self, pod: Object) -> None:
        """Take a pod's address back."""
        uid = pod["metadata"]["uid"]
        self._taken = {address: owner for address, owner in self._taken.items() if owner != uid}

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

    def _free(self) -> str:
        first, last, start = int(self._first), int(self._last), int(self._next)
        for number in chain(range(start, last + 1), range(first, start)):
            address = str(IPv4Address(number))
            if number & 0xFF not in (0, 0xFF) and address not in self._taken:
                self._next = IPv4Address(number + 1) if number < last else self._first
                return address
        raise ClusterError("ML140", "every pod address of this lab is taken", hint="kubectl get pods -A -o wide")


def _not_enforced(pod: Object) -> Iterator[str]:
    spec = pod["spec"]
    for name in ("hostNetwork", "hostAliases", "dnsConfig"):
        if spec.get(name):
            yield name
    for container in spec["containers"]:
        if any(port.get("hostPort") for port in container.get("ports") or []):
            yield f"containers[{container['name']}].ports.hostPort"
