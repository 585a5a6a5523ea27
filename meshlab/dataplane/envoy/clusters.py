"""Where can a proxy send to? One cluster for each Service port, and one for each port of its own app."""

from __future__ import annotations

from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.core.v3.base_pb2 import TransportSocket
from envoy.config.core.v3.protocol_pb2 import Http1ProtocolOptions, Http2ProtocolOptions, HttpProtocolOptions
from envoy.extensions.transport_sockets.raw_buffer.v3.raw_buffer_pb2 import RawBuffer
from envoy.extensions.upstreams.http.v3.http_protocol_options_pb2 import HttpProtocolOptions as UpstreamHttp
from google.protobuf.duration_pb2 import Duration
from google.protobuf.struct_pb2 import Struct, Value
from google.protobuf.wrappers_pb2 import UInt32Value

from meshlab.dataplane.envoy import names
from meshlab.dataplane.envoy.endpoints import assignment, at
from meshlab.dataplane.envoy.limits import circuit_breakers
from meshlab.dataplane.envoy.secrets import ADS, HTTP1, HTTP2, NEEDS, client_tls, pack
from meshlab.mesh.identity import Identity
from meshlab.mesh.proxy_settings import Tls
from meshlab.mesh.service import Protocol
from meshlab.mesh.upstream_setting import Limits
from meshlab.mesh.view import UpstreamCluster
from meshlab.xds import Resource

_CONNECT_TIMEOUT = Duration(seconds=5)
_CONNECTION_LIFE = Duration(seconds=600)
"""A connection keeps the certificate it began with; after this long the next one shows the new."""
_HTTP = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def upstream(cluster: UpstreamCluster, trust_domain: str, tls: Tls) -> Resource:
    """A Service port. Meshed endpoints are spoken to by mutual TLS, others plainly, each told by its metadata."""
    name = str(cluster.upstream)
    endpoints = ((names.ENDPOINTS, name),)
    message = Cluster(
        name=name,
        type=Cluster.EDS,
        eds_cluster_config=Cluster.EdsClusterConfig(eds_config=ADS),
        connect_timeout=connect_timeout(cluster.limits),
        circuit_breakers=circuit_breakers(cluster.limits),
    )
    meshed = [endpoint for endpoint in cluster.endpoints if endpoint.meshed]
    speaks: list[str] = []
    if cluster.protocol.is_http:
        two = cluster.protocol is Protocol.GRPC or len(meshed) == len(cluster.endpoints)
        message.typed_extension_protocol_options[_HTTP].CopyFrom(pack(_http(two=two, limits=cluster.limits)))
        speaks = [HTTP2 if two else HTTP1]
    if not cluster.identities:
        return Resource.of(name, message, needs=endpoints, renews=endpoints)
    expected = [identity.spiffe_id(trust_domain) for identity in cluster.identities]
    socket = client_tls(cluster.upstream.sni, expected, speaks, tls)
    if len(meshed) == len(cluster.endpoints):
        message.transport_socket.CopyFrom(socket)
    else:
        message.transport_socket_matches.extend(_by_metadata(socket))
    return Resource.of(name, message, needs=(*endpoints, *NEEDS), renews=endpoints)


def local(identity: Identity, port: int, protocol: Protocol, address: str) -> Resource:
    """The app's own port, spoken to plainly."""
    name = names.local_cluster(identity, port)
    message = Cluster(
        name=name,
        type=Cluster.STATIC,
        connect_timeout=_CONNECT_TIMEOUT,
        load_assignment=assignment(name, [at(address, port)]),
    )
    if protocol.is_http:
        options = _http(two=True) if protocol is Protocol.GRPC else _ONE_REQUEST_EACH
        message.typed_extension_protocol_options[_HTTP].CopyFrom(pack(options))
    return Resource.of(name, message)


def connect_timeout(limits: Limits | None) -> Duration:
    """How long a connection may take to be made."""
    if limits is None or limits.connect_timeout is None:
        return _CONNECT_TIMEOUT
    timeout = Duration()
    timeout.FromTimedelta(limits.connect_timeout)
    return timeout


def _http(*, two: bool, limits: Limits | None = None) -> UpstreamHttp:
    """HTTP/2 between sidecars; HTTP/1.1 as soon as an app may be at the other end (unless it speaks gRPC)."""
    explicit = UpstreamHttp.ExplicitHttpConfig(
        http2_protocol_options=Http2ProtocolOptions() if two else None,
        http_protocol_options=None if two else Http1ProtocolOptions(),
    )
    common = HttpProtocolOptions(max_connection_duration=_CONNECTION_LIFE)
    if limits and limits.requests_per_connection:
        common.max_requests_per_connection.value = limits.requests_per_connection
    return UpstreamHttp(
        common_http_protocol_options=common,
        explicit_http_config=explicit,
    )


_ONE_REQUEST_EACH = UpstreamHttp(
    common_http_protocol_options=HttpProtocolOptions(max_requests_per_connection=UInt32Value(value=1)),
    explicit_http_config=UpstreamHttp.ExplicitHttpConfig(http_protocol_options=Http1ProtocolOptions()),
)
"""For the app beside: one that ends, or tires of an idle connection, closes it just as the next request is
sent, and nobody can tell whether it was acted upon. A refused connection can be told, and tried elsewhere.
"""


def _by_metadata(tls: TransportSocket) -> list[Cluster.TransportSocketMatch]:
    plain = TransportSocket(name="envoy.transport_sockets.raw_buffer", typed_config=pack(RawBuffer()))
    meshed = Struct(fields={"mtls": Value(bool_value=True)})
    return [
        Cluster.TransportSocketMatch(name="mtls", match=meshed, transport_socket=tls),
        Cluster.TransportSocketMatch(name="plain", match=Struct(), transport_socket=plain),
    ]
