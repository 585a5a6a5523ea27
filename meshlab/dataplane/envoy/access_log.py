"""What do proxies tell of each request, and what does it mean? The log's configuration and its reader.

Both stand together because one must ask for what the other reads.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from envoy.config.accesslog.v3.accesslog_pb2 import AccessLog
from envoy.config.core.v3.base_pb2 import RequestMethod
from envoy.config.core.v3.config_source_pb2 import ApiVersion
from envoy.config.core.v3.grpc_service_pb2 import GrpcService
from envoy.data.accesslog.v3.accesslog_pb2 import (
    AccessLogCommon,
    AccessLogType,
    HTTPAccessLogEntry,
    TCPAccessLogEntry,
    TLSProperties,
)
from envoy.extensions.access_loggers.grpc.v3.als_pb2 import (
    CommonGrpcAccessLogConfig,
    HttpGrpcAccessLogConfig,
    TcpGrpcAccessLogConfig,
)
from envoy.service.accesslog.v3.als_pb2 import StreamAccessLogsMessage
from envoy.type.tracing.v3.custom_tag_pb2 import CustomTag
from google.protobuf.duration_pb2 import Duration

from meshlab.dataplane.base import Reporter, WorkloadAt
from meshlab.dataplane.envoy import names
from meshlab.dataplane.envoy.flags import meaning
from meshlab.dataplane.envoy.recording import kept
from meshlab.dataplane.envoy.secrets import pack
from meshlab.mesh.exchange import Exchange, Side
from meshlab.mesh.identity import Identity

_FLUSH = Duration(nanos=250_000_000)
"""A live plot moves twice a second; entries wait at most half of that."""

_NOTHING = "-"
"""What Envoy writes where there is nothing to say."""
_TAGS = {
    "flags": "%RESPONSE_FLAGS%",
    "workload": f"%UPSTREAM_METADATA({names.METADATA}:workload)%",
    "upstream_peer": "%UPSTREAM_PEER_URI_SAN%",
    "upstream_tls": "%UPSTREAM_TLS_VERSION%",
    "peer_serial": "%DOWNSTREAM_PEER_SERIAL%",
}
"""What an entry has no field for."""
_VIA_UPSTREAM = "via_upstream"
"""The details of an answer that is not this proxy's own: they say nothing about why."""
_SIDE = "side"
_RBAC = "envoy.filters.http.rbac"
_POLICY = "enforced_effective_policy_id"
_DENIED = "rbac_access_denied"


def http_log(side: Side) -> AccessLog:
    """The access log of a listener for HTTP."""
    config = HttpGrpcAccessLogConfig(common_config=_common(side))
    return AccessLog(name="envoy.access_loggers.http_grpc", typed_config=pack(config))


def tcp_log(side: Side) -> AccessLog:
    """The access log of a listener for anything else."""
    config = TcpGrpcAccessLogConfig(common_config=_common(side))
    return AccessLog(name="envoy.access_loggers.tcp_grpc", typed_config=pack(config))


def read(log: StreamAccessLogsMessage, reporter: Reporter, workload_at: WorkloadAt) -> Iterator[Exchange]:
    """Each entry of a message as an exchange."""
    for request in log.http_logs.log_entry:
        yield _exchange(request.common_properties, reporter, workload_at, _http(request))
    for connection in log.tcp_logs.log_entry:
        yield _exchange(connection.common_properties, reporter, workload_at, _tcp(connection))


def _exchange(
    common: AccessLogCommon, reporter: Reporter, workload_at: WorkloadAt, particulars: dict[str, Any]
) -> Exchange:
    tags = {tag: value for tag, value in common.custom_tags.items() if value != _NOTHING}
    side = Side(tags[_SIDE])
    ends = (
        _client_side(common, tags, reporter, workload_at)
        if side is Side.CLIENT
        else _server_side(common, tags, reporter, workload_at)
    )
    flags = tuple(filter(None, tags.get("flags", "").split(",")))
    return Exchange(
        side=side,
        time=common.start_time.seconds + common.start_time.nanos / 1e9,
        reporter=reporter.workload,
        duration_ms=common.duration.seconds * 1e3 + common.duration.nanos / 1e6,
        flags=flags,
        under_way=common.access_log_type == AccessLogType.TcpUpstreamConnected,
        refused=_DENIED in particulars["details"],
        meaning=meaning(flags, particulars["details"]),
        allowed_by=_policy(common),
        headers=kept(common.metadata.filter_metadata),
        **ends,
        **particulars,
    )


def _client_side(
    common: AccessLogCommon, tags: dict[str, str], reporter: Reporter, workload_at: WorkloadAt
) -> dict[str, Any]:
    # A pod that was dialled itself carries no metadata: it is known by the address.
    dialled = common.upstream_remote_address.socket_address.address
    return {
        "source": reporter.identity,
        "source_workload": reporter.workload,
        "destination": Identity.from_spiffe_id(tags.get("upstream_peer", "")),
        "destination_workload": tags.get("workload") or workload_at(dialled),
        "upstream": common.upstream_cluster.removesuffix(names.DIRECT),
        "tls_version": tags.get("upstream_tls", ""),
    }


def _server_side(
    common: AccessLogCommon, tags: dict[str, str], reporter: Reporter, workload_at: WorkloadAt
) -> dict[str, Any]:
    tls = common.tls_properties
    peer = next((name.uri for name in tls.peer_certificate_properties.subject_alt_name if name.uri), "")
    return {
        "source": Identity.from_spiffe_id(peer),
        "source_workload": workload_at(common.downstream_direct_remote_address.socket_address.address),
        "destination": reporter.identity,
        "destination_workload": reporter.workload,
        "upstream": _upstream_of(tls.tls_sni_hostname),
        "tls_version": _TLS_NAMES.get(tls.tls_version, ""),
        "peer_serial": tags.get("peer_serial", ""),
    }


def _http(entry: HTTPAccessLogEntry) -> dict[str, Any]:
    request, response = entry.request, entry.response
    return {
        "method": RequestMethod.Name(request.request_method) if request.request_method else "",
        "path": request.original_path or request.path,
        "authority": request.authority,
        "status": response.response_code.value,
        "bytes_sent": response.response_body_bytes,
        "bytes_received": request.request_body_bytes,
        "details": response.response_code_details.removeprefix(_VIA_UPSTREAM),
        "request_id": request.request_id,
    }


def _tcp(entry: TCPAccessLogEntry) -> dict[str, Any]:
    sizes = entry.connection_properties
    # What was dialled stands for the authority, which a connection without HTTP does not name.
    dialled = entry.common_properties.downstream_local_address.socket_address
    return {
        "authority": f"{dialled.address}:{dialled.port_value}" if dialled.address else "",
        "bytes_sent": sizes.sent_bytes,
        "bytes_received": sizes.received_bytes,
        "details": entry.common_properties.connection_termination_details,
    }


def _policy(common: AccessLogCommon) -> str:
    fields = common.metadata.filter_metadata[_RBAC].fields if _RBAC in common.metadata.filter_metadata else {}
    policy = fields[_POLICY].string_value if _POLICY in fields else ""
    return "" if policy == names.PERMISSIVE else policy


def _upstream_of(sni: str) -> str:
    """The Service port that an SNI names (`Upstream.sni`, read backwards)."""
    port, _, host = sni.partition(".")
    service, _, rest = host.partition(".")
    namespace = rest.partition(".")[0]
    return f"{namespace}/{service}|{port}" if namespace and port.isdecimal() else ""


_TLS_NAMES = {
    TLSProperties.TLSv1_2: "TLSv1.2",
    TLSProperties.TLSv1_3: "TLSv1.3",
}


def _common(side: Side) -> CommonGrpcAccessLogConfig:
    controller = GrpcService.EnvoyGrpc(cluster_name=names.CONTROLLER_CLUSTER)
    return CommonGrpcAccessLogConfig(
        log_name="meshlab",
        grpc_service=GrpcService(envoy_grpc=controller),
        transport_api_version=ApiVersion.V3,
        buffer_flush_interval=_FLUSH,
        custom_tags=[
            CustomTag(tag=_SIDE, literal=CustomTag.Literal(value=side.value)),
            *(CustomTag(tag=tag, value=value) for tag, value in _TAGS.items()),
        ],
    )
