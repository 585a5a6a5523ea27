"""Which route objects can be referred to, and what do they say?"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from meshlab.kube import Object
from meshlab.mesh.rules import HttpMatch
from meshlab.policy.objects import Objects
from meshlab.policy.report import Report
from meshlab.policy.smi import http_route_group, tcp_route


class Routes:
    """The sound route objects. One with an error counts as absent: what it was meant to say is not known."""

    def __init__(self, known: Objects) -> None:
        self._known = known
        self._http: dict[tuple[str, str], Mapping[str, HttpMatch] | None] = {}

    def exists(self, kind: str, namespace: str, name: str) -> bool:
        """Whether a route of that kind and name can be referred to."""
        if kind == "HTTPRouteGroup":
            return self.http(namespace, name) is not None
        if kind == "TCPRoute":
            return self.tcp(namespace, name) is not None
        return self._known.get(kind, namespace, name) is not None

    def http(self, namespace: str, name: str) -> Mapping[str, HttpMatch] | None:
        """The matches of an HTTPRouteGroup, by name."""
        key = namespace, name
        if key not in self._http:
            obj = self._known.get("HTTPRouteGroup", *key)
            self._http[key] = http_route_group.read(obj) if obj and _is_sound(obj, http_route_group.validate) else None
        return self._http[key]

    def tcp(self, namespace: str, name: str) -> tuple[int, ...] | None:
        """The ports of a TCPRoute; none means every port."""
        obj = self._known.get("TCPRoute", namespace, name)
        return tcp_route.read(obj) if obj and _is_sound(obj, tcp_route.validate) else None


def _is_sound(obj: Object, validate: Callable[[Object, Report], None]) -> bool:
    report = Report(obj)
    validate(obj, report)
    return not report.refused
