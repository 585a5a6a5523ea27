"""Where does a call to a Service end up, and what is decided there?

A caller names a Service; a split may send the call elsewhere, and each pod that may take it has its own port and
perhaps its own identity. So one question can have several answers: here they are, each with its share.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from meshlab.mesh.decide import decide, satisfies
from meshlab.mesh.decision import Decision, Request
from meshlab.mesh.identity import Identity
from meshlab.mesh.service import ServiceName, ServicePort
from meshlab.mesh.view import Upstream
from meshlab.mesh.world import World


@dataclass(frozen=True, slots=True)
class Call:
    """One request as its caller makes it: by Service and Service port."""

    source: Identity | None
    """None: the caller has no sidecar."""
    service: ServiceName
    port: int
    method: str = "GET"
    path: str = "/"
    headers: Mapping[str, str] = field(default_factory=dict)


class Obstacle(StrEnum):
    """Why nobody is asked whether a call may pass."""

    NO_ENDPOINT = "no pod is ready behind it"
    NO_SIDECAR = "its pods have no sidecar, and permissive mode and egress are off: no proxy sends anything there"
    UNGUARDED = "its pods have no sidecar: the call passes as it is, and no policy is asked"


@dataclass(frozen=True, slots=True)
class Arrival:
    """One of the places a call may end up at: its share of the calls, and what is decided there."""

    upstream: Upstream
    share: float
    """0…1."""
    decision: Decision | None = None
    obstacle: Obstacle | None = None
    """Instead of a decision."""

    @property
    def allowed(self) -> bool:
        """Whether the call gets through."""
        return self.decision.allowed if self.decision else self.obstacle is Obstacle.UNGUARDED


def arrivals(world: World, call: Call) -> tuple[Arrival, ...]:
    """Everywhere the call may end up, the largest share first. Nowhere when the Service or its port isn't there.

    A caller without a sidecar knows nothing of splits (SMI S2): it calls the Service itself.
    """
    service = world.service_by_name.get(call.service)
    if service is None or service.port(call.port) is None:
        return ()
    found = [
        arrival
        for upstream, share in _shares(world, call, Upstream(call.service, call.port)).items()
        for arrival in _at(world, call, upstream, share)
    ]
    return tuple(sorted(found, key=lambda item: (-item.share, item.upstream)))


def _shares(world: World, call: Call, upstream: Upstream) -> dict[Upstream, float]:
    if call.source is None:
        return {upstream: 1.0}
    routes = next(outbound.routes for outbound in world.outbound if outbound.upstream == upstream)
    request = Request(call.source, call.source, call.port, call.method, call.path, _with_host(call))
    backends = next(
        route.backends
        for route in routes
        if route.matches is None or any(satisfies(request, match) for match in route.matches)
    )
    total = sum(weight for _, weight in backends)
    return {backend: weight / total for backend, weight in backends if weight}


def _at(world: World, call: Call, upstream: Upstream, share: float) -> list[Arrival]:
    """What happens at one Service port: decisions differ where its pods' identities or ports do."""
    service = world.service_by_name[upstream.service]
    port = service.port(upstream.port)
    if port is None or not port.endpoints:
        return [Arrival(upstream, share, obstacle=Obstacle.NO_ENDPOINT)]
    reached = [endpoint for endpoint in port.endpoints if endpoint.meshed or world.permissive or world.egress]
    if not reached:
        return [Arrival(upstream, share, obstacle=Obstacle.NO_SIDECAR)]
    kinds = Counter((endpoint.identity if endpoint.meshed else None, endpoint.port) for endpoint in reached)
    return [
        Arrival(upstream, share * count / len(reached), obstacle=Obstacle.UNGUARDED)
        if identity is None
        else Arrival(upstream, share * count / len(reached), decide(world, _request(call, identity, target, port)))
        for (identity, target), count in sorted(kinds.items(), key=str)
    ]


def _request(call: Call, destination: Identity, target: int, port: ServicePort) -> Request:
    is_http = port.protocol.is_http
    return Request(call.source, destination, target, call.method, call.path, _with_host(call), is_http)


def _with_host(call: Call) -> dict[str, str]:
    """Every request says whom it is for, whether or not the person who asks did."""
    names = {name.lower() for name in call.headers}
    host = (
        {} if names & {"host", ":authority"} else {"host": f"{call.service.name}.{call.service.namespace}:{call.port}"}
    )
    return {**host, **call.headers}
