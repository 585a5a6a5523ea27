"""Who may come in from outside the mesh, and by which way? Doors in workloads, and the routes of the gateway."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from meshlab.mesh.identity import Identity
from meshlab.mesh.rules import HttpMatch, HttpRule, Permission, TcpRule
from meshlab.mesh.service import Endpoint, ServiceName

INGRESS_BACKEND = "IngressBackend"


@dataclass(frozen=True, slots=True, order=True)
class IngressRule:
    """One backend of an IngressBackend: who reaches this port of this Service's pods from outside.

    A Service among the sources stands for the pods behind it: by their identity where they have a proxy of the
    mesh, else by their address. Addresses and principals both have to fit where both are given, as in OSM; proxies
    of the mesh need but be one of those named.
    """

    name: str
    """``namespace/name`` of the IngressBackend."""
    service: ServiceName
    port: int
    """The target port: the one the app listens on."""
    services: tuple[ServiceName, ...] = ()
    ranges: tuple[str, ...] = ()
    """Address ranges such as ``10.0.0.0/8``."""
    principals: tuple[str, ...] = ()
    """SPIFFE ids."""
    tls: bool = False
    """Callers speak TLS, and are shown the workload's certificate."""
    asks_client: bool = True
    """With `tls`: callers have to show a certificate that proves one of the principals."""
    sni_hosts: tuple[str, ...] = ()
    """With `tls`: the names that callers may ask for; none: any."""
    matches: tuple[HttpMatch, ...] | None = None
    """Only requests that satisfy any of these. None: all."""


@dataclass(frozen=True, slots=True, order=True)
class Door:
    """A way into one port of a workload, past no proxy of a caller's: `IngressRule` with its Services looked up."""

    name: str
    ranges: tuple[str, ...] | None
    """None: from any address."""
    tls: bool = False
    principals: tuple[str, ...] = ()
    """None: no certificate is asked for."""
    sni_hosts: tuple[str, ...] = ()
    matches: tuple[HttpMatch, ...] | None = None


@dataclass(frozen=True, slots=True, order=True)
class GatewayRoute:
    """One path of an Ingress: what the gateway sends where."""

    name: str
    """``namespace/name`` of the Ingress."""
    host: str
    """Empty: every host that no other route names. ``*.example.com``: that and one label more."""
    path: str
    exact: bool
    """Else the path and all that is below it."""
    service: ServiceName
    port: int


Behind = Mapping[ServiceName, tuple[Endpoint, ...]]
"""Who is behind a Service, in the mesh or not."""


def door(rule: IngressRule, behind: Behind) -> Door | None:
    """The door that a rule opens for callers without a proxy of the mesh; None when it opens none."""
    strangers = {_alone(item.address) for item in _endpoints(rule, behind) if not item.meshed}
    ranges = tuple(sorted(strangers.union(rule.ranges))) if rule.services or rule.ranges else None
    principals = rule.principals if rule.tls and rule.asks_client else ()
    if ranges == () or (ranges is None and not principals) or (rule.tls and rule.asks_client and not principals):
        return None
    return Door(rule.name, ranges, rule.tls, principals, rule.sni_hosts if rule.tls else (), rule.matches)


def permissions(rule: IngressRule, pods: Iterable[Endpoint], behind: Behind) -> Iterable[Permission]:
    """What a rule allows proxies of the mesh, the gateway's above all, at the pods of its backend."""
    meshed = {item.identity for item in _endpoints(rule, behind) if item.meshed and item.identity}
    named = {identity for uri in rule.principals if (identity := Identity.from_spiffe_id(uri))}
    sources = frozenset(meshed | named)
    if not sources:
        return
    for destination in sorted({pod.identity for pod in pods if pod.meshed and pod.identity and pod.port == rule.port}):
        yield Permission(
            name=rule.name,
            destination=destination,
            sources=sources,
            http_rules=() if rule.matches is None else (HttpRule(rule.name, rule.matches),),
            tcp_rules=(TcpRule(rule.name, (rule.port,)),),
            kind=INGRESS_BACKEND,
        )


def _endpoints(rule: IngressRule, behind: Behind) -> Iterable[Endpoint]:
    return (endpoint for service in rule.services for endpoint in behind.get(service, ()))


def _alone(address: str) -> str:
    return f"{address}/{128 if ':' in address else 32}"
