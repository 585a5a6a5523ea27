"""What does a cluster hold before anybody has put anything into it?"""

from __future__ import annotations

from typing import Any

from meshlab.cluster.embedded.apiserver.metadata import begin, tidy
from meshlab.cluster.embedded.apiserver.registry import Registry
from meshlab.cluster.embedded.apiserver.store import Store
from meshlab.cluster.embedded.apiserver.versions import to_storage

NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system")


async def create_missing(store: Store, registry: Registry, obj: dict[str, Any]) -> None:
    """Store an object of the server's own, unless it is there."""
    resource = registry.of_kind(obj["apiVersion"], obj["kind"])
    if resource is None:
        raise ValueError(f"no such kind: {obj['apiVersion']} {obj['kind']}")
    metadata = obj["metadata"]
    key = (metadata.get("namespace", ""), metadata["name"])
    if store.newest(resource.storage, key) is None:
        begin(resource, obj)
        tidy(obj)
        await store.write(resource.storage, key, to_storage(resource, obj), 0)


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
