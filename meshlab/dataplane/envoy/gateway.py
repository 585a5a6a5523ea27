"""How does the mesh's gateway take calls from outside? By HTTP and HTTPS, on to Services by mutual TLS.

It shows its own certificate, and asks for none. What an Ingress names as a Service is called as any client of the
mesh calls it: a split of that Service is the gateway's to make (SMI S1).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from envoy.config.core.v3.base_pb2 import DataSource
from envoy.config.listener.v3.listener_components_pb2 import Filter, FilterChain
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.config.route.v3.route_components_pb2 import (
    DirectResponseAction,
    HeaderMatcher,
    Route,
    RouteMatch,
    VirtualHost,
)
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.extensions.filters.http.router.v3.router_pb2 import Router
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpConnectionManager,
    HttpFilter,
    Rds,
)
from envoy.type.matcher.v3.regex_pb2 import RegexMatcher
from envoy.type.matcher.v3.string_pb2 import StringMatcher
from google.protobuf.wrappers_pb2 import BoolValue

from meshlab.dataplane.envoy import names
from meshlab.dataplane.envoy import routes as client_routes
from meshlab.dataplane.envoy.access_log import http_log
from meshlab.dataplane.envoy.doors import outsiders_tls
from meshlab.dataplane.envoy.endpoints import socket_address
from meshlab.dataplane.envoy.retries import UNREACHED
from meshlab.dataplane.envoy.secrets import ADS, pack
from meshlab.mesh.exchange import Side
from meshlab.mesh.ingress import GatewayRoute
from meshlab.mesh.proxy_settings import ProxySettings
from meshlab.mesh.view import OutboundService, Upstream
from meshlab.xds import Resource

_ANY = "0.0.0.0"  # noqa: S104  # it is there for everybody
_WILDCARD = "*."


def listeners(address: str | None, settings: ProxySettings) -> Iterator[Resource]:
    """Where it listens: on its own address where the network is shared."""
    needs = ((names.ROUTES, names.GATEWAY_ROUTES),)
    for name, port in names.GATEWAY_PORTS.items():
        chain = FilterChain(name=name, filters=[_http()])
        if name == names.GATEWAY_HTTPS:
            chain.transport_socket.CopyFrom(outsiders_tls(settings.tls))
        where = socket_address(address or _ANY, port)
        listener = Listener(name=name, address=where, filter_chains=[chain])
        own = ((names.SECRET, names.SVID_SECRET),) if name == names.GATEWAY_HTTPS else ()
        yield Resource.of(name, listener, needs=(*needs, *own))


def routes(ways: Iterable[GatewayRoute], services: Iterable[OutboundService]) -> Resource:
    """What it sends where, by host and path: the longest path first, and of two alike the exact one."""
    known = {service.upstream: service for service in services}
    by_host: dict[str, list[GatewayRoute]] = {}
    for way in sorted(ways, key=lambda way: (not way.exact, -len(way.path), way.name)):
        by_host.setdefault(way.host, []).append(way)
    rest = [route for way in by_host.pop("", ()) for route in _routes(way, known)]
    hosts = [
        VirtualHost(name=host, domains=[host], routes=[*(one for way in found for one in _routes(way, known)), *rest])
        for host, found in sorted(by_host.items())
    ]
    hosts.append(VirtualHost(name="elsewhere", domains=["*"], routes=[*rest, _answer(404, "no Ingress has this")]))
    message = RouteConfiguration(
        name=names.GATEWAY_ROUTES,
        virtual_hosts=hosts,
        ignore_port_in_host_matching=True,
        response_headers_to_remove=[UNREACHED],
    )
    used = {to for host in hosts for route in host.routes for to in _clusters(route)}
    return Resource.of(names.GATEWAY_ROUTES, message, needs=tuple((names.CLUSTER, name) for name in sorted(used)))


def _routes(way: GatewayRoute, services: Mapping[Upstream, OutboundService]) -> Iterator[Route]:
    service = services.get(Upstream(way.service, way.port))
    if service is None or not service.protocol.is_http:
        absent = _answer(503, f"{way.service}, port {way.port}, is no HTTP Service of the mesh")
        absent.match.CopyFrom(_narrowed(RouteMatch(), way))
        yield absent
        return
    calls = RouteConfiguration()
    client_routes.outbound(service).message().Unpack(calls)
    (host,) = calls.virtual_hosts
    for route in host.routes:
        if host.HasField("retry_policy") and not route.route.HasField("retry_policy"):
            route.route.retry_policy.CopyFrom(host.retry_policy)
        route.match.CopyFrom(_narrowed(route.match, way))
        yield route


def _narrowed(match: RouteMatch, way: GatewayRoute) -> RouteMatch:
    """The match of a client's route, for the path and host of an Ingress alone."""
    headers = list(match.headers)
    if match.HasField("safe_regex"):
        headers.append(_header(":path", rf"(?:{match.safe_regex.regex})(\?.*)?"))
    if way.host.startswith(_WILDCARD):  # of names below, an Ingress means those with one label more
        headers.append(_header(":authority", rf"(?i)[^.]+{re.escape(way.host[1:])}(:[0-9]+)?"))
    if way.exact:
        return RouteMatch(path=way.path, headers=headers)
    if below := way.path.rstrip("/"):
        return RouteMatch(path_separated_prefix=below, headers=headers)
    return RouteMatch(prefix="/", headers=headers)


def _header(name: str, regex: str) -> HeaderMatcher:
    return HeaderMatcher(name=name, string_match=StringMatcher(safe_regex=RegexMatcher(regex=regex)))


def _clusters(route: Route) -> Iterator[str]:
    if route.route.cluster:
        yield route.route.cluster
    for share in route.route.weighted_clusters.clusters:
        yield share.name


def _answer(status: int, why: str) -> Route:
    body = DataSource(inline_string=f"meshlab's gateway: {why}\n")
    return Route(match=RouteMatch(prefix="/"), direct_response=DirectResponseAction(status=status, body=body))


def _http() -> Filter:
    manager = HttpConnectionManager(
        stat_prefix="gateway",
        rds=Rds(route_config_name=names.GATEWAY_ROUTES, config_source=ADS),
        http_filters=[HttpFilter(name="envoy.filters.http.router", typed_config=pack(Router()))],
        access_log=[http_log(Side.CLIENT)],
        use_remote_address=BoolValue(value=True),
        normalize_path=BoolValue(value=True),
        server_header_transformation=HttpConnectionManager.PASS_THROUGH,
    )
    return Filter(name="envoy.filters.network.http_connection_manager", typed_config=pack(manager))
