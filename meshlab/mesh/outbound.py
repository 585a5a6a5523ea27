"""What do clients see of a Service, and where do their calls go?

The functions here are pure and remembered: equal parts of the world give the very same object, whoever
asks, so that a data plane compiles each once (design decision 6).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import lru_cache

from meshlab.mesh.retry import Retry, RetryPolicy
from meshlab.mesh.rules import Split
from meshlab.mesh.service import Endpoint, Protocol, Service, ServiceName, ServicePort
from meshlab.mesh.upstream_setting import Limits
from meshlab.mesh.view import OutboundService, Upstream, UpstreamCluster, WeightedRoute

_REMEMBERED = 4096


def outbound_service(
    service: Service, port: ServicePort, splits: tuple[Split, ...], services: Mapping[ServiceName, Service]
) -> OutboundService:
    """A Service port as clients see it. `splits` are those of this root; `services` holds the backends."""
    takers = tuple(
        backend.service
        for split in splits
        for backend in split.backends
        if (leaf := services.get(backend.service)) and leaf.port(port.number)
    )
    addresses = service.cluster_ips or tuple(sorted({endpoint.address for endpoint in port.endpoints}))
    return _outbound(Upstream(service.name, port.number), port.protocol, addresses, splits, takers)


def upstream_cluster(
    service: Service, port: ServicePort, limits: Limits | None = None, *, plain: bool
) -> UpstreamCluster:
    """A Service port as a place to send to; `plain`: also to endpoints without a sidecar."""
    endpoints = tuple(endpoint for endpoint in port.endpoints if plain or endpoint.meshed)
    return _cluster(Upstream(service.name, port.number), port.protocol, endpoints, limits)


def retried(services: tuple[OutboundService, ...], retries: Iterable[Retry]) -> tuple[OutboundService, ...]:
    """The Services for a client whose calls to some are made again."""
    policies = {service: retry.policy for retry in retries for service in retry.destinations}
    return tuple(_with_retry(item, policies.get(item.upstream.service)) for item in services)


@lru_cache(_REMEMBERED)
def with_bare_name(outbound: OutboundService) -> OutboundService:
    """The same for a client in the Service's own namespace that is told its host by name: the bare name counts too."""
    return replace(outbound, hosts=(outbound.upstream.service.name, *outbound.hosts))


@lru_cache(_REMEMBERED)
def _with_retry(outbound: OutboundService, policy: RetryPolicy | None) -> OutboundService:
    return replace(outbound, retry=policy) if policy else outbound


@lru_cache(_REMEMBERED)
def _outbound(
    upstream: Upstream,
    protocol: Protocol,
    addresses: tuple[str, ...],
    splits: tuple[Split, ...],
    takers: tuple[ServiceName, ...],
) -> OutboundService:
    return OutboundService(
        upstream=upstream,
        protocol=protocol,
        cluster_ips=addresses,
        hosts=upstream.service.hosts(),
        routes=_routes(upstream, protocol, splits, frozenset(takers)),
    )


@lru_cache(_REMEMBERED)
def _cluster(
    upstream: Upstream, protocol: Protocol, endpoints: tuple[Endpoint, ...], limits: Limits | None
) -> UpstreamCluster:
    identities = {endpoint.identity for endpoint in endpoints if endpoint.meshed and endpoint.identity}
    return UpstreamCluster(upstream, protocol, endpoints, tuple(sorted(identities)), limits)


def _routes(
    root: Upstream, protocol: Protocol, splits: tuple[Split, ...], takers: frozenset[ServiceName]
) -> tuple[WeightedRoute, ...]:
    """Splits with matches come first, then the split of everything else or the root itself (SMI S11).

    A backend is never looked up as a root in turn (S9). One that is absent or lacks the port is left out
    (S6, S7); where none is left, calls go to the root as if there were no split.
    """
    routes = [
        WeightedRoute(split.matches, shares)
        for split in sorted(splits, key=lambda split: (split.matches is None, split.name))
        if (shares := _shares(split, root.port, takers)) and (split.matches is None or _applies(split, protocol))
    ]
    rest = next((route for route in routes if route.matches is None), WeightedRoute(None, ((root, 1),)))
    return (*(route for route in routes if route.matches is not None), rest)


def _shares(split: Split, port: int, takers: frozenset[ServiceName]) -> tuple[tuple[Upstream, int], ...]:
    return tuple(
        (Upstream(backend.service, port), backend.weight)
        for backend in split.backends
        if backend.weight > 0 and backend.service in takers
    )


def _applies(split: Split, protocol: Protocol) -> bool:
    """Matches speak of HTTP; on other ports, or when their route groups are gone, no call satisfies them."""
    return protocol.is_http and bool(split.matches)
