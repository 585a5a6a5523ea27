"""Which requests are sent again? Those that surely reached no app (decision 0004), and what a Retry says."""

from __future__ import annotations

from datetime import timedelta

from envoy.config.core.v3.base_pb2 import HeaderValue, HeaderValueOption
from envoy.config.route.v3.route_components_pb2 import HeaderMatcher, RetryPolicy
from envoy.extensions.retry.host.previous_hosts.v3.previous_hosts_pb2 import PreviousHostsPredicate
from google.protobuf.duration_pb2 import Duration
from google.protobuf.wrappers_pb2 import UInt32Value

from meshlab.dataplane.envoy.secrets import pack
from meshlab.mesh.retry import RetryPolicy as MeshRetryPolicy

UNREACHED = "x-meshlab-unreached"
"""Set by the server's proxy on its own answer when the app could not be connected to."""

_SURELY_UNREACHED = ("connect-failure", "refused-stream", "reset-before-request", "retriable-headers")
_ATTEMPTS = 5
_PAUSE = timedelta(milliseconds=10)


def unreached_header() -> HeaderValueOption:
    """What the server's proxy adds to its answer when it could not connect to the app."""
    return HeaderValueOption(header=HeaderValue(key=UNREACHED, value="1"))


def retry_policy(policy: MeshRetryPolicy | None) -> RetryPolicy:
    """What is sent again, and how often. A Retry's number and pauses count for all of its requests' failures."""
    if policy is None:
        return _UNREACHED_ONLY
    on = dict.fromkeys((*_SURELY_UNREACHED, *policy.on))
    return _policy(tuple(on), policy.attempts, policy.base_interval, policy.per_try_timeout)


def _policy(
    on: tuple[str, ...], attempts: int, pause: timedelta, per_try_timeout: timedelta = timedelta()
) -> RetryPolicy:
    return RetryPolicy(
        retry_on=",".join(on),
        retriable_headers=[HeaderMatcher(name=UNREACHED, present_match=True)],
        num_retries=UInt32Value(value=attempts),
        per_try_timeout=_duration(per_try_timeout) if per_try_timeout else None,
        retry_back_off=RetryPolicy.RetryBackOff(base_interval=_duration(pause)),
        retry_host_predicate=[
            RetryPolicy.RetryHostPredicate(
                name="envoy.retry_host_predicates.previous_hosts", typed_config=pack(PreviousHostsPredicate())
            )
        ],
        host_selection_retry_max_attempts=5,
    )


def _duration(length: timedelta) -> Duration:
    return Duration(seconds=length.days * 86400 + length.seconds, nanos=length.microseconds * 1000)


_UNREACHED_ONLY = _policy(_SURELY_UNREACHED, _ATTEMPTS, _PAUSE)
