"""What must a pod network do for the node? The seam between the kubelet and the ways to give a pod an address."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from meshlab.kube import Object


@dataclass(frozen=True, slots=True)
class Attachment:
    """A pod's place in the network."""

    address: str
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables every container gets; its own env wins."""
    not_enforced: tuple[str, ...] = ()
    """Fields of the pod that this network can't honour and passes over, in a reader's words."""
    enforced: tuple[str, ...] = ()
    """How paths of fields end that this network honours, though a node of processes alone would not."""


class Network(Protocol):
    """A way to give pods addresses and to make Services reachable."""

    name: str
    """Shown in the Node's label meshlab.dev/pod-network."""
    node_address: str
    """The node's own address: every pod's hostIP."""

    async def run(self) -> None:
        """Do what is to be done while pods run, until cancelled; then give everything back."""

    async def attach(self, pod: Object, folder: Path) -> Attachment:
        """Give a pod its address, the one in its status if it has one. `folder` is the pod's own."""

    async def detach(self, pod: Object) -> None:
        """Take the address back. Safe to repeat."""

    def open_socket(self, address: str, pod_uid: str | None = None) -> socket.socket:
        """A TCP socket, not yet connected, that reaches an address as the node or as a pod does. Raises OSError."""

    def localhost(self, address: str) -> str:
        """What a pod with an address of its own calls itself."""
        del address
        return "127.0.0.1"

    def enter(self, pod_uid: str, container: Mapping[str, Any]) -> list[str]:
        """What a command is prefixed with to run as a container (its spec) of a pod; nothing on loopback."""

    async def connect(self, address: str, port: int, pod_uid: str | None = None) -> socket.socket:
        """A connection to a pod or a cluster IP, made by the node, or from inside a pod (to its 127.0.0.1).

        The socket doesn't block. Raises OSError.
        """
        connection = self.open_socket(address, pod_uid)
        try:
            connection.settimeout(0)
            await asyncio.get_running_loop().sock_connect(connection, (address, port))
        except BaseException:
            connection.close()
            raise
        return connection
