"""Which pod networks are there, and which is the best one to be had on this machine?"""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from meshlab.cluster.embedded.node.loopback import LoopbackNetwork
from meshlab.cluster.embedded.node.namespaces.network import API_PORT, NamespacesNetwork
from meshlab.cluster.embedded.node.namespaces.probe import probe
from meshlab.cluster.embedded.node.network import Network
from meshlab.cluster.embedded.node.services import Services
from meshlab.kube import Object

LOOPBACK, NAMESPACES = LoopbackNetwork.name, NamespacesNetwork.name
NAMES = (LOOPBACK, NAMESPACES)


@dataclass(frozen=True, slots=True)
class Ground:
    """What a node's network is made of."""

    network: str
    """Its name."""
    octet: int
    """The second byte of all its addresses, which no other lab's have."""
    serve_api: Callable[[socket.socket], Awaitable[None]] | None = None
    """Have the API server answer at a listening socket, too."""

    @property
    def block(self) -> str:
        """The first two bytes of the addresses of pods and Services."""
        return f"{'127' if self.network == LOOPBACK else '10'}.{self.octet}"

    @property
    def inside(self) -> tuple[str, int] | None:
        """Where pods find the API server, if they can't where the machine does."""
        return None if self.network == LOOPBACK else (f"{self.block}.0.1", API_PORT)

    def make(self, services: Services, pods: list[Object], api_url: str, folder: Path) -> Network:
        """The network. `pods` are those the cluster knows on the node; what is theirs is in the folder."""
        if self.network == LOOPBACK:
            return LoopbackNetwork(self.block, services, pods, urlsplit(api_url))
        return NamespacesNetwork(self.block, services, pods, folder, self.serve_api)


def best() -> str:
    """The network that redirects, where this machine grants what it needs; else the cooperative one."""
    try:
        probe()
    except OSError:
        return LOOPBACK
    return NAMESPACES
