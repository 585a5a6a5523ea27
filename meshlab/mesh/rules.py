"""What may be asked for? Matches, route groups, permissions and splits, as facts.

A policy language (SMI, later others) reads its objects into these; nothing below this line knows YAML.
"""

from __future__ import annotations

from dataclasses import dataclass

from meshlab.mesh.identity import Identity
from meshlab.mesh.service import ServiceName


@dataclass(frozen=True, slots=True, order=True)
class HttpMatch:
    """One set of conditions on a request, all of which must hold (SMI H5, H7, H10)."""

    name: str
    path_regex: str | None = None
    """Matched in full against the path without its query (SMI H2, H3). None: any path."""
    methods: frozenset[str] = frozenset()
    """Upper case. Empty: any method (SMI H4, H5)."""
    headers: tuple[tuple[str, str], ...] = ()
    """Lower-case header name and a regular expression its whole value must match, sorted by name.

    The host is called ``:authority`` (SMI H9).
    """


@dataclass(frozen=True, slots=True, order=True)
class HttpRule:
    """Requests that satisfy any of these matches. `matches` is empty when the route group does not exist."""

    route: str
    """``namespace/name`` of the HTTPRouteGroup, for explanations."""
    matches: tuple[HttpMatch, ...]
    dangling: bool = False
    """The route object, or a match it names, does not exist: the missing part admits nothing."""


@dataclass(frozen=True, slots=True, order=True)
class TcpRule:
    """Connections to any of these target ports; an empty tuple means every port (SMI A12)."""

    route: str
    ports: tuple[int, ...] = ()
    dangling: bool = False


@dataclass(frozen=True, slots=True, order=True)
class Permission:
    """One TrafficTarget: these sources may reach this destination, by these rules.

    The L4 part holds when `tcp_rules` is empty or one of them admits the port; the L7 part when `http_rules`
    is empty or one of them admits the request. Both must hold (SMI A3, A11).
    """

    name: str
    """``namespace/name`` of the TrafficTarget."""
    destination: Identity
    sources: frozenset[Identity]
    http_rules: tuple[HttpRule, ...] = ()
    tcp_rules: tuple[TcpRule, ...] = ()
    udp_only: bool = False
    """Its only rules are UDPRoutes: it opens no TCP port (SMI A13)."""
    kind: str = "TrafficTarget"
    """What it was written as: OSM's IngressBackend lets proxies in, too."""

    @property
    def title(self) -> str:
        """Kind and name, for people."""
        return f"{self.kind} {self.name}"

    @property
    def policy(self) -> str:
        """Its name among all kinds, as proxies report it: that of a TrafficTarget stands for itself."""
        return self.name if self.kind == "TrafficTarget" else self.title


@dataclass(frozen=True, slots=True, order=True)
class Backend:
    """One leaf of a split and its relative weight."""

    service: ServiceName
    weight: int


@dataclass(frozen=True, slots=True, order=True)
class Split:
    """One TrafficSplit: calls to `root` are shared among the backends by weight (SMI S1-S17)."""

    name: str
    """``namespace/name`` of the TrafficSplit."""
    root: ServiceName
    backends: tuple[Backend, ...]
    matches: tuple[HttpMatch, ...] | None = None
    """None: all requests. Otherwise only those that satisfy any of these; others go to the root (SMI S11)."""
