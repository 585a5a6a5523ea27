"""Do a Service's (older) Endpoints say what its EndpointSlices say? `kubectl get endpoints` still reads them."""

from __future__ import annotations

from typing import Any

from meshlab.cluster.embedded.controllers.service_endpoints import by_ports, has_endpoints
from meshlab.cluster.embedded.controllers.service_watch import watch_services
from meshlab.cluster.embedded.controllers.workqueue import WorkQueue
from meshlab.cluster.embedded.informers import Informers, Key, key_of
from meshlab.kube import Kind, Kube, Object
from meshlab.kube.objects import POD, SERVICE, labels_of

ENDPOINTS = Kind("v1", "Endpoints", "endpoints")
_MANAGED_BY = {"endpoints.kubernetes.io/managed-by": "endpoint-controller"}


class EndpointsController:
    """Keeps one Endpoints object per Service that selects pods."""

    def __init__(self, kube: Kube, informers: Informers) -> None:
        self._kube = kube
        self._services, self._pods = informers.of(SERVICE), informers.of(POD)
        self._endpoints = informers.of(ENDPOINTS)
        self._queue: WorkQueue[Key] = WorkQueue("endpoints", self._sync)
        watch_services(self._services, self._pods, self._queue)
        self._endpoints.listen(lambda change: self._queue.add(key_of(change.object)))

    async def run(self) -> None:
        """Work until cancelled."""
        await self._queue.run()

    async def _sync(self, key: Key) -> None:
        service, known = self._services.get(*key), self._endpoints.get(*key)
        if service is None:
            if known and _MANAGED_BY.items() <= labels_of(known).items():
                await self._kube.delete(ENDPOINTS, key[1], key[0])
            return
        if not has_endpoints(service) or service["metadata"].get("deletionTimestamp"):
            return
        subsets = _subsets(service, list(self._pods.all(key[0])))
        labels = {**labels_of(service), **_MANAGED_BY}
        if known is None:
            metadata = {"name": key[1], "namespace": key[0], "labels": labels}
            obj = {"apiVersion": "v1", "kind": "Endpoints", "metadata": metadata}
            await self._kube.create({**obj, **({"subsets": subsets} if subsets else {})})
        elif (known.get("subsets") or []) != subsets or labels_of(known) != labels:
            await self._kube.replace({**known, "metadata": {**known["metadata"], "labels": labels}, "subsets": subsets})


def _subsets(service: Object, pods: list[Object]) -> list[dict[str, Any]]:
    subsets = []
    for ports, endpoints in sorted(by_ports(service, pods).items()):
        subset: dict[str, Any] = {}
        for endpoint in endpoints:
            conditions = endpoint["conditions"]
            if conditions["terminating"] and not conditions["ready"]:
                continue
            address = {"ip": endpoint["addresses"][0], "targetRef": endpoint["targetRef"]}
            address |= {name: endpoint[name] for name in ("nodeName", "hostname") if name in endpoint}
            kind = "addresses" if conditions["ready"] else "notReadyAddresses"
            subset.setdefault(kind, []).append(address)
        if subset:
            named = [{key: value for key, value in port if (key, value) != ("name", "")} for port in ports]
            subsets.append({**subset, **({"ports": named} if named else {})})
    return subsets
