"""What must one proxy do? The part of the world that concerns it, in terms of no particular proxy.

Every part is a frozen value that depends on what it describes and not on who reads it, so that equal parts
are equal objects for a cache: a data plane compiles and serialises each once and shares it (design decision 6).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from meshlab.mesh.egress import EgressRule
from meshlab.mesh.identity import Identity
from meshlab.mesh.ingress import Door, GatewayRoute
from meshlab.mesh.overlay import Overlay
from meshlab.mesh.proxy_settings import ProxySettings
from meshlab.mesh.retry import RetryPolicy
from meshlab.mesh.rules import HttpMatch, Permission
from meshlab.mesh.service import Endpoint, Protocol, ServiceName, Workload
from meshlab.mesh.upstream_setting import Limits, Rates


@dataclass(frozen=True, slots=True, order=True)
class Upstream:
    """A Service port as a place to send to. `str()` is its name in every resource: ``namespace/name|port``."""

    service: ServiceName
    port: int

    @property
    def sni(self) -> str:
        """What the client puts into the TLS handshake, and the server's proxy selects the target port by."""
        return f"{self.port}.{self.service.fqdn}"

    def __str__(self) -> str:
        return f"{self.service}|{self.port}"


@dataclass(frozen=True, slots=True, order=True)
class UpstreamCluster:
    """An upstream with its endpoints and who is expected to answer there.

    Meshed endpoints are spoken to by mTLS and must prove one of `identities`; others get plain bytes.
    """

    upstream: Upstream
    protocol: Protocol
    endpoints: tuple[Endpoint, ...]
    identities: tuple[Identity, ...]
    limits: Limits | None = None
    """What one client sends at a time."""


@dataclass(frozen=True, slots=True, order=True)
class WeightedRoute:
    """Requests that satisfy any of `matches` (None: all) are shared by weight. Weights are never all zero."""

    matches: tuple[HttpMatch, ...] | None
    backends: tuple[tuple[Upstream, int], ...]


@dataclass(frozen=True, slots=True, order=True)
class OutboundService:
    """A Service port as clients see it: addresses and names it is called by, and where its calls go.

    `routes` are tried in order; the last has `matches=None`.
    """

    upstream: Upstream
    protocol: Protocol
    cluster_ips: tuple[str, ...]
    """For a headless Service: the addresses of its endpoints."""
    hosts: tuple[str, ...]
    routes: tuple[WeightedRoute, ...]
    retry: RetryPolicy | None = None
    """What is tried again besides what surely has reached no app."""


@dataclass(frozen=True, slots=True, order=True)
class InboundPort:
    """A port that the workload's app listens on, and the Service ports that lead to it."""

    port: int
    """The target (container) port."""
    protocol: Protocol
    upstreams: tuple[Upstream, ...]
    doors: tuple[Door, ...] = ()
    """Ways in for callers from outside the mesh."""
    rates: tuple[tuple[ServiceName, Rates], ...] = ()
    """The Services among those that lead here which let in at a rate."""

    def by_rates(self) -> dict[Rates | None, tuple[Upstream, ...]]:
        """The Service ports that lead here, by what is let in through them."""
        rates, found = dict(self.rates), dict[Rates | None, tuple[Upstream, ...]]()
        for upstream in self.upstreams:
            key = rates.get(upstream.service)
            found[key] = (*found.get(key, ()), upstream)
        return found


@dataclass(frozen=True, slots=True)
class ProxyView:
    """All that one proxy is told."""

    workload: Workload
    trust_domain: str
    inbound: tuple[InboundPort, ...]
    permissions: tuple[Permission, ...] | None
    """Who may come in, as the union of these. None: permissive mode, every proven identity may."""
    outbound: tuple[OutboundService, ...]
    clusters: tuple[UpstreamCluster, ...]
    egress: bool
    outside: tuple[EgressRule, ...] = ()
    """What of the world outside it may call, as the union of these, besides what `egress` allows all."""
    recorded_headers: tuple[str, ...] = ()
    """The headers that policies for it speak of: kept with each request, so that it can be judged again."""
    overlays: tuple[Overlay, ...] = ()
    """What is laid over all this, in this order."""
    settings: ProxySettings = field(default_factory=ProxySettings)
    gateway: tuple[GatewayRoute, ...] | None = None
    """For the mesh's gateway alone: what it sends where."""
