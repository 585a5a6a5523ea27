"""What must this proxy be told? The world, seen from one workload."""

from __future__ import annotations

from meshlab.mesh.service import Workload
from meshlab.mesh.view import OutboundService, ProxyView
from meshlab.mesh.world import World


def project(world: World, workload: Workload) -> ProxyView:
    """All that the workload's proxy is told.

    Every proxy may call every Service of the mesh; whether the call is answered is decided beside the server
    (SMI A10), so that a refusal is an HTTP response and not a missing route. Only `inbound` and `permissions`
    differ from one workload to the next, and neither of them from one pod of a Deployment to the next.
    """
    return ProxyView(
        workload=workload,
        trust_domain=world.trust_domain,
        inbound=world.inbound.get(f"{workload.namespace}/{workload.name}", ()),
        permissions=None if world.permissive else world.permissions_by_destination.get(workload.identity, ()),
        outbound=_outbound(world, workload),
        clusters=world.clusters,
        egress=world.egress,
    )


def _outbound(world: World, workload: Workload) -> tuple[OutboundService, ...]:
    """The Services by the names this workload may use.

    Where the kernel redirects, a Service is told by its address and every workload shares one list. An explicit
    proxy is told the host by name, and the bare name means the Service of the caller's own namespace.
    """
    if not workload.explicit_proxy:
        return world.outbound
    return world.outbound_by_namespace.get(workload.namespace, world.outbound)
