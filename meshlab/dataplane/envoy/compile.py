"""What is one proxy told? Its view of the mesh as resources; equal parts are built and serialised once."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from meshlab.dataplane.base import Credentials
from meshlab.dataplane.envoy import clusters, direct, egress, endpoints, listeners, names, routes, secrets
from meshlab.mesh.view import ProxyView
from meshlab.xds import Resource, Snapshot

_ROOTS = (names.CLUSTER, names.LISTENER)

_shared = lru_cache(maxsize=16384)

_upstream_cluster = _shared(clusters.upstream)
_upstream_endpoints = _shared(endpoints.upstream)
_local_cluster = _shared(clusters.local)
_passthrough = _shared(egress.passthrough)
_forward = _shared(egress.forward)
_direct_cluster = _shared(direct.direct_cluster)
_direct_routes = _shared(direct.direct_routes)
_inbound_listener = _shared(listeners.inbound)
_outbound_explicit = _shared(listeners.outbound_explicit)
_outbound_redirected = _shared(listeners.outbound_redirected)
_inbound_routes = _shared(routes.inbound)
_outbound_routes = _shared(routes.outbound)
_explicit_routes = _shared(routes.outbound_explicit)
_bundle = _shared(secrets.bundle)
_svid = _shared(secrets.svid)


def compile_view(view: ProxyView, credentials: Credentials) -> Snapshot:
    """All resources of one proxy. Only the holder of its workload's identity may read them."""
    owner = view.workload.identity.spiffe_id(view.trust_domain)
    built = [*_secrets(credentials), *_clusters(view), *_inbound(view), *_outbound(view)]
    return Snapshot.of(owner, _asked_for(built))


def _asked_for(built: list[Resource]) -> Iterator[Resource]:
    """Envoy asks for all clusters and listeners, and for what these name; it is told of nothing else."""
    named = {pair for resource in built for pair in resource.needs}
    for resource in built:
        if resource.type_url in _ROOTS or (resource.type_url, resource.name) in named:
            yield resource


def _secrets(credentials: Credentials) -> Iterator[Resource]:
    yield _svid(credentials)
    yield _bundle(credentials.bundle)


def _clusters(view: ProxyView) -> Iterator[Resource]:
    explicit = view.workload.explicit_proxy
    for cluster in view.clusters:
        if explicit and not cluster.protocol.is_http:
            continue  # an explicit proxy carries HTTP only
        yield _upstream_cluster(cluster, view.trust_domain)
        yield _upstream_endpoints(cluster, explicit=explicit)


def _inbound(view: ProxyView) -> Iterator[Resource]:
    workload = view.workload
    identity, address = workload.identity, workload.address if workload.explicit_proxy else None
    # rules of HTTP ports travel in routes: leave them out of what the listener depends on
    plain = any(not port.protocol.is_http for port in view.inbound)
    permissions = view.permissions if plain else None
    if listener := _inbound_listener(identity, view.inbound, permissions, view.trust_domain, address):
        yield listener
    for port in view.inbound:
        yield _local_cluster(identity, port.port, port.protocol, address or "127.0.0.1")
        if port.protocol.is_http:
            yield _inbound_routes(identity, port.port, view.permissions, view.trust_domain)


def _outbound(view: ProxyView) -> Iterator[Resource]:
    if view.workload.explicit_proxy:
        yield _outbound_explicit(view.workload.address, egress=view.egress)
        yield _explicit_routes(view.outbound, egress=view.egress)
        if view.egress:
            yield _forward()
        return
    if listener := _outbound_redirected(view.outbound, view.clusters, egress=view.egress):
        yield listener
    for cluster in view.clusters:
        yield _direct_cluster(cluster, view.trust_domain)
        if cluster.protocol.is_http:
            yield _direct_routes(cluster)
    if view.egress:
        yield _passthrough()
    for service in view.outbound:
        if service.protocol.is_http:
            yield _outbound_routes(service)
