"""Which headers of a request are kept with the access log? Those that policies speak of, and no others.

Only then can a request be judged again later, by other policies. The names travel in routes, as rules do: a changed
access log would be a changed listener, and drain every connection.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from envoy.extensions.filters.http.header_to_metadata.v3.header_to_metadata_pb2 import Config
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import HttpFilter
from envoy.type.matcher.v3.regex_pb2 import RegexMatchAndSubstitute, RegexMatcher
from google.protobuf.any_pb2 import Any as Packed
from google.protobuf.struct_pb2 import Struct

from meshlab.dataplane.envoy.secrets import pack

FILTER = "envoy.filters.http.header_to_metadata"
_NAMESPACE = "meshlab.headers"
_ABSENT = "meshlab.absent"
"""That a header was looked for, and not there, is known; of others nothing is."""
_READABLE = RegexMatchAndSubstitute(
    pattern=RegexMatcher(google_re2=RegexMatcher.GoogleRE2(), regex=r"[^\x00-\x7f]"), substitution="?"
)
"""A log entry with bytes that are no UTF-8 could not be read, nor could those that are sent with it."""


def recording_filter() -> HttpFilter:
    """It keeps nothing but what a route says."""
    return HttpFilter(name=FILTER, typed_config=pack(Config()))


def keep(headers: Iterable[str]) -> Packed:
    """Have these headers kept."""
    rules = [
        Config.Rule(
            header=name,
            on_header_present=Config.KeyValuePair(
                metadata_namespace=_NAMESPACE, key=name, regex_value_rewrite=_READABLE
            ),
            on_header_missing=Config.KeyValuePair(metadata_namespace=_ABSENT, key=name, value="absent"),
        )
        for name in headers
    ]
    return pack(Config(request_rules=rules))


def kept(metadata: Mapping[str, Struct]) -> dict[str, str | None]:
    """The headers that were looked for in a request; None for one that was absent."""
    if _NAMESPACE not in metadata and _ABSENT not in metadata:
        return {}
    found: dict[str, str | None] = dict.fromkeys(metadata[_ABSENT].fields if _ABSENT in metadata else ())
    if _NAMESPACE in metadata:
        found |= {name: value.string_value for name, value in metadata[_NAMESPACE].fields.items()}
    return found
