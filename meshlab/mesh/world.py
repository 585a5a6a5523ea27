"""What does the control plane know at one moment? Everything, frozen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain

from meshlab.mesh.egress import EgressRule, rules_by_source
from meshlab.mesh.identity import DEFAULT_TRUST_DOMAIN, Identity
from meshlab.mesh.inbound import inbound_ports
from meshlab.mesh.ingress import Callers, GatewayRoute, IngressRule, doors, ingress_permissions
from meshlab.mesh.latest import alike, latest
from meshlab.mesh.outbound import outbound_service, upstream_cluster, with_bare_name
from meshlab.mesh.overlay import Overlay
from meshlab.mesh.proxy_settings import ProxySettings
from meshlab.mesh.retry import Retry
from meshlab.mesh.rules import Permission, Split
from meshlab.mesh.service import Service, ServiceName, ServicePort, Workload
from meshlab.mesh.upstream_setting import UpstreamSetting
from meshlab.mesh.view import InboundPort, OutboundService, UpstreamCluster


@dataclass(frozen=True)
class World:
    """Services, workloads and rules at one moment. Two equal worlds program every proxy alike.

    What is worked out of its parts is worked out by functions of just these parts, and remembered: a world that
    follows another and has the very same services has the very same clusters.
    """

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
    egress_rules: tuple[EgressRule, ...] = ()
    ingress_rules: tuple[IngressRule, ...] = ()
    callers: Callers = ()
    upstream_settings: tuple[UpstreamSetting, ...] = ()
    retries: tuple[Retry, ...] = ()
    proxies: ProxySettings = field(default_factory=ProxySettings)
    gateway_routes: tuple[GatewayRoute, ...] = ()
    overlays: tuple[Overlay, ...] = ()
    """In the order in which they are laid."""

    @cached_property
    def service_by_name(self) -> dict[ServiceName, Service]:
        """Each Service by its name."""
        return _service_by_name(self.services)

    @cached_property
    def workload_by_name(self) -> dict[tuple[str, str], Workload]:
        """Each workload by (namespace, pod name)."""
        return {(workload.namespace, workload.name): workload for workload in self.workloads}

    @cached_property
    def permissions_by_destination(self) -> dict[Identity, tuple[Permission, ...]]:
        """The permissions for each destination, in name order (SMI A2: their union is what holds)."""
        from_outside = ingress_permissions(self.ingress_rules, self.services, self.callers)
        return _permissions_by_destination(self.permissions, from_outside)

    @cached_property
    def headers_by_destination(self) -> dict[Identity, tuple[str, ...]]:
        """The headers that the permissions for each destination speak of, in force or not."""
        return _headers_by_destination(self.permissions)

    @cached_property
    def splits_by_root(self) -> dict[ServiceName, tuple[Split, ...]]:
        """The splits of each root Service, in name order."""
        return _splits_by_root(self.splits)

    @cached_property
    def outbound(self) -> tuple[OutboundService, ...]:
        """Every Service port as clients see it; shared by all proxies."""
        return _outbound(self.services, self.splits)

    @cached_property
    def retries_by_source(self) -> dict[Identity, tuple[Retry, ...]]:
        """Whose calls are made again."""
        return _retries_by_source(self.retries)

    @cached_property
    def outbound_by_namespace(self) -> dict[str, tuple[OutboundService, ...]]:
        """The same for clients that are told hosts by name, in namespaces that have Services: the bare name counts."""
        return _outbound_by_namespace(self.outbound)

    @cached_property
    def clusters(self) -> tuple[UpstreamCluster, ...]:
        """Every Service port as a place to send to; shared by all proxies.

        An endpoint without a sidecar guards nothing itself, so it counts as outside the mesh: it is reached in
        permissive mode or with egress only.
        """
        return _clusters(self.services, self.upstream_settings, plain=self.permissive or self.egress)

    @cached_property
    def inbound(self) -> dict[str, tuple[InboundPort, ...]]:
        """The ports of each workload (``namespace/name``) that some Service leads to."""
        ways_in = doors(self.ingress_rules, self.services, self.callers)
        return _inbound(self.services, ways_in, _setting_by_service(self.upstream_settings))

    @cached_property
    def egress_by_source(self) -> dict[Identity, tuple[EgressRule, ...]]:
        """What each identity may call outside the mesh, in name order."""
        return rules_by_source(self.egress_rules, self.upstream_settings)


@latest
def _service_by_name(services: tuple[Service, ...]) -> dict[ServiceName, Service]:
    return {service.name: service for service in services}


@latest
def _permissions_by_destination(*permissions: tuple[Permission, ...]) -> dict[Identity, tuple[Permission, ...]]:
    grouped: dict[Identity, list[Permission]] = {}
    for permission in sorted(chain.from_iterable(permissions), key=lambda item: item.policy):
        grouped.setdefault(permission.destination, []).append(permission)
    return {identity: tuple(items) for identity, items in grouped.items()}


@latest
def _headers_by_destination(permissions: tuple[Permission, ...]) -> dict[Identity, tuple[str, ...]]:
    found: dict[Identity, set[str]] = {}
    for permission in permissions:
        names = {name for rule in permission.http_rules for match in rule.matches for name, _ in match.headers}
        found.setdefault(permission.destination, set()).update(names)
    return {identity: tuple(sorted(names)) for identity, names in found.items() if names}


@latest
def _splits_by_root(splits: tuple[Split, ...]) -> dict[ServiceName, tuple[Split, ...]]:
    grouped: dict[ServiceName, list[Split]] = {}
    for split in sorted(splits, key=lambda item: item.name):
        grouped.setdefault(split.root, []).append(split)
    return {root: tuple(items) for root, items in grouped.items()}


@latest
def _outbound(services: tuple[Service, ...], splits: tuple[Split, ...]) -> tuple[OutboundService, ...]:
    by_name, by_root = _service_by_name(services), _splits_by_root(splits)
    ports = _ports(services)
    return alike(*(outbound_service(service, port, by_root.get(service.name, ()), by_name) for service, port in ports))


@latest
def _outbound_by_namespace(outbound: tuple[OutboundService, ...]) -> dict[str, tuple[OutboundService, ...]]:
    namespaces = {service.upstream.service.namespace for service in outbound}
    return {
        namespace: tuple(
            with_bare_name(service) if service.upstream.service.namespace == namespace else service
            for service in outbound
        )
        for namespace in namespaces
    }


@latest
def _clusters(
    services: tuple[Service, ...], settings: tuple[UpstreamSetting, ...], *, plain: bool
) -> tuple[UpstreamCluster, ...]:
    limits = {name: setting.limits for name, setting in _setting_by_service(settings).items()}
    ports = _ports(services)
    return alike(*(upstream_cluster(service, port, limits.get(service.name), plain=plain) for service, port in ports))


@latest
def _setting_by_service(settings: tuple[UpstreamSetting, ...]) -> dict[ServiceName, UpstreamSetting]:
    return {setting.service: setting for setting in settings if setting.service}


@latest
def _retries_by_source(retries: tuple[Retry, ...]) -> dict[Identity, tuple[Retry, ...]]:
    grouped: dict[Identity, list[Retry]] = {}
    for retry in retries:
        grouped.setdefault(retry.source, []).append(retry)
    return {source: tuple(items) for source, items in grouped.items()}


_inbound = latest(inbound_ports)


def _ports(services: tuple[Service, ...]) -> Iterator[tuple[Service, ServicePort]]:
    for service in sorted(services, key=lambda item: item.name):
        for port in sorted(service.ports, key=lambda item: item.number):
            yield service, port
