"""How are calls told that may leave the mesh, where not all may? By port, address, and the name that is asked for.

Of several filter chains Envoy takes the one whose address range is narrowest, and looks at no other if the rest
of it does not fit. So each range gets what all rules say whose ranges contain it: rules are a union.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from ipaddress import ip_network

from envoy.config.core.v3.address_pb2 import CidrRange
from envoy.config.core.v3.base_pb2 import DataSource
from envoy.config.listener.v3.listener_components_pb2 import (
    Filter,
    FilterChain,
    FilterChainMatch,
    ListenerFilter,
    ListenerFilterChainMatchPredicate,
)
from envoy.config.route.v3.route_components_pb2 import DirectResponseAction, Route, RouteAction, RouteMatch, VirtualHost
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.extensions.filters.listener.tls_inspector.v3.tls_inspector_pb2 import TlsInspector
from envoy.extensions.filters.network.tcp_proxy.v3.tcp_proxy_pb2 import TcpProxy
from envoy.type.v3.range_pb2 import Int32Range
from google.protobuf.duration_pb2 import Duration
from google.protobuf.wrappers_pb2 import UInt32Value

from meshlab.dataplane.envoy import hcm, names
from meshlab.dataplane.envoy.access_log import tcp_log
from meshlab.dataplane.envoy.egress import forward, passthrough
from meshlab.dataplane.envoy.routes import route_match
from meshlab.dataplane.envoy.secrets import pack
from meshlab.mesh.egress import EgressPort, EgressProtocol, EgressRule
from meshlab.mesh.exchange import Side
from meshlab.xds import Resource
from meshlab.xds.resource import TypeUrl

_EVERYTHING = RouteMatch(prefix="/")
_HTTP_PORT = 80
_NOT_ALLOWED = Route(
    match=_EVERYTHING,
    direct_response=DirectResponseAction(
        status=403, body=DataSource(inline_string="meshlab: no Egress lets this workload send this request there\n")
    ),
)


@dataclass(frozen=True)
class Region:
    """Addresses with one port, and the rules that hold there."""

    port: int
    range: str
    """Empty: every address that no other region of the port has."""
    rules: tuple[tuple[EgressRule, EgressProtocol], ...]

    @property
    def name(self) -> str:
        """What its resources are called by."""
        return f"{self.port}|{self.range or '*'}"

    @cached_property
    def speaks(self) -> frozenset[EgressProtocol]:
        """What may be spoken there. Where any bytes may pass, there is nothing left to tell apart."""
        spoken = frozenset(protocol for _, protocol in self.rules)
        return frozenset({EgressProtocol.TCP}) if EgressProtocol.TCP in spoken else spoken

    def said(self, protocol: EgressProtocol) -> list[EgressRule]:
        """The rules that speak of a protocol."""
        return [rule for rule, spoken in self.rules if spoken is protocol]


def regions(rules: Collection[EgressRule]) -> list[Region]:
    """Every port and range that rules speak of, with all that holds there."""
    found = []
    for number in sorted({port.number for rule in rules for port in rule.ports}):
        told = [(rule, port.protocol) for rule in rules for port in rule.ports if port.number == number]
        ranges = {where for rule, _ in told for where in rule.ranges or ("",)}
        found += [
            Region(number, where, tuple((rule, protocol) for rule, protocol in told if _covers(rule, where)))
            for where in sorted(ranges)
        ]
    return found


def chains(
    rules: Collection[EgressRule], taken: Collection[tuple[str, int]]
) -> Iterator[tuple[FilterChain, tuple[TypeUrl, str]]]:
    """What of the outbound listener lets calls out, and what it needs. `taken`: addresses of the mesh itself."""
    own = {(f"{address}/{128 if ':' in address else 32}", port) for address, port in taken}
    for region in regions(rules):
        if (region.range, region.port) in own:
            continue
        if EgressProtocol.TCP in region.speaks:
            traffic, cluster = _on(region.said(EgressProtocol.TCP))
            yield _chain(region, "tcp", traffic), (names.CLUSTER, cluster)
        if EgressProtocol.HTTPS in region.speaks:
            asked = region.said(EgressProtocol.HTTPS)
            hosts = sorted({host for rule in asked for host in rule.hosts}) if all(rule.hosts for rule in asked) else []
            traffic, cluster = _on(asked)
            yield _chain(region, "tls", traffic, hosts), (names.CLUSTER, cluster)
        if EgressProtocol.HTTP in region.speaks:
            routes = names.egress_routes(region.name)
            yield _chain(region, "raw_buffer", hcm.outbound(routes, forward=True)), (names.ROUTES, routes)


def inspector(rules: Collection[EgressRule]) -> ListenerFilter | None:
    """Reads the name that a TLS handshake asks for; on ports where that is spoken outside, and on no other.

    Elsewhere it would wait for the client to speak first.
    """
    ports = sorted({region.port for region in regions(rules) if EgressProtocol.HTTPS in region.speaks})
    if not ports:
        return None
    predicates = [
        ListenerFilterChainMatchPredicate(destination_port_range=Int32Range(start=port, end=port + 1)) for port in ports
    ]
    several = ListenerFilterChainMatchPredicate.MatchSet(rules=predicates * (2 if len(predicates) == 1 else 1))
    there = ListenerFilterChainMatchPredicate(or_match=several)
    return ListenerFilter(
        name="envoy.filters.listener.tls_inspector",
        typed_config=pack(TlsInspector()),
        filter_disabled=ListenerFilterChainMatchPredicate(not_match=there),
    )


def clusters(rules: Iterable[EgressRule], *, by_address: bool = True) -> Iterator[Resource]:
    """Ways out with limits of their own, by name and, where connections are redirected, by address."""
    for rule in rules:
        if rule.limits:
            yield forward(_limited(names.EGRESS_BY_NAME, [rule]), rule.limits)
            if by_address:
                yield passthrough(_limited(names.EGRESS_CLUSTER, [rule]), rule.limits)


def routes(rules: Collection[EgressRule]) -> Iterator[Resource]:
    """The routes of regions where HTTP is spoken. Requests that no rule has get an answer: 403."""
    for region in regions(rules):
        if EgressProtocol.HTTP in region.speaks:
            name = names.egress_routes(region.name)
            hosts = virtual_hosts(region.port, region.said(EgressProtocol.HTTP))
            hosts.append(VirtualHost(name="elsewhere", domains=["*"], routes=[_NOT_ALLOWED]))
            message = RouteConfiguration(name=name, virtual_hosts=hosts)
            used = {route.route.cluster for host in hosts for route in host.routes if route.route.cluster}
            yield Resource.of(name, message, needs=tuple((names.CLUSTER, cluster) for cluster in sorted(used)))


def virtual_hosts(port: int, rules: Iterable[EgressRule]) -> list[VirtualHost]:
    """One for each host that rules name. A host has what is said of it by its name and by a wildcard."""
    told: dict[str, list[EgressRule]] = defaultdict(list)
    for rule in rules:
        for host in rule.hosts:
            told[host].append(rule)
    for host, found in told.items():
        found += [rule for other, more in told.items() if _is_wildcard_of(other, host) for rule in more]
    return [
        VirtualHost(
            name=f"egress {host}:{port}",
            domains=[f"{host}:{port}", host] if port == _HTTP_PORT else [f"{host}:{port}"],
            routes=[*(route for rule in dict.fromkeys(told[host]) for route in _routes(rule)), _NOT_ALLOWED],
        )
        for host in sorted(told)
    ]


def hosts_by_name(rules: Collection[EgressRule]) -> list[VirtualHost]:
    """What an explicit proxy may call: hosts by HTTP. It never learns of addresses, so rules that ask for them are
    not among these.
    """
    found = []
    for number in sorted({port.number for rule in rules for port in rule.ports}):
        port = EgressPort(number, EgressProtocol.HTTP)
        found += virtual_hosts(number, [rule for rule in rules if port in rule.ports and not rule.ranges])
    return found


def _routes(rule: EgressRule) -> Iterator[Route]:
    """Where addresses are given, a call goes where it was meant to; else the proxy looks the host up itself, so
    that nobody gets elsewhere under an allowed name.
    """
    base = names.EGRESS_CLUSTER if rule.ranges else names.EGRESS_BY_NAME
    action = RouteAction(cluster=_limited(base, [rule]), timeout=Duration())
    if rule.matches is None:
        yield Route(match=_EVERYTHING, route=action)
    for match in rule.matches or ():
        yield Route(match=route_match(match), route=action)


def _chain(region: Region, transport: str, traffic: Filter, hosts: Iterable[str] = ()) -> FilterChain:
    match = FilterChainMatch(destination_port=UInt32Value(value=region.port), server_names=hosts)
    if transport != "tcp":
        match.transport_protocol = transport
    if region.range:
        network = ip_network(region.range)
        prefix = CidrRange(address_prefix=str(network.network_address), prefix_len=UInt32Value(value=network.prefixlen))
        match.prefix_ranges.append(prefix)
    return FilterChain(name=f"egress|{region.name}|{transport}", filter_chain_match=match, filters=[traffic])


def _on(rules: Iterable[EgressRule]) -> tuple[Filter, str]:
    """On to where the connection was meant for, and by which cluster."""
    cluster = _limited(names.EGRESS_CLUSTER, rules)
    proxy = TcpProxy(stat_prefix=Side.CLIENT.value, cluster=cluster, access_log=[tcp_log(Side.CLIENT)])
    return Filter(name="envoy.filters.network.tcp_proxy", typed_config=pack(proxy)), cluster


def _limited(cluster: str, rules: Iterable[EgressRule]) -> str:
    """The cluster, or that with the limits of the first rule that has some."""
    return next((f"{cluster}|{rule.name}" for rule in rules if rule.limits), cluster)


def _covers(rule: EgressRule, where: str) -> bool:
    if not rule.ranges:
        return True
    if not where:
        return False
    inner = ip_network(where)
    outer = (ip_network(text) for text in rule.ranges)
    return any(inner.version == network.version and inner.subnet_of(network) for network in outer)  # type: ignore[arg-type]


def _is_wildcard_of(wildcard: str, host: str) -> bool:
    return wildcard != host and wildcard.startswith("*.") and host.endswith(wildcard[1:])
