"""A pod network of Linux namespaces: what a pod sends goes where the kernel sends it, whatever the app wants.

The node is a network namespace with a bridge; each pod is another, joined to the bridge. Nothing leads from there to
the machine's own network. It needs no privilege, only a kernel that grants user namespaces.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Interface
from pathlib import Path
from typing import Any

from meshlab.cluster.embedded.node.namespaces import files
from meshlab.cluster.embedded.node.namespaces.client import NODE, Holder
from meshlab.cluster.embedded.node.namespaces.entry import prefix
from meshlab.cluster.embedded.node.network import Attachment, Network
from meshlab.cluster.embedded.node.pool import Pool
from meshlab.cluster.embedded.node.services import Services
from meshlab.kube import Object

log = logging.getLogger(__name__)

API_PORT = 6443
"""Where the API server is found on the node's address."""

Serve = Callable[[socket.socket], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class _Inside:
    """What a process needs to get into a pod."""

    namespaces: list[str]
    folder: Path
    files: Mapping[Path, Path]


class NamespacesNetwork(Network):
    """Addresses 10.n.0.2 to 10.n.127.254, in a network of the lab's own."""

    name = "namespaces"

    def __init__(
        self, block: str, services: Services, pods: list[Object], hidden: Path, serve_api: Serve | None
    ) -> None:
        """`pods` are those the cluster knows on this node; `hidden` is a folder that none is to look into.

        `serve_api` has the API server answer at a socket.
        """
        self._block = block
        self.node_address = f"{block}.0.1"
        self._services = services
        self._pool = Pool(block, pods)
        self._serve_api = serve_api
        self._hidden = hidden
        self._ready = asyncio.Event()
        self._holder: Holder
        self._inside: dict[str, _Inside] = {}

    async def run(self) -> None:
        """Make the node's network, and serve in it until cancelled. Raises OSError when its holder is gone."""
        with await asyncio.to_thread(Holder) as self._holder:
            self._holder.make_node(IPv4Interface(f"{self.node_address}/16"))
            if self._serve_api:
                await self._serve_api(self._listener(API_PORT))
            self._ready.set()
            await self._holder.ended()
        raise OSError(errno.EPIPE, "the holder of the pods' namespaces has ended")

    async def attach(self, pod: Object, folder: Path) -> Attachment:
        """Give a pod a network, with its address in it, and files that tell its programs of it."""
        await self._ready.wait()
        uid, address = pod["metadata"]["uid"], self._pool.take(pod)
        if uid not in self._inside:
            interface = IPv4Interface(f"{address}/16")
            namespaces = await asyncio.to_thread(self._holder.make_pod, uid, files.hostname(pod), interface)
            written = files.write(pod, address, self.node_address, folder / "etc")
            self._inside[uid] = _Inside(namespaces, folder, written)
        return Attachment(address, not_enforced=tuple(_not_enforced(pod)))

    async def detach(self, pod: Object) -> None:
        """Give up a pod's network. It ends with the last process in it."""
        self._pool.give_back(pod)
        if self._inside.pop(pod["metadata"]["uid"], None):
            with suppress(OSError):
                self._holder.forget(pod["metadata"]["uid"])

    def open_socket(self, address: str, pod_uid: str | None = None) -> socket.socket:
        """One of the pod's or the node's network; an ordinary one for addresses outside of the cluster."""
        if pod_uid:
            return self._holder.open_socket(pod_uid)
        if not self._ready.is_set() or not address.startswith(f"{self._block}."):
            return socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        return self._holder.open_socket(NODE)

    def enter(self, pod_uid: str, container: Mapping[str, Any]) -> list[str]:
        """The launcher, and what it has to know."""
        inside = self._inside[pod_uid]
        volumes = inside.folder / "volumes"
        names = [mount["name"] for mount in container.get("volumeMounts") or []]
        return prefix(
            inside.namespaces,
            inside.files,
            hidden=self._hidden,
            shown=[inside.folder / "root" / container["name"], *(volumes / name for name in names)],
            capabilities=((container.get("securityContext") or {}).get("capabilities") or {}).get("add") or [],
        )

    def _listener(self, port: int) -> socket.socket:
        listener = self._holder.open_socket(NODE)
        listener.bind((self.node_address, port))
        listener.listen(1024)
        return listener


def _not_enforced(pod: Object) -> Iterator[str]:
    spec = pod["spec"]
    for name in ("hostNetwork", "dnsConfig"):
        if spec.get(name):
            yield name
    for container in spec["containers"]:
        if any(port.get("hostPort") for port in container.get("ports") or []):
            yield f"containers[{container['name']}].ports.hostPort"
