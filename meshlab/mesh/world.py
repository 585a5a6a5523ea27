"""What does the control plane know at one moment? Everything, frozen."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from meshlab.mesh.identity import DEFAULT_TRUST_DOMAIN, Identity
from meshlab.mesh.inbound import inbound_ports
from meshlab.mesh.outbound import outbound_service, upstream_cluster
from meshlab.mesh.rules import Permission, Split
from meshlab.mesh.service import Service, ServiceName, Workload
from meshlab.mesh.view import InboundPort, OutboundService, UpstreamCluster


@dataclass(frozen=True)
class World:
    """Services, workloads and rules at one moment. Two equal worlds program every proxy alike."""

    services: tuple[Service, ...] = ()
    """Those of the mesh's namespaces. Services elsewhere are outside the mesh: see `egress`."""
    workloads: tuple[Workload, ...] = ()
    permissions: tuple[Permission, ...] = ()
    splits: tuple[Split, ...] = ()
    permissive: bool = True
    """MeshConfig's permissive mode: every meshed workload may call every other; mTLS stays."""
    trust_domain: str = DEFAULT_TRUST_DOMAIN
    egress: bool = False
    """MeshConfig's enableEgress: calls to addresses outside the mesh pass."""

    @cached_property
    def service_by_name(self) -> dict[ServiceName, Service]:
        """Each Service by its name."""
        return {service.name: service for service in self.services}

    @cached_property
    def workload_by_name(self) -> dict[tuple[str, str], Workload]:
        """Each workload by (namespace, pod name)."""
        return {(workload.namespace, workload.name): workload for workload in self.workloads}

    @cached_property
    def permissions_by_destination(self) -> dict[Identity, tuple[Permission, ...]]:
        """The permissions for each destination, in name order (SMI A2: their union is what holds)."""
        grouped: dict[Identity, list[Permission]] = {}
        for permission in sorted(self.permissions, key=lambda item: item.name):
            grouped.setdefault(permission.destination, []).append(permission)
        return {identity: tuple(items) for identity, items in grouped.items()}

    @cached_property
    def splits_by_root(self) -> dict[ServiceName, tuple[Split, ...]]:
        """The splits of each root Service, in name order."""
        grouped: dict[ServiceName, list[Split]] = {}
        for split in sorted(self.splits, key=lambda item: item.name):
            grouped.setdefault(split.root, []).append(split)
        return {root: tuple(items) for root, items in grouped.items()}

    @cached_property
    def outbound(self) -> tuple[OutboundService, ...]:
        """Every Service port as clients see it; shared by all proxies."""
        return tuple(
            outbound_service(service, port, self.splits_by_root.get(service.name, ()), self.service_by_name)
            for service in sorted(self.services, key=lambda item: item.name)
            for port in sorted(service.ports, key=lambda item: item.number)
        )

    @cached_property
    def clusters(self) -> tuple[UpstreamCluster, ...]:
        """Every Service port as a place to send to; shared by all proxies.

        An endpoint without a sidecar guards nothing itself, so it counts as outside the mesh: it is reached in
        permissive mode or with egress only.
        """
        return tuple(
            upstream_cluster(service, port, plain=self.permissive or self.egress)
            for service in sorted(self.services, key=lambda item: item.name)
            for port in sorted(service.ports, key=lambda item: item.number)
        )

    @cached_property
    def inbound(self) -> dict[str, tuple[InboundPort, ...]]:
        """The ports of each workload (``namespace/name``) that some Service leads to."""
        return inbound_ports(self.services)
