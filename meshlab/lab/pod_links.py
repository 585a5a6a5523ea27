"""Does a pod do its part: a sidecar that runs, a certificate, the newest configuration, calls that reach its proxy?"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network
from typing import Any

from meshlab.controlplane.facts import has_running_proxy, is_meshed_namespace
from meshlab.dataplane.envoy import exclusions
from meshlab.injector.decision import PROXY_UUID, wants_sidecar
from meshlab.kube import Object, labels_of
from meshlab.lab.links import Link
from meshlab.lab.seen import SYSTEM, Seen
from meshlab.mesh.service import Workload
from meshlab.mesh.view import Upstream

_SOON_SECONDS = 300


def pod_link(seen: Seen, workload: Workload, role: str, *more: Link) -> Link:
    """All that has to hold for one pod, and `more`."""
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


def goes_through(seen: Seen, workload: Workload, target: Upstream) -> Link:
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
