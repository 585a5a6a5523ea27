"""Where are the services that proxies call for themselves, and may all proxies be served?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from meshlab.controlplane.reader import Store
from meshlab.mesh.finding import Finding, Severity
from meshlab.mesh.proxy_settings import ProxySettings
from meshlab.mesh.service import ServiceName
from meshlab.mesh.settings import Settings
from meshlab.mesh.world import World


def reachable(settings: ProxySettings, services: Store) -> ProxySettings:
    """The settings with Services by their address: not every pod network has names, and a Service keeps its address."""
    authorization, tracing = settings.authorization, settings.tracing
    return replace(
        settings,
        authorization=replace(authorization, host=_address(authorization.host, services)) if authorization else None,
        tracing=replace(tracing, host=_address(tracing.host, services)) if tracing else None,
    )


def too_many_proxies(settings: Settings, world: World) -> Iterator[Finding]:
    """Whether more workloads have a proxy than MeshConfig lets connect."""
    proxies = sum(workload.meshed for workload in world.workloads)
    if 0 < settings.most_proxies < proxies:
        yield Finding(
            code="ML318",
            about="MeshConfig meshlab-system/meshlab-mesh-config",
            field="spec.sidecar.maxDataPlaneConnections",
            what=f"{proxies} pods have a proxy, and {settings.most_proxies} may connect; the last to come have to wait",
            cure=f"write {proxies} or more, or 0 for any number",
            severity=Severity.WARNING,
        )


def _address(host: str, services: Store) -> str:
    name, _, rest = host.partition(".")
    namespace = rest.partition(".")[0]
    if host.removesuffix(".") not in ServiceName(namespace, name).hosts():
        return host
    address = services.get((namespace, name), {}).get("spec", {}).get("clusterIP")
    return address if address and address != "None" else host
