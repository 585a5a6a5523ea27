"""Which cluster gets a request? Outbound: the split of the Service called. Inbound: the app, if RBAC agrees.

Route timeouts and stream idle timeouts are off: a mesh that cuts a slow answer after Envoy's 15 s default
would be a surprise.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from envoy.config.core.v3.base_pb2 import DataSource
from envoy.config.route.v3.route_components_pb2 import (
    DirectResponseAction,
    HeaderMatcher,
    Route,
    RouteAction,
    RouteMatch,
    VirtualHost,
    WeightedCluster,
)
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.type.matcher.v3.regex_pb2 import RegexMatcher
from google.protobuf.duration_pb2 import Duration
from google.protobuf.wrappers_pb2 import UInt32Value

from meshlab.dataplane.envoy import names, recording
from meshlab.dataplane.envoy.limits import RATE_FILTER, request_rate
from meshlab.dataplane.envoy.rbac import header_matchers, http_rules
from meshlab.dataplane.envoy.retries import UNREACHED, retry_policy
from meshlab.dataplane.envoy.secrets import pack
from meshlab.mesh.identity import Identity
from meshlab.mesh.rules import HttpMatch, Permission
from meshlab.mesh.upstream_setting import Rates
from meshlab.mesh.view import OutboundService, WeightedRoute
from meshlab.xds import Resource

RBAC_FILTER = "envoy.filters.http.rbac"

_EVERYTHING = RouteMatch(prefix="/")
_NO_TIMEOUT = Duration()
_HTTP_PORT = 80
_OUTSIDE = Route(match=_EVERYTHING, route=RouteAction(cluster=names.EGRESS_BY_NAME, timeout=_NO_TIMEOUT))
_NOWHERE = Route(
    match=_EVERYTHING,
    direct_response=DirectResponseAction(
        status=502,
        body=DataSource(inline_string="meshlab: no Service of the mesh has this name and port, and egress is off\n"),
    ),
)


def outbound(service: OutboundService) -> Resource:
    """The routes to one Service port, whatever host the client wrote: its address was matched before."""
    name = names.outbound_routes(service.upstream)
    message = RouteConfiguration(name=name, virtual_hosts=[_virtual_host(service, ["*"])])
    return Resource.of(name, message, needs=_clusters_of([service]))


def outbound_explicit(
    services: Iterable[OutboundService], *, egress: bool, outside: Sequence[VirtualHost] = ()
) -> Resource:
    """The routes of a proxy that its app calls by name: Services are told apart by host and port.

    `outside`: the hosts outside the mesh that may be called where not all may.
    """
    called = [service for service in services if service.protocol.is_http]
    hosts, taken = [], set[str]()
    for service in called:
        domains = [domain for domain in _domains(service) if domain not in taken]
        taken.update(domains)
        if domains:
            hosts.append(_virtual_host(service, domains))
    hosts += [host for host in outside if taken.isdisjoint(host.domains)]
    hosts.append(VirtualHost(name="elsewhere", domains=["*"], routes=[_OUTSIDE if egress else _NOWHERE]))
    message = RouteConfiguration(name=names.EXPLICIT_ROUTES, virtual_hosts=hosts)
    used = {route.route.cluster for host in outside for route in host.routes if route.route.cluster}
    by_name = tuple((names.CLUSTER, name) for name in sorted(used | ({names.EGRESS_BY_NAME} if egress else set())))
    return Resource.of(names.EXPLICIT_ROUTES, message, needs=(*_clusters_of(called), *by_name))


def inbound(
    identity: Identity,
    port: int,
    permissions: tuple[Permission, ...] | None,
    trust_domain: str,
    recorded: tuple[str, ...] = (),
    rates: Rates | None = None,
) -> Resource:
    """The way to the app's port, who may use it, and how often. Rules travel here so that they hold for the next
    request on every open connection, where a changed listener would leave old connections with old rules.
    """
    name = names.inbound_routes(identity, port, rates.name if rates else "")
    action = RouteAction(cluster=names.local_cluster(identity, port), timeout=_NO_TIMEOUT)
    host = VirtualHost(name=name, domains=["*"])
    for path, rate in rates.routes if rates else ():
        route = Route(match=RouteMatch(safe_regex=RegexMatcher(regex=path)), route=action)
        route.typed_per_filter_config[RATE_FILTER].CopyFrom(request_rate(rate))
        host.routes.append(route)
    host.routes.append(Route(match=_EVERYTHING, route=action))
    if rates and rates.requests:
        host.typed_per_filter_config[RATE_FILTER].CopyFrom(request_rate(rates.requests))
    message = RouteConfiguration(name=name, virtual_hosts=[host])
    message.typed_per_filter_config[RBAC_FILTER].CopyFrom(pack(http_rules(permissions, port, trust_domain)))
    if recorded:
        message.typed_per_filter_config[recording.FILTER].CopyFrom(recording.keep(recorded))
    return Resource.of(name, message, needs=((names.CLUSTER, names.local_cluster(identity, port)),))


def _virtual_host(service: OutboundService, domains: list[str]) -> VirtualHost:
    return VirtualHost(
        name=str(service.upstream),
        domains=domains,
        routes=[route for weighted in service.routes for route in _routes(weighted)],
        retry_policy=retry_policy(service.retry),
        response_headers_to_remove=[UNREACHED],
    )


def _routes(weighted: WeightedRoute) -> Iterator[Route]:
    backends = [(str(upstream), weight) for upstream, weight in weighted.backends if weight > 0]
    if len(backends) == 1:
        action = RouteAction(cluster=backends[0][0], timeout=_NO_TIMEOUT)
    else:
        shares = [WeightedCluster.ClusterWeight(name=name, weight=UInt32Value(value=w)) for name, w in backends]
        action = RouteAction(weighted_clusters=WeightedCluster(clusters=shares), timeout=_NO_TIMEOUT)
    if weighted.matches is None:
        yield Route(match=_EVERYTHING, route=action)
        return
    for match in weighted.matches:
        yield Route(match=route_match(match), route=action)


def route_match(match: HttpMatch) -> RouteMatch:
    """A match in Envoy's words; all of its conditions have to hold."""
    headers: list[HeaderMatcher] = header_matchers(match)
    if match.path_regex is None:
        return RouteMatch(prefix="/", headers=headers)
    return RouteMatch(safe_regex=RegexMatcher(regex=match.path_regex), headers=headers)


def _domains(service: OutboundService) -> list[str]:
    port = service.upstream.port
    hosts = (*service.hosts, *service.cluster_ips)
    bare = list(hosts) if port == _HTTP_PORT else []
    return bare + [f"{host}:{port}" for host in hosts]


def _clusters_of(services: Iterable[OutboundService]) -> tuple[tuple[str, str], ...]:
    used = {
        str(upstream): None
        for service in services
        for route in service.routes
        for upstream, weight in route.backends
        if weight > 0
    }
    return tuple((names.CLUSTER, name) for name in used)
