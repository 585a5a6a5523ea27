"""Is the chain from one workload to a Service whole, and if not, which link is broken?

Each link is looked at where it is known best: what runs, in the cluster; who has which certificate and acknowledged
which configuration, at the control plane; what that configuration says, in the world it was made from.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network
from typing import Any

from meshlab.controlplane.facts import has_running_proxy, is_meshed_namespace
from meshlab.dataplane.envoy import exclusions
from meshlab.errors import MeshlabError
from meshlab.injector.decision import PROXY_UUID, wants_sidecar
from meshlab.kube import Kube, Object, labels_of
from meshlab.kube.objects import DEPLOYMENT
from meshlab.lab import reading, ready
from meshlab.lab.links import Link
from meshlab.lab.question import call_of, workloads_of
from meshlab.lab.reading import Known
from meshlab.lab.stream import ROOT
from meshlab.mesh.call import Arrival, Call, arrivals
from meshlab.mesh.service import Workload
from meshlab.mesh.view import Upstream
from meshlab.mesh.world import World

SYSTEM = "meshlab-system"
_SOON_SECONDS = 300


@dataclass(frozen=True)
class Seen:
    """What there is to judge by."""

    known: Known
    controller: Object | None
    """The control plane's Deployment."""
    mesh: Mapping[str, Any] | None
    """The control plane's answer about itself; None: it gave none."""
    proxies: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """What it says of each proxy, by ``namespace/pod``."""
    now: float = field(default_factory=time.time)
    trouble: str = ""
    """Why the control plane gave no answer."""


async def see(kube: Kube) -> Seen:
    """Ask the cluster, and the control plane if it answers."""
    known = await reading.of_cluster(kube)
    controller = await kube.find(DEPLOYMENT, "meshlab-controller", SYSTEM)
    try:
        mesh = await kube.request("GET", f"{ROOT}/mesh")
        proxies = await kube.request("GET", f"{ROOT}/proxies")
    except MeshlabError as error:
        return Seen(known, controller, None, trouble=error.what)
    return Seen(known, controller, mesh, {row["proxy"]: row for row in proxies["items"]})


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
                _pod(seen, workload, "caller", _goes_through(seen, workload, target), _routes(world, target))
                for workload in callers
            ),
            _service(world, reached, servers, target),
            *(_pod(seen, workload, "server", _listens(world, workload)) for workload in servers),
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


def _pod(seen: Seen, workload: Workload, role: str, *more: Link) -> Link:
    name = f"{workload.namespace}/{workload.name}"
    pod = seen.known.by_name.get("Pod", workload.namespace, workload.name) or {"metadata": {}}
    namespace = _namespace(seen, workload)
    injected = _injected(pod, namespace, workload)
    if not injected.ok:
        return Link(f"{role} {name}", parts=(injected,))
    proxy = seen.proxies.get(name)
    return Link(f"{role} {name}", parts=(injected, _certificate(seen, proxy), _acknowledged(seen, proxy), *more))


def _namespace(seen: Seen, workload: Workload) -> Object:
    found = (obj for obj in seen.known.objects if obj["kind"] == "Namespace")
    return next((obj for obj in found if obj["metadata"]["name"] == workload.namespace), {"metadata": {"name": "?"}})


def _injected(pod: Object, namespace: Object, workload: Workload) -> Link:
    if PROXY_UUID not in labels_of(pod):
        verdict = wants_sidecar(pod, namespace)
        if verdict.inject:
            owner = f"{workload.owner[0].lower()}/{workload.owner[1]} -n {workload.namespace}"
            hint = f"it was made before: kubectl rollout restart {owner}"
        elif not is_meshed_namespace(namespace):
            hint = f"kubectl label namespace {workload.namespace} openservicemesh.io/monitored-by=meshlab"
        else:
            hint = f"kubectl annotate namespace {workload.namespace} openservicemesh.io/sidecar-injection=enabled"
        why = "the injector would give it one now" if verdict.inject else verdict.why
        return Link("sidecar", ok=False, reason=f"it has none: {why}", hint=hint)
    if not has_running_proxy(pod):
        hint = f"kubectl describe pod {workload.name} -n {workload.namespace}"
        return Link("sidecar", ok=False, reason="it has one, and it does not run", hint=hint)
    return Link("sidecar", ok=True, reason="injected, and running")


def _certificate(seen: Seen, proxy: Mapping[str, Any] | None) -> Link:
    if seen.mesh is None:
        return Link("certificate", reason="not known while the control plane is silent")
    certificate = proxy and proxy["certificate"]
    if not proxy or not certificate:
        return Link("certificate", ok=False, reason="none was issued", hint="meshlab status")
    left = certificate["not_after"] - seen.now
    until = datetime.fromtimestamp(certificate["not_after"], UTC).strftime("%Y-%m-%d %H:%M UTC")
    if left <= 0:
        return Link(
            "certificate",
            ok=False,
            reason=f"it expired {until}",
            hint=f"kubectl logs -n {SYSTEM} -l app=meshlab-controller",
        )
    soon = ", soon" if left < _SOON_SECONDS else ""
    return Link("certificate", ok=True, reason=f"{proxy['identity']} until {until}{soon}")


def _acknowledged(seen: Seen, proxy: Mapping[str, Any] | None) -> Link:
    if seen.mesh is None:
        return Link("configuration", reason="the proxy keeps what it was told last")
    if not proxy or not proxy["connected"]:
        hint = "kubectl logs POD -c envoy shows why; a proxy that just started takes a moment"
        return Link("configuration", ok=False, reason="the proxy is not connected to the control plane", hint=hint)
    if refused := proxy["refused"]:
        what = f"the proxy refused what it was told, and keeps what it had: {refused['reason']}"
        return Link("configuration", ok=False, reason=what, hint="undo the change that this names")
    if proxy["settled"] < proxy["generation"]:
        return Link("configuration", ok=False, reason="the proxy has not acknowledged the newest yet", hint="ask again")
    took = f" after {proxy['milliseconds']:.0f} ms" if proxy["milliseconds"] is not None else ""
    return Link("configuration", ok=True, reason=f"the newest, acknowledged{took}")


def _goes_through(seen: Seen, workload: Workload, target: Upstream) -> Link:
    """Whether the caller's calls reach its proxy at all, and do not go past it by an exclusion."""
    if workload.explicit_proxy:
        return Link("interception", ok=True, reason="by http_proxy: an app that ignores it goes past its proxy")
    pod = seen.known.by_name.get("Pod", workload.namespace, workload.name)
    listed = exclusions.of_pod(pod or {}, seen.known.settings.exclusions)
    service = seen.known.world.service_by_name[target.service]
    addresses = [ip_address(address) for address in service.cluster_ips]
    hint = "see the annotations of the pod and MeshConfig's spec.traffic; they count when a pod is created"
    if target.port in listed.outbound_ports:
        return Link(
            "interception", ok=False, reason=f"port {target.port} is excluded: calls go past the proxy", hint=hint
        )
    for text in listed.outbound_ranges:
        if any(address in ip_network(text) for address in addresses):
            what = f"the Service's address is in the excluded range {text}: calls go past the proxy"
            return Link("interception", ok=False, reason=what, hint=hint)
    if listed.only_ranges and not any(
        address in ip_network(text) for text in listed.only_ranges for address in addresses
    ):
        what = "the Service's address is in none of the included ranges: calls go past the proxy"
        return Link("interception", ok=False, reason=what, hint=hint)
    return Link("interception", ok=True, reason="in the kernel")


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
