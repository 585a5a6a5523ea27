"""What must this proxy be told? The world, seen from one workload."""

from __future__ import annotations

from meshlab.mesh.latest import latest
from meshlab.mesh.outbound import retried
from meshlab.mesh.overlay import Overlay
from meshlab.mesh.service import Workload
from meshlab.mesh.view import OutboundService, ProxyView, Upstream
from meshlab.mesh.world import World

_retried = latest(retried)


def project(world: World, workload: Workload) -> ProxyView:
    """All that the workload's proxy is told.

    Every proxy may call every Service of the mesh; whether the call is answered is decided beside the server
    (SMI A10), so that a refusal is an HTTP response and not a missing route. Only `inbound` and `permissions`
    differ from one workload to the next, and neither of them from one pod of a Deployment to the next.
    """
    if workload.gateway:
        return _of_gateway(world, workload)
    return ProxyView(
        workload=workload,
        trust_domain=world.trust_domain,
        inbound=world.inbound.get(f"{workload.namespace}/{workload.name}", ()),
        permissions=None if world.permissive else world.permissions_by_destination.get(workload.identity, ()),
        outbound=_outbound(world, workload),
        clusters=world.clusters,
        egress=world.egress,
        settings=world.proxies,
        outside=() if world.egress else world.egress_by_source.get(workload.identity, ()),
        overlays=_overlays(world, workload),
        recorded_headers=world.headers_by_destination.get(workload.identity, ()),
    )


def _of_gateway(world: World, workload: Workload) -> ProxyView:
    """The gateway calls what Ingresses name and nothing else; nobody calls it as a workload of the mesh."""
    named = {Upstream(route.service, route.port) for route in world.gateway_routes}
    outbound = tuple(service for service in world.outbound if service.upstream in named)
    used = {upstream for service in outbound for route in service.routes for upstream, _ in route.backends}
    return ProxyView(
        workload=workload,
        trust_domain=world.trust_domain,
        inbound=(),
        permissions=(),
        outbound=outbound,
        clusters=tuple(cluster for cluster in world.clusters if cluster.upstream in used),
        egress=False,
        settings=world.proxies,
        gateway=world.gateway_routes,
        overlays=_overlays(world, workload),
    )


def _overlays(world: World, workload: Workload) -> tuple[Overlay, ...]:
    return tuple(overlay for overlay in world.overlays if overlay.concerns(workload))


def _outbound(world: World, workload: Workload) -> tuple[OutboundService, ...]:
    """The Services by the names this workload may use.

    Where the kernel redirects, a Service is told by its address and every workload shares one list. An explicit
    proxy is told the host by name, and the bare name means the Service of the caller's own namespace.
    """
    services = world.outbound
    if workload.explicit_proxy:
        services = world.outbound_by_namespace.get(workload.namespace, world.outbound)
    retries = world.retries_by_source.get(workload.identity)
    return services if retries is None else _retried(services, retries)
