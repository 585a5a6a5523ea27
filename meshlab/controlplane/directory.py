"""Who has this address, and which Service has this name? The world, looked up the way proxies' reports need it."""

from __future__ import annotations

from functools import lru_cache

from meshlab.mesh.service import ServiceName, Workload
from meshlab.mesh.view import Upstream
from meshlab.mesh.world import World


class WorldDirectory:
    """A `meshlab.observe.entries.Directory` of one world."""

    def __init__(self, world: World = World()) -> None:  # noqa: B008
        self.world = world
        self._by_address = {item.address: f"{item.namespace}/{item.name}" for item in world.workloads if item.address}
        self._workloads = {f"{item.namespace}/{item.name}": item for item in world.workloads}
        self._hosts = {
            host: service for service in world.services for host in (*service.name.hosts(), *service.cluster_ips)
        }
        self.root = lru_cache(1024)(self._root)
        self.target = lru_cache(1024)(self._target)

    def workload_at(self, address: str) -> str:
        """The pod with this address, as ``namespace/name``; empty when there is none."""
        return self._by_address.get(address, "")

    def workload(self, name: str) -> Workload | None:
        """The pod called ``namespace/name``."""
        return self._workloads.get(name)

    def _root(self, authority: str, caller_namespace: str, upstream: str) -> str:
        """The Service port that was asked for by this authority; the upstream where the authority names none."""
        host, _, port = authority.partition(":")
        bare = ServiceName(caller_namespace, host)
        service = self._hosts.get(host.lower().rstrip(".")) or self.world.service_by_name.get(bare)
        if service is None:
            return upstream
        number = int(port) if port.isdecimal() else int(upstream.rpartition("|")[2] or 80)
        return str(Upstream(service.name, number))

    def _target(self, upstream: str, workload: str) -> tuple[int, bool]:
        """The port that calls to a Service port arrive at in a pod, and whether they are HTTP; 0 where unknown."""
        service, _, number = upstream.partition("|")
        found = self.world.service_by_name.get(ServiceName(*service.split("/"))) if "/" in service else None
        port = found.port(int(number)) if found and number.isdecimal() else None
        if port is None:
            return 0, True
        ports = (endpoint.port for endpoint in port.endpoints if endpoint.workload == workload)
        return next(ports, 0), port.protocol.is_http
