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

from meshlab import nft
from meshlab.cluster.embedded.node import marks
from meshlab.cluster.embedded.node.cluster_ips import ClusterIps
from meshlab.cluster.embedded.node.dns.forward import upstreams
from meshlab.cluster.embedded.node.dns.resolver import Resolver
from meshlab.cluster.embedded.node.dns.server import NameServer
from meshlab.cluster.embedded.node.namespaces import files
from meshlab.cluster.embedded.node.namespaces.client import Holder
from meshlab.cluster.embedded.node.namespaces.entry import CAPABILITIES, prefix
from meshlab.cluster.embedded.node.namespaces.holder import NODE
from meshlab.cluster.embedded.node.network import Attachment, Network
from meshlab.cluster.embedded.node.pool import Pool
from meshlab.cluster.embedded.node.services import Services
from meshlab.kube import Object

log = logging.getLogger(__name__)

API_PORT = 6443
"""Where the API server is found on the node's address."""
_DNS_PORT = 53
_ENFORCED = ("securityContext.capabilities",)

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
        self, block: str, services: Services, pods: list[Object], folder: Path, serve_api: Serve | None
    ) -> None:
        """`pods` are those the cluster knows on this node, `folder` holds what is theirs.

        `serve_api` has the API server answer at a socket.
        """
        self._block = block
        self.node_address = f"{block}.0.1"
        self._cluster_ips = ClusterIps(services, f"{block}.128.0/17")
        self._name_server = NameServer(services, upstreams(Resolver.of_machine()))
        self._pool = Pool(block, pods)
        self._serve_api = serve_api
        self._folder = folder
        self._ready = asyncio.Event()
        self._holder: Holder
        self._inside: dict[str, asyncio.Task[_Inside]] = {}

    async def run(self) -> None:
        """Make the node's network, and serve in it until cancelled. Raises OSError when its holder is gone."""
        with await asyncio.to_thread(Holder, {marks.NODE: str(self._folder)}) as self._holder:
            self._holder.make_node(IPv4Interface(f"{self.node_address}/16"))
            self._cluster_ips.join(NODE, self._holder.open_socket(NODE, *nft.WAY))
            if self._serve_api:
                await self._serve_api(self._bind(socket.SOCK_STREAM, API_PORT))
            try:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(self._cluster_ips.run())
                    names = self._bind(socket.SOCK_DGRAM, _DNS_PORT), self._bind(socket.SOCK_STREAM, _DNS_PORT)
                    tasks.create_task(self._name_server.run(*names))
                    self._ready.set()
                    await self._holder.ended()
                    raise OSError(errno.EPIPE, "the holder of the pods' namespaces has ended")
            finally:
                self._cluster_ips.leave(NODE)

    async def attach(self, pod: Object, folder: Path) -> Attachment:
        """Give a pod a network, with its address in it, and files that tell its programs of it."""
        await self._ready.wait()
        uid, address = pod["metadata"]["uid"], self._pool.take(pod)
        if uid not in self._inside:
            self._inside[uid] = asyncio.create_task(asyncio.to_thread(self._make, pod, address, folder))
        try:
            await asyncio.shield(self._inside[uid])
        except OSError:
            await self._forget(uid)
            raise
        return Attachment(address, not_enforced=tuple(_not_enforced(pod)), enforced=_ENFORCED)

    async def detach(self, pod: Object) -> None:
        """Give up a pod's network. It ends with the last process in it."""
        self._pool.give_back(pod)
        await self._forget(pod["metadata"]["uid"])

    def open_socket(self, address: str, pod_uid: str | None = None) -> socket.socket:
        """One of the pod's or the node's network; an ordinary one for addresses outside of the cluster."""
        if pod_uid:
            return self._holder.open_socket(pod_uid)
        if not self._ready.is_set() or not address.startswith(f"{self._block}."):
            return socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        return self._holder.open_socket(NODE)

    def enter(self, pod_uid: str, container: Mapping[str, Any]) -> list[str]:
        """The launcher, and what it has to know."""
        inside = self._inside[pod_uid].result()
        root, volumes = inside.folder / "root" / container["name"], inside.folder / "volumes"
        mounts = container.get("volumeMounts") or []
        paths = {root / mount["mountPath"].lstrip("/"): Path(mount["mountPath"]) for mount in mounts}
        return prefix(
            inside.namespaces,
            {**inside.files, **{own: path for own, path in paths.items() if self._may_cover(path, own)}},
            hidden=self._folder.parent.parent,  # the state of all labs
            shown=[root, *(volumes / mount["name"] for mount in mounts)],
            capabilities=_added(container),
        )

    def _may_cover(self, path: Path, own: Path) -> bool:
        """Whether a volume can be put where its mount path says: at a place that the machine has, without hiding what
        is needed. Elsewhere it is found under MESHLAB_CONTAINER_ROOT alone.
        """
        return path.is_dir() and own.is_dir() and not self._folder.is_relative_to(path)

    def _make(self, pod: Object, address: str, folder: Path) -> _Inside:
        uid = pod["metadata"]["uid"]
        namespaces = self._holder.make_pod(uid, files.hostname(pod), IPv4Interface(f"{address}/16"))
        self._cluster_ips.join(uid, self._holder.open_socket(uid, *nft.WAY))
        return _Inside(namespaces, folder, files.write(pod, address, self.node_address, folder / "etc"))

    async def _forget(self, uid: str) -> None:
        """Let go of what was made for a pod, also when it is only just being made."""
        if made := self._inside.pop(uid, None):
            await asyncio.wait([made])
            await asyncio.to_thread(self._cluster_ips.leave, uid)
            with suppress(OSError):  # the holder is gone, and all with it
                self._holder.forget(uid)

    def _bind(self, kind: int, port: int) -> socket.socket:
        """A socket at the node's address; it listens if it is one of TCP."""
        made = self._holder.open_socket(NODE, kind=kind)
        made.settimeout(0)
        made.bind((self.node_address, port))
        if kind == socket.SOCK_STREAM:
            made.listen(1024)
        return made


def _added(container: Mapping[str, Any]) -> list[str]:
    """The capabilities that a container asks for."""
    return ((container.get("securityContext") or {}).get("capabilities") or {}).get("add") or []


def _not_enforced(pod: Object) -> Iterator[str]:
    spec = pod["spec"]
    if spec.get("hostNetwork"):
        yield "hostNetwork"
    for container in [*(spec.get("initContainers") or []), *spec["containers"]]:
        if refused := [name for name in _added(container) if name not in CAPABILITIES]:
            yield f"containers[{container['name']}].securityContext.capabilities.add ({', '.join(refused)})"
        if any(port.get("hostPort") for port in container.get("ports") or []):
            yield f"containers[{container['name']}].ports.hostPort"
