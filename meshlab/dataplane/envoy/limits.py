"""How much is sent to a Service, and let in by it? Circuit breakers in clusters, token buckets in front of the app."""

from __future__ import annotations

from typing import Any

from envoy.config.cluster.v3.circuit_breaker_pb2 import CircuitBreakers
from envoy.config.core.v3.base_pb2 import HeaderValue, HeaderValueOption, RuntimeFractionalPercent
from envoy.config.listener.v3.listener_components_pb2 import Filter
from envoy.extensions.filters.http.local_ratelimit.v3.local_rate_limit_pb2 import LocalRateLimit as RequestLimit
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import HttpFilter
from envoy.extensions.filters.network.local_ratelimit.v3.local_rate_limit_pb2 import LocalRateLimit as ConnectionLimit
from envoy.type.v3.http_status_pb2 import HttpStatus
from envoy.type.v3.percent_pb2 import FractionalPercent
from envoy.type.v3.token_bucket_pb2 import TokenBucket
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.wrappers_pb2 import UInt32Value

from meshlab.dataplane.envoy.secrets import pack
from meshlab.mesh.upstream_setting import Limits, Rate, RequestRate

RATE_FILTER = "envoy.filters.http.local_ratelimit"

_NO_LIMIT = UInt32Value(value=2**32 - 1)
_ALWAYS = RuntimeFractionalPercent(default_value=FractionalPercent(numerator=100))


def circuit_breakers(limits: Limits | None) -> CircuitBreakers:
    """What nobody limits has no limit: Envoy's own (three retries at a time, 1,024 requests) are met by accident."""
    limits = limits or Limits()
    thresholds = CircuitBreakers.Thresholds(
        max_connections=_most(limits.connections),
        max_pending_requests=_most(limits.pending_requests),
        max_requests=_most(limits.requests),
        max_retries=_most(limits.retries),
    )
    return CircuitBreakers(thresholds=[thresholds])


def connection_rate(name: str, rate: Rate) -> Filter:
    """Closes connections beyond a rate, before a word is said on them."""
    config = ConnectionLimit(stat_prefix=name, token_bucket=_bucket(rate))
    return Filter(name="envoy.filters.network.local_ratelimit", typed_config=pack(config))


def rate_filter() -> HttpFilter:
    """Limits nothing by itself: rates travel in routes, so that they hold on connections that are open already."""
    return HttpFilter(name=RATE_FILTER, typed_config=pack(RequestLimit(stat_prefix="http_local_rate_limiter")))


def request_rate(rate: RequestRate) -> AnyMessage:
    """Answers requests beyond a rate; for routes, virtual hosts or all of a configuration's."""
    overwrite: Any = HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD
    return pack(
        RequestLimit(
            stat_prefix="http_local_rate_limiter",
            status=HttpStatus(code=rate.status),
            token_bucket=_bucket(rate.rate),
            filter_enabled=_ALWAYS,
            filter_enforced=_ALWAYS,
            response_headers_to_add=[
                HeaderValueOption(header=HeaderValue(key=key, value=value), append_action=overwrite)
                for key, value in rate.headers
            ],
        )
    )


def _bucket(rate: Rate) -> TokenBucket:
    return TokenBucket(
        max_tokens=rate.count + rate.burst,
        tokens_per_fill=UInt32Value(value=rate.count),
        fill_interval=Duration(seconds=rate.seconds),
    )


def _most(limit: int | None) -> UInt32Value:
    return _NO_LIMIT if limit is None else UInt32Value(value=limit)
