"""Whom do proxies call for themselves? A service that is asked about requests, and one that traces are told."""

from __future__ import annotations

from contextlib import suppress
from ipaddress import ip_address

from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.core.v3.config_source_pb2 import ApiVersion
from envoy.config.core.v3.grpc_service_pb2 import GrpcService
from envoy.config.core.v3.protocol_pb2 import Http2ProtocolOptions
from envoy.config.trace.v3.http_tracer_pb2 import Tracing
from envoy.config.trace.v3.zipkin_pb2 import ZipkinConfig
from envoy.extensions.filters.http.ext_authz.v3.ext_authz_pb2 import ExtAuthz
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpConnectionManager,
    HttpFilter,
)
from envoy.extensions.upstreams.http.v3.http_protocol_options_pb2 import HttpProtocolOptions
from google.protobuf.duration_pb2 import Duration

from meshlab.dataplane.envoy import names
from meshlab.dataplane.envoy.endpoints import assignment, at
from meshlab.dataplane.envoy.secrets import pack
from meshlab.mesh.proxy_settings import Collector, ExternalAuthorization
from meshlab.xds import Resource

_CONNECT_TIMEOUT = Duration(seconds=1)
_HTTP = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def authorization_filter(asked: ExternalAuthorization) -> HttpFilter:
    """Asks about every request that has come so far; without an answer it is refused, or let pass if so set."""
    timeout = Duration()
    timeout.FromTimedelta(asked.timeout)
    config = ExtAuthz(
        grpc_service=GrpcService(
            envoy_grpc=GrpcService.EnvoyGrpc(cluster_name=names.AUTHORIZATION_CLUSTER), timeout=timeout
        ),
        transport_api_version=ApiVersion.V3,
        failure_mode_allow=asked.allow_on_failure,
        stat_prefix=asked.stat_prefix,
    )
    return HttpFilter(name="envoy.filters.http.ext_authz", typed_config=pack(config))


def authorization_cluster(asked: ExternalAuthorization) -> Resource:
    """Where that service is. It speaks gRPC, in plain."""
    message = _cluster(names.AUTHORIZATION_CLUSTER, asked.host, asked.port)
    explicit = HttpProtocolOptions.ExplicitHttpConfig(http2_protocol_options=Http2ProtocolOptions())
    message.typed_extension_protocol_options[_HTTP].CopyFrom(pack(HttpProtocolOptions(explicit_http_config=explicit)))
    return Resource.of(names.AUTHORIZATION_CLUSTER, message)


def tracing(collector: Collector) -> HttpConnectionManager.Tracing:
    """Every request is told, as a span; apps join them by passing the ``x-b3-`` headers on."""
    config = ZipkinConfig(
        collector_cluster=names.TRACING_CLUSTER,
        collector_endpoint=collector.path,
        collector_endpoint_version=ZipkinConfig.HTTP_JSON,
        collector_hostname=collector.host,
        trace_id_128bit=True,
    )
    return HttpConnectionManager.Tracing(provider=Tracing.Http(name="envoy.tracers.zipkin", typed_config=pack(config)))


def tracing_cluster(collector: Collector) -> Resource:
    """Where traces are sent, in plain."""
    return Resource.of(names.TRACING_CLUSTER, _cluster(names.TRACING_CLUSTER, collector.host, collector.port))


def _cluster(name: str, host: str, port: int) -> Cluster:
    """One place outside of the mesh, by address or by name."""
    kind = Cluster.STRICT_DNS
    with suppress(ValueError):
        ip_address(host)
        kind = Cluster.STATIC
    return Cluster(
        name=name,
        type=kind,
        connect_timeout=_CONNECT_TIMEOUT,
        dns_lookup_family=Cluster.V4_PREFERRED,
        load_assignment=assignment(name, [at(host, port)]),
    )
