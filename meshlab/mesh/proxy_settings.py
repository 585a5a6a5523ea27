"""What do all proxies of the mesh do alike?"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Tls:
    """What proxies offer and accept when they speak to each other. Empty lists: what the proxy thinks best."""

    oldest: str = "TLSv1_2"
    newest: str = "TLSv1_3"
    ciphers: tuple[str, ...] = ()
    """For TLS up to 1.2; later ones leave no choice."""
    curves: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ExternalAuthorization:
    """A service that is asked about every HTTP request which the policies let in (Envoy's ext_authz, by gRPC)."""

    host: str
    port: int
    stat_prefix: str = ""
    timeout: timedelta = timedelta(seconds=1)
    allow_on_failure: bool = False
    """Requests pass while it can't be reached."""


@dataclass(frozen=True, slots=True)
class Collector:
    """Where proxies send traces (Zipkin's API, as Jaeger and others take it, too)."""

    host: str
    port: int = 9411
    path: str = "/api/v2/spans"


@dataclass(frozen=True, slots=True)
class ProxySettings:
    """MeshConfig, as far as every proxy is told of it."""

    tls: Tls = Tls()
    authorization: ExternalAuthorization | None = None
    tracing: Collector | None = None
