"""What does one Kubernetes object say in the mesh's words? Pods, Services and their endpoints, read into facts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from meshlab.injector.decision import (
    IGNORE,
    IGNORED_NAMESPACES,
    MESH_NAME,
    MONITORED_BY,
    PROXY_UUID,
    is_gateway,
)
from meshlab.kube import Object, labels_of
from meshlab.mesh.identity import Identity
from meshlab.mesh.service import Endpoint, Protocol, Service, ServiceName, ServicePort, Workload

INTERCEPTION = "meshlab.dev/interception"
"""The injector writes it on a pod: `explicit` where the network can't redirect, else `redirect`."""
SERVICE_NAME = "kubernetes.io/service-name"
_SIDECAR = "envoy"
"""The name of the injected container, as in OSM."""
_TEMPLATE_HASH = "pod-template-hash"
_PROTOCOLS = {
    "http": Protocol.HTTP,
    "kubernetes.io/http": Protocol.HTTP,
    "grpc": Protocol.GRPC,
    "kubernetes.io/h2c": Protocol.GRPC,
    "tcp": Protocol.TCP,
    "tcp-server-first": Protocol.TCP_SERVER_FIRST,
}


def is_meshed_namespace(namespace: Object) -> bool:
    """Whether a namespace has joined the mesh."""
    labels = labels_of(namespace)
    name = namespace["metadata"]["name"]
    return labels.get(MONITORED_BY) == MESH_NAME and IGNORE not in labels and name not in IGNORED_NAMESPACES


def workload(pod: Object) -> Workload:
    """A pod as the mesh sees it."""
    metadata, spec = pod["metadata"], pod.get("spec") or {}
    namespace = metadata["namespace"]
    return Workload(
        namespace=namespace,
        name=metadata["name"],
        identity=Identity(namespace, spec.get("serviceAccountName") or "default"),
        address=(pod.get("status") or {}).get("podIP") or "",
        labels=tuple(sorted(labels_of(pod).items())),
        owner=_owner(pod),
        meshed=PROXY_UUID in labels_of(pod),
        uid=metadata.get("uid", ""),
        ports=tuple(sorted({port["containerPort"] for port in _container_ports(spec)})),
        explicit_proxy=(metadata.get("annotations") or {}).get(INTERCEPTION) == "explicit",
        gateway=is_gateway(pod),
    )


def is_over(pod: Object) -> bool:
    """Whether a pod has run its course and will never serve or call again."""
    return (pod.get("status") or {}).get("phase") in {"Succeeded", "Failed"}


def is_ready(pod: Object) -> bool:
    """Whether a pod is ready and meant to stay."""
    conditions = (pod.get("status") or {}).get("conditions") or []
    return not pod["metadata"].get("deletionTimestamp") and any(
        row["type"] == "Ready" and row["status"] == "True" for row in conditions
    )


def has_running_proxy(pod: Object) -> bool:
    """Whether a pod's sidecar is up and meant to stay: one that is can be expected to answer."""
    if pod["metadata"].get("deletionTimestamp"):
        return False
    status = pod.get("status") or {}
    containers = [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]
    return any(item["name"] == _SIDECAR and "running" in (item.get("state") or {}) for item in containers)


def service(obj: Object, slices: Iterable[Object], workloads: Mapping[str, Workload]) -> Service:
    """A Service with the ready endpoints of its EndpointSlices. `workloads` is by ``namespace/name``."""
    metadata, spec = obj["metadata"], obj.get("spec") or {}
    name = ServiceName(metadata["namespace"], metadata["name"])
    found = list(slices)
    ports = tuple(
        ServicePort(
            number=port["port"],
            name=port.get("name") or "",
            protocol=_protocol(port),
            endpoints=tuple(sorted(_endpoints(found, port.get("name") or "", name.namespace, workloads))),
        )
        for port in spec.get("ports") or []
        if port.get("protocol", "TCP") == "TCP"
    )
    addresses = tuple(address for address in spec.get("clusterIPs") or [] if address not in {"", "None"})
    return Service(name, addresses, ports)


def service_of(endpoint_slice: Object) -> tuple[str, str]:
    """Namespace and name of the Service that an EndpointSlice belongs to."""
    return endpoint_slice["metadata"]["namespace"], labels_of(endpoint_slice).get(SERVICE_NAME, "")


def pods_of(namespace: str, slices: Iterable[Object]) -> frozenset[str]:
    """The pods that EndpointSlices of a namespace name, as ``namespace/name``."""
    entries = (entry for piece in slices for entry in piece.get("endpoints") or ())
    targets = (entry.get("targetRef") or {} for entry in entries)
    return frozenset(f"{namespace}/{target.get('name', '')}" for target in targets if target.get("kind") == "Pod")


def _endpoints(
    slices: Iterable[Object], port_name: str, namespace: str, workloads: Mapping[str, Workload]
) -> set[Endpoint]:
    found = set()
    for piece in slices:
        targets = [port["port"] for port in piece.get("ports") or [] if (port.get("name") or "") == port_name]
        for entry in piece.get("endpoints") or []:
            if (entry.get("conditions") or {}).get("ready") is False:
                continue
            target = entry.get("targetRef") or {}
            pod = f"{namespace}/{target['name']}" if target.get("kind") == "Pod" else ""
            known = workloads.get(pod)
            for address in entry.get("addresses") or []:
                found |= {
                    Endpoint(address, number, known.identity if known else None, bool(known and known.meshed), pod)
                    for number in targets
                    if number
                }
    return found


def _protocol(port: Mapping[str, Any]) -> Protocol:
    """What a port says it carries; the part of its name before a dash counts where appProtocol is missing."""
    said = port.get("appProtocol") or (port.get("name") or "").partition("-")[0]
    return _PROTOCOLS.get(said.lower(), Protocol.HTTP)


def _owner(pod: Object) -> tuple[str, str]:
    metadata = pod["metadata"]
    controller = next((ref for ref in metadata.get("ownerReferences") or [] if ref.get("controller")), None)
    if controller is None:
        return "Pod", metadata["name"]
    kind, name = controller["kind"], controller["name"]
    suffix = f"-{labels_of(pod).get(_TEMPLATE_HASH, '')}"
    if kind == "ReplicaSet" and len(suffix) > 1 and name.endswith(suffix):
        return "Deployment", name.removesuffix(suffix)
    return kind, name


def _container_ports(spec: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [
        port
        for container in spec.get("containers") or []
        for port in container.get("ports") or []
        if port.get("protocol", "TCP") == "TCP" and container["name"] != _SIDECAR
    ]
