"""What does a cluster hold before anybody has put anything into it?"""

from __future__ import annotations

from typing import Any

from meshlab.cluster.embedded.apiserver.metadata import begin, tidy
from meshlab.cluster.embedded.apiserver.registry import Registry
from meshlab.cluster.embedded.apiserver.store import Store
from meshlab.cluster.embedded.apiserver.versions import to_storage

NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system")


async def put(store: Store, registry: Registry, obj: dict[str, Any]) -> None:
    """Store an object of the server's own, whatever is there."""
    resource = registry.of_kind(obj["apiVersion"], obj["kind"])
    if resource is None:
        raise ValueError(f"no such kind: {obj['apiVersion']} {obj['kind']}")
    metadata = obj["metadata"]
    key = (metadata.get("namespace", ""), metadata["name"])
    found = store.newest(resource.storage, key)
    begin(resource, obj)
    if found:
        obj["metadata"] |= {name: found.obj["metadata"][name] for name in ("uid", "creationTimestamp")}
    tidy(obj)
    await store.write(resource.storage, key, to_storage(resource, obj), found.version if found else 0)


async def create_missing(store: Store, registry: Registry, obj: dict[str, Any]) -> None:
    """Store an object of the server's own, unless it is there."""
    resource = registry.of_kind(obj["apiVersion"], obj["kind"])
    metadata = obj["metadata"]
    if resource is None or store.newest(resource.storage, (metadata.get("namespace", ""), metadata["name"])) is None:
        await put(store, registry, obj)


async def create_namespaces(store: Store, registry: Registry) -> None:
    """The namespaces every cluster has."""
    for name in NAMESPACES:
        obj: dict[str, Any] = {
            "kind": "Namespace",
            "apiVersion": "v1",
            "metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name}},
            "spec": {"finalizers": ["kubernetes"]},
            "status": {"phase": "Active"},
        }
        await create_missing(store, registry, obj)


async def publish(store: Store, registry: Registry, cluster_ip: str, address: str, port: int) -> None:
    """The Service `kubernetes` in `default`, and where it leads: here. The port may be another at every start."""
    metadata = {"name": "kubernetes", "namespace": "default"}
    labels = {"component": "apiserver", "provider": "kubernetes"}
    spec = {
        "clusterIP": cluster_ip,
        "clusterIPs": [cluster_ip],
        "internalTrafficPolicy": "Cluster",
        "ipFamilies": ["IPv4"],
        "ipFamilyPolicy": "SingleStack",
        "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": port}],
        "sessionAffinity": "None",
        "type": "ClusterIP",
    }
    service = {
        "kind": "Service",
        "apiVersion": "v1",
        "metadata": {**metadata, "labels": labels},
        "spec": spec,
        "status": {"loadBalancer": {}},
    }
    ports = [{"name": "https", "port": port, "protocol": "TCP"}]
    endpoints = {
        "kind": "Endpoints",
        "apiVersion": "v1",
        "metadata": {**metadata, "labels": {"endpointslice.kubernetes.io/skip-mirror": "true"}},
        "subsets": [{"addresses": [{"ip": address}], "ports": ports}],
    }
    endpoint_slice = {
        "kind": "EndpointSlice",
        "apiVersion": "discovery.k8s.io/v1",
        "metadata": {**metadata, "labels": {"kubernetes.io/service-name": "kubernetes"}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [address], "conditions": {"ready": True}}],
        "ports": ports,
    }
    for obj in (service, endpoints, endpoint_slice):
        await put(store, registry, obj)
