"""How does a caller from outside the mesh come in to a workload? Plainly or by TLS, to ports that have doors.

Where a port has any, connections that were meant for it are told apart: what a proxy of the mesh sends is mutual
TLS of the mesh's own, as ever; what is not comes in by a door, if its address may, and each request is judged by
all of the port's doors together.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from ipaddress import ip_network

from envoy.config.core.v3.address_pb2 import CidrRange
from envoy.config.core.v3.base_pb2 import TransportSocket
from envoy.config.listener.v3.listener_components_pb2 import FilterChain, FilterChainMatch
from envoy.config.rbac.v3.rbac_pb2 import RBAC, Permission, Policy, Principal
from envoy.config.route.v3.route_components_pb2 import Route, RouteAction, RouteMatch, VirtualHost
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.extensions.filters.http.rbac.v3 import rbac_pb2 as http_rbac
from envoy.extensions.transport_sockets.tls.v3.common_pb2 import CertificateValidationContext, SubjectAltNameMatcher
from envoy.extensions.transport_sockets.tls.v3.secret_pb2 import SdsSecretConfig
from envoy.extensions.transport_sockets.tls.v3.tls_pb2 import CommonTlsContext, DownstreamTlsContext
from envoy.type.matcher.v3.string_pb2 import StringMatcher
from google.protobuf.duration_pb2 import Duration
from google.protobuf.wrappers_pb2 import BoolValue, UInt32Value

from meshlab.dataplane.envoy import hcm, names
from meshlab.dataplane.envoy.rbac import request
from meshlab.dataplane.envoy.routes import RBAC_FILTER
from meshlab.dataplane.envoy.secrets import ADS, HTTP1, HTTP2, pack, parameters
from meshlab.mesh.identity import Identity
from meshlab.mesh.ingress import INGRESS_BACKEND, Door
from meshlab.mesh.proxy_settings import ProxySettings, Tls
from meshlab.mesh.view import InboundPort
from meshlab.xds import Resource
from meshlab.xds.resource import TypeUrl

_TLS, _PLAIN = "tls", "raw_buffer"
_SAN = SubjectAltNameMatcher.SanType.URI


def chains(
    identity: Identity, port: InboundPort, settings: ProxySettings
) -> Iterator[tuple[FilterChain, tuple[tuple[TypeUrl, str], ...]]]:
    """What of the inbound listener lets outsiders in to a port, and what it needs."""
    for transport, doors in _by_transport(port):
        match = FilterChainMatch(
            destination_port=UInt32Value(value=port.port),
            transport_protocol=transport,
            server_names=_names(doors),
            source_prefix_ranges=_addresses(doors),
        )
        routes = names.door_routes(identity, port.port, transport)
        chain = FilterChain(name=routes, filter_chain_match=match, filters=[hcm.inbound(routes, settings)])
        needs: tuple[tuple[TypeUrl, str], ...] = ((names.ROUTES, routes),)
        if transport == _TLS:
            principals = {principal for door in doors for principal in door.principals}
            chain.transport_socket.CopyFrom(
                outsiders_tls(settings.tls, principals, all(door.principals for door in doors))
            )
            needs += ((names.SECRET, names.SVID_SECRET),)
            needs += ((names.SECRET, names.BUNDLE_SECRET),) if principals else ()
        yield chain, needs


def routes(identity: Identity, port: InboundPort) -> Iterator[Resource]:
    """The way from a port's doors to the app, and who may use it."""
    for transport, doors in _by_transport(port):
        name, to = names.door_routes(identity, port.port, transport), names.local_cluster(identity, port.port)
        route = Route(match=RouteMatch(prefix="/"), route=RouteAction(cluster=to, timeout=Duration()))
        message = RouteConfiguration(name=name, virtual_hosts=[VirtualHost(name=name, domains=["*"], routes=[route])])
        rules = http_rbac.RBACPerRoute(rbac=http_rbac.RBAC(rules=RBAC(action=RBAC.ALLOW, policies=_policies(doors))))
        message.typed_per_filter_config[RBAC_FILTER].CopyFrom(pack(rules))
        yield Resource.of(name, message, needs=((names.CLUSTER, to),))


def outsiders_tls(tls: Tls, principals: Collection[str] = (), required: bool = False) -> TransportSocket:  # noqa: FBT001, FBT002
    """Show the workload's certificate. With `principals`: a caller may prove to be one of these, or has to."""
    common = CommonTlsContext(
        tls_params=parameters(tls),
        alpn_protocols=[HTTP2, HTTP1],
        tls_certificate_sds_secret_configs=[SdsSecretConfig(name=names.SVID_SECRET, sds_config=ADS)],
    )
    if principals:
        # Envoy turns away who shows no certificate as soon as there are names to match: then requests are judged alone
        exact = [StringMatcher(exact=principal) for principal in sorted(principals)] if required else []
        expected = [SubjectAltNameMatcher(san_type=_SAN, matcher=matcher) for matcher in exact]
        common.combined_validation_context.CopyFrom(
            CommonTlsContext.CombinedCertificateValidationContext(
                default_validation_context=CertificateValidationContext(match_typed_subject_alt_names=expected),
                validation_context_sds_secret_config=SdsSecretConfig(name=names.BUNDLE_SECRET, sds_config=ADS),
            )
        )
    context = DownstreamTlsContext(common_tls_context=common, require_client_certificate=BoolValue(value=required))
    return TransportSocket(name="envoy.transport_sockets.tls", typed_config=pack(context))


def _by_transport(port: InboundPort) -> Iterator[tuple[str, list[Door]]]:
    for transport in (_PLAIN, _TLS):
        if doors := [door for door in port.doors if door.tls == (transport == _TLS)]:
            yield transport, doors


def _names(doors: Sequence[Door]) -> list[str]:
    """The names asked for in the handshake that lead to any of these doors; none: all do."""
    return sorted({name for door in doors for name in door.sni_hosts}) if all(door.sni_hosts for door in doors) else []


def _addresses(doors: Sequence[Door]) -> list[CidrRange]:
    """The addresses that may use any of these doors; none: all may. Others have no connection at all."""
    if any(door.ranges is None for door in doors):
        return []
    return [_cidr(text) for text in sorted({text for door in doors for text in door.ranges or ()})]


def _policies(doors: Sequence[Door]) -> dict[str, Policy]:
    found: dict[str, Policy] = {}
    for door in doors:
        asked = [Permission(any=True)] if door.matches is None else [request(match) for match in door.matches]
        if not asked:
            continue
        if door.sni_hosts:
            sni = [Permission(requested_server_name=StringMatcher(exact=name)) for name in door.sni_hosts]
            asked = [_all_of([Permission(or_rules=Permission.Set(rules=part)) for part in (asked, sni)])]
        name = f"{INGRESS_BACKEND} {door.name}"
        unique = name if name not in found else f"{name} ({len(found)})"
        found[unique] = Policy(permissions=asked, principals=[_principal(door)])
    return found


def _all_of(parts: list[Permission]) -> Permission:
    return Permission(and_rules=Permission.Set(rules=parts))


def _principal(door: Door) -> Principal:
    parts = []
    if door.ranges is not None:
        parts.append([Principal(direct_remote_ip=_cidr(text)) for text in door.ranges])
    if door.principals:
        exact = (StringMatcher(exact=principal) for principal in door.principals)
        parts.append([Principal(authenticated=Principal.Authenticated(principal_name=matcher)) for matcher in exact])
    either = [Principal(or_ids=Principal.Set(ids=part)) for part in parts]
    return Principal(and_ids=Principal.Set(ids=either))


def _cidr(text: str) -> CidrRange:
    network = ip_network(text)
    return CidrRange(address_prefix=str(network.network_address), prefix_len=UInt32Value(value=network.prefixlen))
