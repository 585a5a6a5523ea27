"""Policies as short as the tests that need them. All are of namespace smi."""

from __future__ import annotations

from typing import Any

from meshlab.kube import Kind, Object
from meshlab.kube.objects import HTTP_ROUTE_GROUP, SERVICE, TCP_ROUTE, TRAFFIC_SPLIT, TRAFFIC_TARGET, UDP_ROUTE

TILL = {"kind": "ServiceAccount", "name": "till", "namespace": "smi"}
AUDITOR = {"kind": "ServiceAccount", "name": "auditor", "namespace": "smi-far"}


def target(
    name: str, *rules: dict[str, Any], sources: tuple[dict[str, str], ...] = (TILL,), destination: str = "prices"
) -> Object:
    to = {"kind": "ServiceAccount", "name": destination, "namespace": "smi"}
    return _object(TRAFFIC_TARGET, name, {"destination": to, "sources": list(sources), "rules": list(rules)})


def rule(kind: str, name: str, *matches: str) -> dict[str, Any]:
    return {"kind": kind, "name": name, **({"matches": list(matches)} if matches else {})}


def http(name: str, *matches: str) -> dict[str, Any]:
    return rule("HTTPRouteGroup", name, *matches)


def group(name: str, **matches: dict[str, Any]) -> Object:
    return _object(HTTP_ROUTE_GROUP, name, {"matches": [{"name": key, **match} for key, match in matches.items()]})


def tcp(name: str, *ports: int) -> Object:
    return _object(TCP_ROUTE, name, {"matches": {"ports": list(ports)}})


def udp(name: str, *ports: int) -> Object:
    return _object(UDP_ROUTE, name, {"matches": {"ports": list(ports)}})


def split(name: str, weights: dict[str, int], *groups: str, root: str = "prices") -> Object:
    matches = {"matches": [{"kind": "HTTPRouteGroup", "name": one} for one in groups]} if groups else {}
    backends = [{"service": service, "weight": weight} for service, weight in weights.items()]
    return _object(TRAFFIC_SPLIT, name, {"service": root, "backends": backends, **matches})


def service(name: str, selector: dict[str, str], *ports: dict[str, Any]) -> Object:
    return _object(SERVICE, name, {"selector": selector, "ports": list(ports)})


def _object(kind: Kind, name: str, spec: dict[str, Any]) -> Object:
    metadata = {"name": name, "namespace": "smi"}
    return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata, "spec": spec}


ANYTHING = group("anything", all={})
EVERYBODY = target("everybody", http("anything"), sources=(TILL, AUDITOR))
"""With `ANYTHING`: every request of both."""
EVERY_PORT = tcp("every-port")
CONNECTIONS = target("connections", rule("TCPRoute", "every-port"), sources=(TILL, AUDITOR))
"""With `EVERY_PORT`: every connection of both."""
