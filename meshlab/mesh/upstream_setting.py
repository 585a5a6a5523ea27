"""How much may a Service be asked? Limits on what clients send to it, and rates at which its own proxies let in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from meshlab.mesh.service import ServiceName


@dataclass(frozen=True, slots=True, order=True)
class Rate:
    """So many in each period; `burst` more may come at once after a quiet time."""

    count: int
    seconds: int
    burst: int = 0


@dataclass(frozen=True, slots=True, order=True)
class RequestRate:
    """A rate of requests, and the answer to those beyond it."""

    rate: Rate
    status: int = 429
    headers: tuple[tuple[str, str], ...] = ()
    """Added to that answer."""


@dataclass(frozen=True, slots=True, order=True)
class Rates:
    """What each proxy of the Service lets in, all clients counted together."""

    name: str
    """``namespace/name`` of the setting."""
    connections: Rate | None = None
    requests: RequestRate | None = None
    routes: tuple[tuple[str, RequestRate], ...] = ()
    """Requests whose path matches a pattern in full have a rate of their own; the first that matches counts."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What each client's proxy sends to the Service at a time (circuit breaking). None: no limit."""

    connections: int | None = None
    pending_requests: int | None = None
    requests: int | None = None
    retries: int | None = None
    requests_per_connection: int | None = None
    connect_timeout: timedelta | None = None


@dataclass(frozen=True, slots=True)
class UpstreamSetting:
    """One UpstreamTrafficSetting."""

    name: str
    """``namespace/name`` of the UpstreamTrafficSetting."""
    host: str
    """Full name of a Service, or a host outside of the mesh that egress policies speak of."""
    service: ServiceName | None
    limits: Limits | None = None
    rates: Rates | None = None
