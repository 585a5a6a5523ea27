"""Where does traffic enter the proxy? One listener for what comes in, one for what goes out.

Two ways of interception, one set of routes and policies. Where the kernel redirects, listeners take every
connection and look at where it was meant to go. Where it can't, `address` is the pod's own: apps call an
explicit proxy there, and other proxies dial its inbound port.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from envoy.config.core.v3.address_pb2 import CidrRange
from envoy.config.listener.v3.listener_components_pb2 import Filter, FilterChain, FilterChainMatch, ListenerFilter
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.extensions.filters.listener.original_dst.v3.original_dst_pb2 import OriginalDst
from envoy.extensions.filters.listener.tls_inspector.v3.tls_inspector_pb2 import TlsInspector
from envoy.extensions.filters.network.tcp_proxy.v3.tcp_proxy_pb2 import ON_DOWNSTREAM_TLS_HANDSHAKE, TcpProxy
from google.protobuf.wrappers_pb2 import UInt32Value

from meshlab.dataplane.envoy import doors, hcm, names
from meshlab.dataplane.envoy.access_log import tcp_log
from meshlab.dataplane.envoy.direct import reaches
from meshlab.dataplane.envoy.endpoints import socket_address
from meshlab.dataplane.envoy.limits import connection_rate
from meshlab.dataplane.envoy.outside import chains as outside_chains
from meshlab.dataplane.envoy.outside import inspector
from meshlab.dataplane.envoy.rbac import tcp_sources
from meshlab.dataplane.envoy.secrets import HTTP1, HTTP2, NEEDS, anybody_of, pack, server_tls
from meshlab.mesh.egress import EgressRule
from meshlab.mesh.exchange import Side
from meshlab.mesh.identity import Identity
from meshlab.mesh.proxy_settings import Collector, ProxySettings
from meshlab.mesh.rules import Permission
from meshlab.mesh.service import Endpoint
from meshlab.mesh.view import InboundPort, OutboundService, UpstreamCluster
from meshlab.xds import Resource
from meshlab.xds.resource import TypeUrl

_ANY = "0.0.0.0"  # noqa: S104  # the kernel redirects what was meant for the pod, whatever its address
_ORIGINAL_DST = ListenerFilter(name="envoy.filters.listener.original_dst", typed_config=pack(OriginalDst()))
_TLS_INSPECTOR = ListenerFilter(name="envoy.filters.listener.tls_inspector", typed_config=pack(TlsInspector()))
_EARLY_BYTES = 65536
"""What a client may have sent before the app is connected to; more is read then."""


def inbound(
    identity: Identity,
    ports: Sequence[InboundPort],
    permissions: tuple[Permission, ...] | None,
    trust_domain: str,
    address: str | None,
    settings: ProxySettings,
) -> Resource | None:
    """What comes in: mutual TLS, and the SNI says which port it is for; from outside the mesh, what finds a door.

    None when nothing may. Where nothing redirects, outsiders dial the app itself, and there are no doors.
    """
    chains: list[FilterChain] = []
    needs: list[tuple[TypeUrl, str]] = list(NEEDS)
    opened = set() if address else {port.port for port in ports if port.doors}
    for port, rates, upstreams in ((item, *way) for item in ports for way in item.by_rates().items()):
        if port.protocol.is_http:
            routes = names.inbound_routes(identity, port.port, rates.name if rates else "")
            tls = server_tls(anybody_of(trust_domain), [HTTP2, HTTP1], settings.tls)
            traffic = hcm.inbound(routes, settings)
            needs.append((names.ROUTES, routes))
        elif allowed := tcp_sources(permissions, port.port, trust_domain):
            cluster = names.local_cluster(identity, port.port)
            tls, traffic = server_tls(allowed, [], settings.tls), _tcp([(cluster, 1)], Side.SERVER)
            needs.append((names.CLUSTER, cluster))
        else:
            continue  # nobody may use this TCP port: without a chain there is no handshake
        match = FilterChainMatch(
            server_names=[upstream.sni for upstream in upstreams],
            transport_protocol="tls",
            application_protocols=[names.ALPN],
        )
        if port.port in opened:
            # Envoy looks at chains for a port first, and then at no others
            match.destination_port.value = port.port
        name = f"{identity}|{port.port}" + (f"|{rates.name}" if rates else "")
        first = [connection_rate(rates.name, rates.connections)] if rates and rates.connections else []
        chain = FilterChain(name=name, filter_chain_match=match, transport_socket=tls, filters=[*first, traffic])
        chains.append(chain)
    for port in ports if opened else ():
        for chain, more in doors.chains(identity, port, settings):
            chains.append(chain)
            needs += more
    if not chains:
        return None
    listener = Listener(
        name=names.INBOUND_LISTENER,
        address=socket_address(address or _ANY, names.INBOUND_PORT),
        listener_filters=[_TLS_INSPECTOR] if address else [_ORIGINAL_DST, _TLS_INSPECTOR],
        filter_chains=chains,
    )
    return Resource.of(names.INBOUND_LISTENER, listener, needs=tuple(needs))


def outbound_explicit(address: str, traces: Collector | None) -> Resource:
    """What the app sends to its explicit proxy; the routes tell Services apart by name."""
    traffic = hcm.outbound(names.EXPLICIT_ROUTES, forward=True, traces=traces)
    listener = Listener(
        name=names.OUTBOUND_LISTENER,
        address=socket_address(address, names.OUTBOUND_PORT),
        filter_chains=[FilterChain(name="explicit", filters=[traffic])],
    )
    return Resource.of(names.OUTBOUND_LISTENER, listener, needs=((names.ROUTES, names.EXPLICIT_ROUTES),))


def outbound_redirected(
    services: Iterable[OutboundService],
    clusters: tuple[UpstreamCluster, ...],
    *,
    egress: bool,
    outside: tuple[EgressRule, ...] = (),
    traces: Collector | None = None,
) -> Resource | None:
    """What the app sends anywhere: the address and port it was meant for say which Service is called, or which pod.

    What is neither leaves the mesh, if all may (`egress`) or a rule has it (`outside`).
    """
    chains: list[FilterChain] = []
    needs: list[tuple[TypeUrl, str]] = []
    taken: set[tuple[str, int]] = set()
    endpoints = {cluster.upstream: cluster.endpoints for cluster in clusters}
    for service in services:
        port = service.upstream.port
        behind = endpoints.get(service.upstream, ())
        addresses = [address for address in _addresses(service, behind) if (address, port) not in taken]
        taken.update((address, port) for address in addresses)
        if not addresses:
            continue
        if service.protocol.is_http:
            routes = names.outbound_routes(service.upstream)
            traffic = hcm.outbound(routes, traces=traces)
            needs.append((names.ROUTES, routes))
        else:
            shares = [(str(upstream), weight) for upstream, weight in service.routes[-1].backends if weight > 0]
            traffic = _tcp(shares, Side.CLIENT)
            needs.extend((names.CLUSTER, name) for name, _ in shares)
        chains.append(_meant_for(str(service.upstream), addresses, port, traffic))
    for reach in reaches(clusters, taken):
        to, routes = names.direct_cluster(reach.cluster.upstream), names.direct_routes(reach.cluster.upstream)
        http = reach.cluster.protocol.is_http
        traffic = hcm.outbound(routes, traces=traces) if http else _tcp([(to, 1)], Side.CLIENT)
        needs.append((names.ROUTES, routes) if http else (names.CLUSTER, to))
        taken.update((address, reach.port) for address in reach.addresses)
        chains.append(_meant_for(f"{to}|{reach.port}", reach.addresses, reach.port, traffic))
    for chain, need in outside_chains(outside, taken):
        chains.append(chain)
        needs.append(need)
    if not chains and not egress:
        return None
    listener = Listener(
        name=names.OUTBOUND_LISTENER,
        address=socket_address(_ANY, names.OUTBOUND_PORT),
        listener_filters=[_ORIGINAL_DST, *([asked] if (asked := inspector(outside)) else ())],
        filter_chains=chains,
    )
    if egress:
        passthrough = _tcp([(names.EGRESS_CLUSTER, 1)], Side.CLIENT)
        listener.default_filter_chain.CopyFrom(FilterChain(name="egress", filters=[passthrough]))
        needs.append((names.CLUSTER, names.EGRESS_CLUSTER))
    return Resource.of(names.OUTBOUND_LISTENER, listener, needs=tuple(needs))


def _addresses(service: OutboundService, endpoints: Iterable[Endpoint]) -> tuple[str, ...]:
    """Where calls to the Service as a whole are recognised. Without a split a headless one is but its pods."""
    alone = service.routes[-1].backends == ((service.upstream, 1),) and len(service.routes) == 1
    pods = {endpoint.address for endpoint in endpoints if endpoint.meshed} if alone else set[str]()
    return tuple(address for address in service.cluster_ips if address not in pods)


def _meant_for(name: str, addresses: Iterable[str], port: int, traffic: Filter) -> FilterChain:
    ranges = [_host_range(address) for address in addresses]
    match = FilterChainMatch(destination_port=UInt32Value(value=port), prefix_ranges=ranges)
    return FilterChain(name=name, filter_chain_match=match, filters=[traffic])


def _tcp(shares: list[tuple[str, int]], side: Side) -> Filter:
    proxy = TcpProxy(stat_prefix=side.value, access_log=[tcp_log(side)])
    if side is Side.SERVER:
        proxy.upstream_connect_mode = ON_DOWNSTREAM_TLS_HANDSHAKE  # an app never hears of who is refused
        proxy.max_early_data_bytes.value = _EARLY_BYTES
        proxy.access_log_options.flush_access_log_on_connected = True
    if len(shares) == 1:
        proxy.cluster = shares[0][0]
    else:
        for name, weight in shares:
            proxy.weighted_clusters.clusters.add(name=name, weight=weight)
    return Filter(name="envoy.filters.network.tcp_proxy", typed_config=pack(proxy))


def _host_range(address: str) -> CidrRange:
    return CidrRange(address_prefix=address, prefix_len=UInt32Value(value=128 if ":" in address else 32))
