"""How is a small change of policy written in SMI? Edits (`meshlab.mesh.remedy`) become changed and new objects."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from copy import deepcopy
from functools import singledispatchmethod
from typing import Any

from meshlab.kube import Object
from meshlab.kube.objects import HTTP_ROUTE_GROUP, TCP_ROUTE, TRAFFIC_TARGET, Kind
from meshlab.mesh.identity import Identity
from meshlab.mesh.remedy import AddMatch, AddMethod, AddPort, AddSource, Edit, NewPermission
from meshlab.mesh.rules import HttpMatch
from meshlab.policy.objects import Objects


def edited(objects: Iterable[Object], edits: Iterable[Edit]) -> list[Object]:
    """The objects that the edits change or make, routes before what names them; those given stay as they are.

    An edit of an object that isn't there and can't be made from the edit alone changes nothing.
    """
    desk = _Desk(objects)
    for edit in edits:
        desk.make(edit)
    order = [kind.kind for kind in (HTTP_ROUTE_GROUP, TCP_ROUTE, TRAFFIC_TARGET)]
    return sorted(desk.changed.values(), key=lambda obj: order.index(obj["kind"]))


def target(name: str, destination: Identity, sources: Iterable[Identity], rules: list[dict[str, Any]]) -> Object:
    """A TrafficTarget. `name` is ``namespace/name``."""
    spec = {
        "destination": subject(destination),
        "sources": [subject(source) for source in sorted(sources)],
        "rules": rules,
    }
    return _object(TRAFFIC_TARGET, name, spec)


def route_group(name: str, matches: Iterable[HttpMatch]) -> Object:
    """An HTTPRouteGroup."""
    return _object(HTTP_ROUTE_GROUP, name, {"matches": [_match(match) for match in matches]})


def tcp_route(name: str, ports: Iterable[int]) -> Object:
    """A TCPRoute."""
    return _object(TCP_ROUTE, name, {"matches": {"ports": sorted(ports)}})


def subject(identity: Identity) -> dict[str, str]:
    """An identity, as a TrafficTarget names it."""
    return {"kind": "ServiceAccount", "name": identity.service_account, "namespace": identity.namespace}


class _Desk:
    """The objects as they are, and as edited so far."""

    def __init__(self, objects: Iterable[Object]) -> None:
        self._known = Objects(objects)
        self.changed: dict[tuple[str, str], Object] = {}

    @singledispatchmethod
    def make(self, edit: Edit) -> None:
        """Make one edit."""
        raise NotImplementedError(edit)

    @make.register
    def _source(self, edit: AddSource) -> None:
        if obj := self._find(TRAFFIC_TARGET, edit.permission):
            obj["spec"]["sources"].append(subject(edit.source))

    @make.register
    def _port(self, edit: AddPort) -> None:
        obj = self._find(TCP_ROUTE, edit.route, lambda: tcp_route(edit.route, ()))
        if obj:
            obj["spec"]["matches"]["ports"].append(edit.port)

    @make.register
    def _method(self, edit: AddMethod) -> None:
        obj = self._find(HTTP_ROUTE_GROUP, edit.route)
        for match in obj["spec"]["matches"] if obj else ():
            if match["name"] == edit.match:
                match["methods"].append(edit.method)

    @make.register
    def _add_match(self, edit: AddMatch) -> None:
        group = self._find(HTTP_ROUTE_GROUP, edit.route, lambda: route_group(edit.route, ()))
        if group is None:
            return
        name = _free(edit.match.name, {match["name"] for match in group["spec"]["matches"]})
        group["spec"]["matches"].append({**_match(edit.match), "name": name})
        before = self._known.get(TRAFFIC_TARGET.kind, *edit.permission.split("/", 1))
        rules = before["spec"]["rules"] if before else []
        numbers = [number for number, rule in enumerate(rules) if _is(rule, HTTP_ROUTE_GROUP, edit.route)]
        if numbers and all(rules[number].get("matches") for number in numbers):
            permission = self._find(TRAFFIC_TARGET, edit.permission)
            if permission:
                permission["spec"]["rules"][numbers[0]]["matches"].append(name)

    @make.register
    def _permission(self, edit: NewPermission) -> None:
        kind = HTTP_ROUTE_GROUP if edit.match else TCP_ROUTE
        name = self._free_name(edit.name, kind)
        route = route_group(name, [edit.match]) if edit.match else tcp_route(name, [edit.port])
        rule = {"kind": kind.kind, "name": name.partition("/")[2]}
        for obj in (route, target(name, edit.destination, [edit.source], [rule])):
            self.changed[obj["kind"], name] = obj

    def _find(self, kind: Kind, name: str, new: Callable[[], Object] | None = None) -> Object | None:
        """A copy of an object to be changed, or a new one where it is missing."""
        key = kind.kind, name
        if key not in self.changed:
            obj = self._known.get(kind.kind, *name.split("/", 1))
            if obj is None and new is None:
                return None
            self.changed[key] = deepcopy(obj) if obj else new()  # type: ignore[misc]
        return self.changed[key]

    def _free_name(self, name: str, route: Kind) -> str:
        namespace, _, wanted = name.partition("/")
        number, tried = 1, wanted
        while any(self._known.get(kind.kind, namespace, tried) for kind in (route, TRAFFIC_TARGET)):
            number += 1
            tried = f"{wanted}-{number}"
        return f"{namespace}/{tried}"


def _object(kind: Kind, name: str, spec: dict[str, Any]) -> Object:
    namespace, _, name = name.partition("/")
    return {
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    }


def _match(match: HttpMatch) -> dict[str, Any]:
    said: dict[str, Any] = {"name": match.name}
    if match.path_regex is not None:
        said["pathRegex"] = match.path_regex
    said["methods"] = sorted(match.methods) or ["*"]
    if match.headers:
        said["headers"] = [{name: value} for name, value in match.headers]
    return said


def _is(rule: dict[str, Any], kind: Kind, name: str) -> bool:
    return bool(rule["kind"] == kind.kind and rule["name"] == name.partition("/")[2])


def _free(name: str, taken: set[str]) -> str:
    tried, number = name, 1
    while tried in taken:
        number += 1
        tried = f"{name}-{number}"
    return tried
