"""How are permissions written in SMI? Facts back into objects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from meshlab.kube import Object
from meshlab.kube.objects import HTTP_ROUTE_GROUP, TCP_ROUTE
from meshlab.mesh.rules import Permission
from meshlab.policy.smi.edit import route_group, target, tcp_route


def written(permissions: Iterable[Permission]) -> list[Object]:
    """The route objects of each permission, then the TrafficTarget that names them."""
    return [obj for permission in permissions for obj in _objects(permission)]


def _objects(permission: Permission) -> Iterator[Object]:
    rules: list[dict[str, Any]] = []
    for http in permission.http_rules:
        yield route_group(http.route, http.matches)
        rules.append({"kind": HTTP_ROUTE_GROUP.kind, "name": http.route.partition("/")[2]})
    for tcp in permission.tcp_rules:
        yield tcp_route(tcp.route, tcp.ports)
        rules.append({"kind": TCP_ROUTE.kind, "name": tcp.route.partition("/")[2]})
    yield target(permission.name, permission.destination, permission.sources, rules)
