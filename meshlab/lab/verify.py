"""Is the chain from one workload to a Service whole, and if not, which link is broken?

Each link is looked at where it is known best: what runs, in the cluster; who has which certificate and acknowledged
which configuration, at the control plane; what that configuration says, in the world it was made from.
"""

from __future__ import annotations

from collections.abc import Iterable

from meshlab.lab import ready
from meshlab.lab.links import Link
from meshlab.lab.pod_links import goes_through, pod_link
from meshlab.lab.question import call_of, workloads_of
from meshlab.lab.seen import SYSTEM, Seen
from meshlab.mesh.call import Arrival, Call, arrivals
from meshlab.mesh.service import Workload
from meshlab.mesh.view import Upstream
from meshlab.mesh.world import World


def verify(seen: Seen, source: str, destination: str, request: str = "") -> Link:
    """The chain from `source` to `destination`, names as `explain` takes them.

    Without a `request` the policy has to admit some request of the caller's, whichever.
    """
    world = seen.known.world
    call = call_of(world, source, destination, request or "GET /")
    callers = workloads_of(world, source)
    reached = arrivals(world, call)
    servers = _servers(world, reached)
    target = Upstream(call.service, call.port)
    return Link(
        f"{source} → {call.service}:{call.port}",
        parts=(
            _control_plane(seen),
            *(
                pod_link(seen, workload, "caller", goes_through(seen, workload, target), _routes(world, target))
                for workload in callers
            ),
            _service(world, reached, servers, target),
            *(pod_link(seen, workload, "server", _listens(world, workload)) for workload in servers),
            _policy(world, call, reached, request=bool(request)),
        ),
    )


def _control_plane(seen: Seen) -> Link:
    hint = f"kubectl get pods -n {SYSTEM}"
    if not ready.rolled_out(seen.controller):
        what = "not ready" if seen.controller else "not installed"
        return Link("control plane", ok=False, reason=what, hint=hint)
    if seen.mesh is None:
        return Link("control plane", ok=False, reason=f"it gives no answer: {seen.trouble}", hint=hint)
    said = f"ready, {seen.mesh['connected']} of {seen.mesh['proxies']} proxies connected"
    return Link("control plane", ok=True, reason=said)


def _routes(world: World, target: Upstream) -> Link:
    service = next((item for item in world.outbound if item.upstream == target), None)
    if service is None:
        return Link("route", ok=False, reason=f"it knows no {target}", hint="kubectl get services -A")
    shares = ", ".join(f"{backend} {weight}" for backend, weight in service.routes[-1].backends)
    split = f", shared among {shares}" if len(service.routes[-1].backends) > 1 else ""
    return Link("route", ok=True, reason=f"to {target} ({service.protocol}){split}")


def _listens(world: World, workload: Workload) -> Link:
    ports = world.inbound.get(f"{workload.namespace}/{workload.name}", ())
    said = ", ".join(f"{port.port} ({port.protocol})" for port in ports)
    return Link("listener", ok=bool(ports), reason=f"takes calls for port {said}" if said else "no Service leads to it")


def _servers(world: World, reached: Iterable[Arrival]) -> list[Workload]:
    """The pods that calls may end up in."""
    found: dict[tuple[str, str], Workload] = {}
    for arrival in reached:
        port = world.service_by_name[arrival.upstream.service].port(arrival.upstream.port)
        for endpoint in port.endpoints if port else ():
            namespace, _, name = endpoint.workload.partition("/")
            if workload := world.workload_by_name.get((namespace, name)):
                found[namespace, name] = workload
    return [found[key] for key in sorted(found)]


def _service(world: World, reached: Iterable[Arrival], servers: list[Workload], target: Upstream) -> Link:
    empty = [str(arrival.upstream) for arrival in reached if not _endpoints(world, arrival.upstream)]
    name = f"Service {target.service}"
    if empty:
        hint = (
            f"kubectl get endpointslices -n {target.service.namespace}; kubectl get pods -n {target.service.namespace}"
        )
        return Link(name, ok=False, reason=f"no pod is ready behind {', '.join(empty)}", hint=hint)
    return Link(name, ok=True, reason=f"port {target.port}, {len(servers)} pods ready")


def _endpoints(world: World, upstream: Upstream) -> int:
    port = world.service_by_name[upstream.service].port(upstream.port)
    return len(port.endpoints) if port else 0


def _policy(world: World, call: Call, reached: Iterable[Arrival], *, request: bool) -> Link:
    decided = [arrival.decision for arrival in reached if arrival.decision]
    if not decided:
        return Link("policy", reason="nobody is there to be asked")
    refusal = next((decision for decision in decided if not decision.allowed), None)
    hint = (
        f'meshlab explain {call.source or "FROM"} {call.service}:{call.port} "{call.method} {call.path}" shows the cure'
    )
    if refusal is None:
        return Link("policy", ok=True, reason=str(decided[0]))
    some = sorted(
        permission.title
        for permission in world.permissions_by_destination.get(refusal.request.destination, ())
        if call.source in permission.sources
    )
    if some and not request:
        return Link(
            "policy",
            ok=True,
            reason=f"{', '.join(some)} admits some requests, not {call.method} {call.path}",
        )
    return Link("policy", ok=False, reason=str(refusal), hint=hint)
