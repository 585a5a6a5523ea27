"""Which cluster gets a request? Outbound: the split of the Service called. Inbound: the app, if RBAC agrees.

Route timeouts and stream idle timeouts are off: a mesh that cuts a slow answer after Envoy's 15 s default
would be a surprise. Retried is only what can't have reached an app (see `docs/decisions`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from envoy.config.core.v3.base_pb2 import DataSource, HeaderValue, HeaderValueOption
from envoy.config.route.v3.route_components_pb2 import (
    DirectResponseAction,
    HeaderMatcher,
    RetryPolicy,
    Route,
    RouteAction,
    RouteMatch,
    VirtualHost,
    WeightedCluster,
)
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.extensions.retry.host.previous_hosts.v3.previous_hosts_pb2 import PreviousHostsPredicate
from envoy.type.matcher.v3.regex_pb2 import RegexMatcher
from google.protobuf.duration_pb2 import Duration
from google.protobuf.wrappers_pb2 import UInt32Value

from meshlab.dataplane.envoy import names, recording
from meshlab.dataplane.envoy.rbac import header_matchers, http_rules
from meshlab.dataplane.envoy.secrets import pack
from meshlab.mesh.identity import Identity
from meshlab.mesh.rules import HttpMatch, Permission
from meshlab.mesh.view import OutboundService, WeightedRoute
from meshlab.xds import Resource

RBAC_FILTER = "envoy.filters.http.rbac"
UNREACHED = "x-meshlab-unreached"
"""Set by the server's proxy on its own answer when the app could not be connected to."""

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
    by_name = ((names.CLUSTER, names.EGRESS_BY_NAME),) if egress or outside else ()
    return Resource.of(names.EXPLICIT_ROUTES, message, needs=(*_clusters_of(called), *by_name))


def inbound(
    identity: Identity,
    port: int,
    permissions: tuple[Permission, ...] | None,
    trust_domain: str,
    recorded: tuple[str, ...] = (),
) -> Resource:
    """The way to the app's port, and who may use it. Rules travel here so that they hold for the next request
    on every open connection, where a changed listener would leave old connections with old rules.
    """
    name = names.inbound_routes(identity, port)
    action = RouteAction(cluster=names.local_cluster(identity, port), timeout=_NO_TIMEOUT)
    message = RouteConfiguration(
        name=name,
        virtual_hosts=[VirtualHost(name=name, domains=["*"], routes=[Route(match=_EVERYTHING, route=action)])],
    )
    message.typed_per_filter_config[RBAC_FILTER].CopyFrom(pack(http_rules(permissions, port, trust_domain)))
    if recorded:
        message.typed_per_filter_config[recording.FILTER].CopyFrom(recording.keep(recorded))
    return Resource.of(name, message, needs=((names.CLUSTER, names.local_cluster(identity, port)),))


def _virtual_host(service: OutboundService, domains: list[str]) -> VirtualHost:
    return VirtualHost(
        name=str(service.upstream),
        domains=domains,
        routes=[route for weighted in service.routes for route in _routes(weighted)],
        retry_policy=_RETRY,
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


def unreached_header() -> HeaderValueOption:
    """What the server's proxy adds to its answer when it could not connect to the app."""
    return HeaderValueOption(header=HeaderValue(key=UNREACHED, value="1"))


_RETRY = RetryPolicy(
    retry_on="connect-failure,refused-stream,reset-before-request,retriable-headers",
    retriable_headers=[HeaderMatcher(name=UNREACHED, present_match=True)],
    num_retries=UInt32Value(value=5),
    retry_back_off=RetryPolicy.RetryBackOff(base_interval=Duration(nanos=10_000_000)),
    retry_host_predicate=[
        RetryPolicy.RetryHostPredicate(
            name="envoy.retry_host_predicates.previous_hosts", typed_config=pack(PreviousHostsPredicate())
        )
    ],
    host_selection_retry_max_attempts=5,
)
