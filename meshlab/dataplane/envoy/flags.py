"""What do Envoy's short words for what went wrong mean? Response flags and details, in sentences."""

from __future__ import annotations

_FLAGS = {
    "UH": "no healthy pod is behind the Service",
    "UF": "the caller's proxy could not connect to the server's, or the TLS handshake failed",
    "UO": "too many requests or connections were waiting already (circuit breaker)",
    "NR": "no route leads there: no Service of the mesh has this host and port, and egress is off",
    "NC": "the route names a Service port that the proxy knows nothing of",
    "URX": "it was tried again as often as is allowed, and never went well",
    "UC": "the server's side closed the connection before it answered",
    "UT": "no answer came in the time allowed",
    "UR": "the server's side reset the stream",
    "LR": "the proxy itself reset the stream",
    "LH": "the proxy failed its own health check: it was about to end",
    "DC": "the caller closed the connection before the answer was complete",
    "DR": "the caller reset the stream before the answer was complete",
    "DI": "a delay was injected on purpose (fault injection)",
    "FI": "an error was injected on purpose (fault injection)",
    "RL": "the limit on requests or connections per time was reached (rate limit)",
    "RLSE": "the rate limit service failed",
    "UAEX": "the external authorization service refused it",
    "IH": "a header that is looked at strictly had a wrong value",
    "SI": "nothing was said for too long",
    "DT": "it took longer than any request may",
    "UMSDR": "it took longer than any request may",
    "DPE": "the caller did not keep to the HTTP protocol",
    "UPE": "the server did not keep to the HTTP protocol",
    "OM": "the proxy was short of memory and turned it away (overload manager)",
    "DF": "the host's name could not be resolved",
    "DO": "the server's side is overloaded, and this was dropped (drop overload)",
}
"""Response flags: the proxy's reasons for an answer that is not the app's."""

_DETAILS = {
    "rbac_access_denied": "the server's proxy refused it: no policy admits the request",
    "local_rate_limited": "the limit on requests per time was reached (rate limit)",
    "request_rate_limited": "the limit on requests per time was reached (rate limit)",
    "ext_authz_denied": "the external authorization service refused it",
    "ext_authz_error": "the external authorization service could not be asked",
    "upstream_max_stream_duration_reached": "it took longer than any request may",
    "direct_response": "the caller's proxy answered by itself: the route says so",
    "certificate": "a certificate did not satisfy the other side: it refused the TLS handshake",
}
"""How details begin, or what they hold: more exact than flags where they are known."""


def meaning(flags: tuple[str, ...], details: str) -> str:
    """What went wrong, in plain words; empty when nothing is known to have."""
    said = next((words for word, words in _DETAILS.items() if word in details.lower()), "")
    return said or "; ".join(_FLAGS.get(flag, f"the proxy says {flag}") for flag in flags)
