"""What is one proxy told? Its view of the mesh as resources; equal parts are built and serialised once.

A snapshot has three parts: what every proxy is told of the mesh, what those of one workload are told of
themselves, and the secrets of an identity. A change builds anew the part that it is about, for all who have it.
"""

from __future__ import annotations

from collections.abc import Iterator

from meshlab.dataplane.base import Credentials
from meshlab.dataplane.envoy import (
    clusters,
    direct,
    doors,
    endpoints,
    gateway,
    helpers,
    listeners,
    names,
    routes,
    secrets,
)
from meshlab.dataplane.envoy import egress as egress_clusters
from meshlab.dataplane.envoy.once import once
from meshlab.dataplane.envoy.outside import clusters as outside_clusters
from meshlab.dataplane.envoy.outside import hosts_by_name
from meshlab.dataplane.envoy.outside import routes as outside_routes
from meshlab.mesh.egress import EgressRule
from meshlab.mesh.identity import Identity
from meshlab.mesh.ingress import GatewayRoute
from meshlab.mesh.proxy_settings import ProxySettings
from meshlab.mesh.rules import Permission
from meshlab.mesh.view import InboundPort, OutboundService, ProxyView, UpstreamCluster
from meshlab.xds import Part, Resource, Snapshot
from meshlab.xds.part import EMPTY

_ROOTS = (names.CLUSTER, names.LISTENER)

_upstream_cluster = once(clusters.upstream)
_upstream_endpoints = once(endpoints.upstream)
_direct_cluster = once(direct.direct_cluster)
_direct_routes = once(direct.direct_routes)
_outbound_routes = once(routes.outbound)
_bundle = once(secrets.bundle)


def compile_view(view: ProxyView, credentials: Credentials) -> Snapshot:
    """All resources of one proxy. Only the holder of its workload's identity may read them."""
    workload, trust_domain = view.workload, view.trust_domain
    if view.gateway is not None:
        whole = _gateway(
            view.outbound,
            view.clusters,
            view.gateway,
            trust_domain=trust_domain,
            address=workload.address if workload.explicit_proxy else None,
            settings=view.settings,
        )
        return Snapshot(workload.identity.spiffe_id(trust_domain), (whole, _secrets(credentials)))
    mesh_of = _called_by_name if workload.explicit_proxy else _redirected
    mesh = mesh_of(
        view.outbound,
        view.clusters,
        view.outside,
        trust_domain=trust_domain,
        egress=view.egress,
        settings=view.settings,
    )
    own = _own(
        view.inbound,
        view.permissions,
        identity=workload.identity,
        trust_domain=trust_domain,
        address=workload.address if workload.explicit_proxy else None,
        recorded=view.recorded_headers,
        settings=view.settings,
    )
    secret = any((names.SECRET, names.SVID_SECRET) in part.unmet for part in (mesh, own))
    parts = (mesh, own, _secrets(credentials) if secret else EMPTY)
    return Snapshot(workload.identity.spiffe_id(trust_domain), parts)


@once
def _redirected(
    outbound: tuple[OutboundService, ...],
    upstreams: tuple[UpstreamCluster, ...],
    outside: tuple[EgressRule, ...],
    *,
    trust_domain: str,
    egress: bool,
    settings: ProxySettings,
) -> Part:
    """The mesh and what is outside, for proxies that the kernel sends everything to."""
    return Part(_asked_for([*_mesh_redirected(outbound, upstreams, outside, trust_domain, settings, egress=egress)]))


@once
def _called_by_name(
    outbound: tuple[OutboundService, ...],
    upstreams: tuple[UpstreamCluster, ...],
    outside: tuple[EgressRule, ...],
    *,
    trust_domain: str,
    egress: bool,
    settings: ProxySettings,
) -> Part:
    """The same for explicit proxies, which are told hosts by name. They carry HTTP only."""
    return Part(_mesh_called_by_name(outbound, upstreams, outside, trust_domain, settings, egress=egress))


@once
def _gateway(
    outbound: tuple[OutboundService, ...],
    upstreams: tuple[UpstreamCluster, ...],
    ways: tuple[GatewayRoute, ...],
    *,
    trust_domain: str,
    address: str | None,
    settings: ProxySettings,
) -> Part:
    """All that the gateway is told. `address`: its own, where nothing redirects."""
    built = []
    for cluster in upstreams:
        built.append(_upstream_cluster(cluster, trust_domain=trust_domain, tls=settings.tls))
        built.append(_upstream_endpoints(cluster, explicit=address is not None))
    return Part([*built, *gateway.listeners(address, settings), gateway.routes(ways, outbound)])


@once
def _own(
    inbound: tuple[InboundPort, ...],
    permissions: tuple[Permission, ...] | None,
    *,
    identity: Identity,
    trust_domain: str,
    address: str | None,
    recorded: tuple[str, ...],
    settings: ProxySettings,
) -> Part:
    """What a workload's proxies are told of it. `address`: of the one pod, where nothing redirects."""
    built = _workload(inbound, permissions, identity, trust_domain, address, recorded, settings)
    return Part(_asked_for([*built]))


@once
def _secrets(credentials: Credentials) -> Part:
    """What an identity shows, and whom it trusts."""
    return Part([secrets.svid(credentials), _bundle(roots=credentials.bundle)])


def _mesh_redirected(
    outbound: tuple[OutboundService, ...],
    upstreams: tuple[UpstreamCluster, ...],
    outside: tuple[EgressRule, ...],
    trust_domain: str,
    settings: ProxySettings,
    *,
    egress: bool,
) -> Iterator[Resource]:
    for cluster in upstreams:
        yield _upstream_cluster(cluster, trust_domain=trust_domain, tls=settings.tls)
        yield _upstream_endpoints(cluster, explicit=False)
        yield _direct_cluster(cluster, trust_domain=trust_domain, tls=settings.tls)
        if cluster.protocol.is_http:
            yield _direct_routes(cluster)
    if listener := listeners.outbound_redirected(
        outbound, upstreams, egress=egress, outside=outside, traces=settings.tracing
    ):
        yield listener
    for service in outbound:
        if service.protocol.is_http:
            yield _outbound_routes(service)
    leaving = [*outside_routes(outside)]
    yield from leaving
    if egress or outside:
        yield egress_clusters.passthrough()
    if leaving:
        yield egress_clusters.forward()
    yield from outside_clusters(outside)


def _mesh_called_by_name(
    outbound: tuple[OutboundService, ...],
    upstreams: tuple[UpstreamCluster, ...],
    outside: tuple[EgressRule, ...],
    trust_domain: str,
    settings: ProxySettings,
    *,
    egress: bool,
) -> Iterator[Resource]:
    for cluster in upstreams:
        if cluster.protocol.is_http:
            yield _upstream_cluster(cluster, trust_domain=trust_domain, tls=settings.tls)
            yield _upstream_endpoints(cluster, explicit=True)
    hosts = hosts_by_name(outside)
    yield routes.outbound_explicit(outbound, egress=egress, outside=hosts)
    if egress or hosts:
        yield egress_clusters.forward()
        yield from outside_clusters(outside, by_address=False)


def _workload(
    inbound: tuple[InboundPort, ...],
    permissions: tuple[Permission, ...] | None,
    identity: Identity,
    trust_domain: str,
    address: str | None,
    recorded: tuple[str, ...],
    settings: ProxySettings,
) -> Iterator[Resource]:
    # rules of HTTP ports travel in routes: the listener's version depends on those of TCP ports alone
    if listener := listeners.inbound(identity, inbound, permissions, trust_domain, address, settings):
        yield listener
    for port in inbound:
        yield clusters.local(identity, port.port, port.protocol, address or "127.0.0.1")
        if address is None:
            yield from doors.routes(identity, port)
        if port.protocol.is_http:
            for rates in dict.fromkeys((None, *port.by_rates())):
                yield routes.inbound(identity, port.port, permissions, trust_domain, recorded, rates)
    if address is not None:
        yield listeners.outbound_explicit(address, settings.tracing)
    if settings.authorization:
        yield helpers.authorization_cluster(settings.authorization)
    if settings.tracing:
        yield helpers.tracing_cluster(settings.tracing)


def _asked_for(built: list[Resource]) -> Iterator[Resource]:
    """Envoy asks for all clusters and listeners, and for what these name; it is told of nothing else."""
    named = {pair for resource in built for pair in resource.needs}
    for resource in built:
        if resource.type_url in _ROOTS or (resource.type_url, resource.name) in named:
            yield resource
