"""How does a listener speak HTTP? The connection manager, outbound and inbound."""

from __future__ import annotations

from functools import lru_cache

from envoy.config.accesslog.v3.accesslog_pb2 import AccessLogFilter, ResponseFlagFilter
from envoy.config.core.v3.protocol_pb2 import Http1ProtocolOptions
from envoy.config.listener.v3.listener_components_pb2 import Filter
from envoy.extensions.filters.http.router.v3.router_pb2 import Router
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpConnectionManager,
    HttpFilter,
    LocalReplyConfig,
    Rds,
    ResponseMapper,
)
from google.protobuf.duration_pb2 import Duration
from google.protobuf.wrappers_pb2 import BoolValue

from meshlab.dataplane.envoy.access_log import http_log
from meshlab.dataplane.envoy.egress import lookup_filter
from meshlab.dataplane.envoy.helpers import authorization_filter, tracing
from meshlab.dataplane.envoy.limits import rate_filter
from meshlab.dataplane.envoy.rbac import deny_all
from meshlab.dataplane.envoy.recording import recording_filter
from meshlab.dataplane.envoy.retries import unreached_header
from meshlab.dataplane.envoy.routes import RBAC_FILTER
from meshlab.dataplane.envoy.secrets import ADS, pack
from meshlab.mesh.exchange import Side
from meshlab.mesh.proxy_settings import Collector, ProxySettings

_FILTER = "envoy.filters.network.http_connection_manager"
_NEVER = Duration()
_ROUTER = HttpFilter(name="envoy.filters.http.router", typed_config=pack(Router()))


@lru_cache(4096)
def outbound(routes: str, *, forward: bool = False, traces: Collector | None = None) -> Filter:
    """What the app sends. Absolute URLs are what an app writes that knows of its proxy; `forward` lets it
    name hosts outside the mesh. The path is normalised as it is where it comes in, so that a match means the
    same in a split as in a permission.
    """
    manager = HttpConnectionManager(
        stat_prefix="outbound",
        rds=Rds(route_config_name=routes, config_source=ADS),
        http_protocol_options=Http1ProtocolOptions(allow_absolute_url=BoolValue(value=True)),
        http_filters=[lookup_filter(), _ROUTER] if forward else [_ROUTER],
        access_log=[http_log(Side.CLIENT)],
        stream_idle_timeout=_NEVER,
        normalize_path=BoolValue(value=True),
        server_header_transformation=HttpConnectionManager.PASS_THROUGH,
        tracing=tracing(traces) if traces else None,
    )
    return Filter(name=_FILTER, typed_config=pack(manager))


def inbound(routes: str, settings: ProxySettings) -> Filter:
    """What other proxies send. The path is normalised before it is judged, so that what RBAC saw is what the
    app sees; the app is told the caller's identity in ``x-forwarded-client-cert``.
    """
    set_details = HttpConnectionManager.SetCurrentClientCertDetails(uri=True)
    manager = HttpConnectionManager(
        stat_prefix="inbound",
        rds=Rds(route_config_name=routes, config_source=ADS),
        http_filters=[
            recording_filter(),
            HttpFilter(name=RBAC_FILTER, typed_config=pack(deny_all())),
            rate_filter(),
            *([authorization_filter(settings.authorization)] if settings.authorization else ()),
            _ROUTER,
        ],
        access_log=[http_log(Side.SERVER)],
        stream_idle_timeout=_NEVER,
        normalize_path=BoolValue(value=True),
        server_header_transformation=HttpConnectionManager.PASS_THROUGH,
        forward_client_cert_details=HttpConnectionManager.SANITIZE_SET,
        set_current_client_cert_details=set_details,
        local_reply_config=LocalReplyConfig(mappers=[_UNREACHED]),
        tracing=tracing(settings.tracing) if settings.tracing else None,
    )
    return Filter(name=_FILTER, typed_config=pack(manager))


_UNREACHED = ResponseMapper(
    filter=AccessLogFilter(response_flag_filter=ResponseFlagFilter(flags=["UF"])),
    headers_to_add=[unreached_header()],
)
