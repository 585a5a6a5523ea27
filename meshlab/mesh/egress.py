"""What of the world outside may a workload call? Hosts and addresses, as facts."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from enum import StrEnum

from meshlab.mesh.identity import Identity
from meshlab.mesh.latest import latest
from meshlab.mesh.rules import HttpMatch
from meshlab.mesh.upstream_setting import Limits, UpstreamSetting


class EgressProtocol(StrEnum):
    """By what a call is told: HTTP by its host, HTTPS by the name in the TLS handshake, TCP by its address alone."""

    HTTP = "http"
    HTTPS = "https"
    TCP = "tcp"


@dataclass(frozen=True, slots=True, order=True)
class EgressPort:
    """A port outside, and what is spoken there."""

    number: int
    protocol: EgressProtocol


@dataclass(frozen=True, slots=True, order=True)
class EgressRule:
    """One Egress: these sources may call these hosts or addresses on these ports. Several are a union."""

    name: str
    """``namespace/name`` of the Egress."""
    sources: frozenset[Identity]
    ports: tuple[EgressPort, ...]
    hosts: tuple[str, ...] = ()
    """Lower case; ``*.example.com`` is every name that ends so. They mean nothing on a TCP port."""
    ranges: tuple[str, ...] = ()
    """Address ranges such as ``10.0.0.0/8``; none: every address."""
    matches: tuple[HttpMatch, ...] | None = None
    """On HTTP ports: only requests that satisfy any of these. None: all."""
    setting: str = ""
    """``namespace/name`` of the UpstreamTrafficSetting that it names."""
    limits: Limits | None = None
    """What each client's proxy sends out by this rule at a time."""


@latest
def rules_by_source(
    rules: tuple[EgressRule, ...], settings: tuple[UpstreamSetting, ...]
) -> dict[Identity, tuple[EgressRule, ...]]:
    """What each identity may call outside the mesh, in name order, with the limits that are set for it."""
    limits = {setting.name: setting.limits for setting in settings} if rules else {}
    grouped: dict[Identity, list[EgressRule]] = defaultdict(list)
    for rule in sorted(rules, key=lambda item: item.name):
        limited = replace(rule, limits=limits.get(rule.setting))
        for source in rule.sources:
            grouped[source].append(limited)
    return {identity: tuple(found) for identity, found in grouped.items()}
