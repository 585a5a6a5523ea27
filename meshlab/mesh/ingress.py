"""Who may come in from outside the mesh, and by which way? Doors in workloads, and the routes of the gateway."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from meshlab.mesh.identity import Identity
from meshlab.mesh.latest import latest
from meshlab.mesh.rules import HttpMatch, HttpRule, Permission, TcpRule
from meshlab.mesh.service import Endpoint, Service, ServiceName

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
    """Empty: no certificate is asked for."""
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


def host_names(gateway: Identity, routes: Iterable[GatewayRoute]) -> tuple[str, ...]:
    """What the gateway's certificate is for: its own Service, which has the name of its account, and every host."""
    own = ServiceName(gateway.namespace, gateway.service_account)
    return (*own.hosts(), *sorted({route.host for route in routes if route.host}))


Callers = tuple[tuple[ServiceName, tuple[Endpoint, ...]], ...]
"""The pods behind each Service that rules name as a source, in the mesh or not."""


@latest
def doors(
    rules: tuple[IngressRule, ...], services: tuple[Service, ...], callers: Callers
) -> dict[tuple[str, int], tuple[Door, ...]]:
    """What rules open to callers without a proxy of the mesh, by workload (``namespace/name``) and port."""
    behind, found = dict(callers), defaultdict[tuple[str, int], set[Door]](set)
    for rule, pods in _with_pods(rules, services):
        if opened := _door(rule, behind):
            for pod in pods:
                found[pod.workload, pod.port].add(opened)
    return {where: tuple(sorted(opened, key=lambda item: item.name)) for where, opened in found.items()}


@latest
def ingress_permissions(
    rules: tuple[IngressRule, ...], services: tuple[Service, ...], callers: Callers
) -> tuple[Permission, ...]:
    """What rules allow proxies of the mesh, the gateway's above all, at the pods of their backends."""
    behind = dict(callers)
    return tuple(
        Permission(
            name=rule.name,
            destination=destination,
            sources=sources,
            http_rules=() if rule.matches is None else (HttpRule(rule.name, rule.matches),),
            tcp_rules=(TcpRule(rule.name, (rule.port,)),),
            kind=INGRESS_BACKEND,
        )
        for rule, pods in _with_pods(rules, services)
        if (sources := _meshed_sources(rule, behind))
        for destination in sorted({pod.identity for pod in pods if pod.meshed and pod.identity})
    )


def _with_pods(
    rules: tuple[IngressRule, ...], services: tuple[Service, ...]
) -> Iterator[tuple[IngressRule, list[Endpoint]]]:
    by_name = {service.name: service for service in services} if rules else {}
    for rule in rules:
        service = by_name.get(rule.service)
        ports = service.ports if service else ()
        yield rule, [pod for port in ports for pod in port.endpoints if pod.port == rule.port]


def _meshed_sources(rule: IngressRule, behind: Mapping[ServiceName, tuple[Endpoint, ...]]) -> frozenset[Identity]:
    meshed = {item.identity for item in _sources(rule, behind) if item.meshed and item.identity}
    named = {identity for uri in rule.principals if (identity := Identity.from_spiffe_id(uri))}
    return frozenset(meshed | named)


def _door(rule: IngressRule, behind: Mapping[ServiceName, tuple[Endpoint, ...]]) -> Door | None:
    strangers = {_alone(item.address) for item in _sources(rule, behind) if not item.meshed}
    ranges = tuple(sorted(strangers.union(rule.ranges))) if rule.services or rule.ranges else None
    asks = rule.tls and rule.asks_client
    if ranges == () or (asks and not rule.principals) or (not asks and ranges is None):
        return None
    principals = rule.principals if asks else ()
    return Door(rule.name, ranges, rule.tls, principals, rule.sni_hosts if rule.tls else (), rule.matches)


def _sources(rule: IngressRule, behind: Mapping[ServiceName, tuple[Endpoint, ...]]) -> Iterator[Endpoint]:
    return (endpoint for service in rule.services for endpoint in behind.get(service, ()))


def _alone(address: str) -> str:
    return f"{address}/{128 if ':' in address else 32}"
