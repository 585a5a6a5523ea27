"""What was decided about a request, and how does one say it to a person?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from meshlab.mesh.identity import Identity
from meshlab.mesh.rules import Permission


@dataclass(frozen=True, slots=True)
class Request:
    """One request, or one connection where the port carries no HTTP."""

    source: Identity | None
    """None: the caller has no sidecar, so it can't prove who it is."""
    destination: Identity
    port: int
    """The target port: the one the app listens on."""
    method: str = "GET"
    path: str = "/"
    """As the client wrote it; a query may follow."""
    headers: Mapping[str, str] = field(default_factory=dict)
    is_http: bool = True


class Reason(StrEnum):
    """Why it was decided so, for programs."""

    PERMISSIVE = "permissive-mode"
    PERMITTED = "permitted"
    NO_IDENTITY = "caller-has-no-identity"
    NO_TARGET = "no-target-for-destination"
    NOT_A_SOURCE = "caller-not-a-source"
    NOT_ADMITTED = "no-rule-admits-it"


class Aspect(StrEnum):
    """What a condition is about."""

    SOURCE = "source"
    PORT = "port"
    PROTOCOL = "protocol"
    ROUTE = "route"
    """An HTTPRouteGroup, or a match in it, that isn't there."""
    TCP_ROUTE = "tcp-route"
    """A TCPRoute that isn't there."""
    PATH = "path"
    METHOD = "method"
    HEADER = "header"


@dataclass(frozen=True, slots=True, order=True)
class Miss:
    """One condition that did not hold: what was wanted, what came."""

    aspect: Aspect
    wanted: str
    got: str = ""
    header: str = ""
    route: str = ""
    """``namespace/name`` of the route object that has the condition."""
    match: str = ""
    """The match in that route object."""

    def __str__(self) -> str:
        match self.aspect:
            case Aspect.SOURCE:
                return f"{self.got} is not among its sources ({self.wanted})"
            case Aspect.PORT:
                return f"port {self.got} is not among its ports ({self.wanted})"
            case Aspect.PROTOCOL:
                return f"it allows {self.wanted} only, and this is {self.got}"
            case Aspect.ROUTE | Aspect.TCP_ROUTE:
                return f"{self.wanted} does not exist"
            case Aspect.HEADER:
                have = f"is {self.got!r}" if self.got else "is absent"
                return f"header {self.header} {have}, and {self.match} wants {self.wanted}"
        return f"the {self.aspect} is {self.got}, and {self.match} wants {self.wanted}"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A permission for the destination that did not admit the request, and the fewest conditions in the way.

    Where each of `misses` holds, the permission admits the request.
    """

    permission: Permission
    misses: tuple[Miss, ...]

    def __str__(self) -> str:
        return f"{self.permission.title}: {'; '.join(map(str, self.misses))}"


@dataclass(frozen=True, slots=True)
class Decision:
    """Allowed or refused, by what, and what was nearest to allowing it. `str()` says it in plain words."""

    request: Request
    reason: Reason
    permission: Permission | None = None
    """The permission that allowed it; the first by name if there are several, as the proxies report it."""
    route: str = ""
    """The HTTPRouteGroup that admitted it, ``namespace/name``; empty where none was asked for."""
    match: str = ""
    """The match in it."""
    candidates: tuple[Candidate, ...] = ()
    """When refused: the permissions that might have allowed it, nearest first."""

    @property
    def allowed(self) -> bool:
        """Whether it gets through."""
        return self.reason in {Reason.PERMISSIVE, Reason.PERMITTED}

    @property
    def nearest(self) -> Candidate | None:
        """The candidate with the fewest conditions in the way."""
        return self.candidates[0] if self.candidates else None

    def __str__(self) -> str:
        source, destination = self.request.source, self.request.destination
        match self.reason:
            case Reason.PERMISSIVE:
                return f"allowed: in permissive mode every meshed workload may call {destination}"
            case Reason.PERMITTED:
                by = f", by match {self.match} of {self.route}" if self.match else ""
                return f"allowed: {self.permission and self.permission.title} lets {source} in{by}"
            case Reason.NO_IDENTITY:
                return f"refused: the caller has no sidecar, so {destination} can't tell who it is"
            case Reason.NO_TARGET:
                return f"refused: no TrafficTarget has {destination} as its destination"
            case Reason.NOT_A_SOURCE:
                return f"refused: no TrafficTarget for {destination} has {source} among its sources"
        return f"refused: {self.nearest}"
