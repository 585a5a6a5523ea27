"""Do a Service's EndpointSlices list the pods it leads to?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from meshlab.cluster.embedded.controllers.owners import reference_to
from meshlab.cluster.embedded.controllers.service_endpoints import Ports, by_ports, has_endpoints, is_headless
from meshlab.cluster.embedded.controllers.service_watch import watch_services
from meshlab.cluster.embedded.controllers.workqueue import WorkQueue
from meshlab.cluster.embedded.informers import Informers, Key
from meshlab.kube import Kube, Object
from meshlab.kube.objects import ENDPOINT_SLICE, POD, SERVICE, labels_of

SERVICE_NAME = "kubernetes.io/service-name"
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
_US = "endpointslice-controller.k8s.io"
_HEADLESS = "service.kubernetes.io/headless"
_LARGEST = 100


class EndpointSliceController:
    """Keeps slices of at most a hundred endpoints per set of ports. A Service without pods has one empty slice."""

    def __init__(self, kube: Kube, informers: Informers) -> None:
        self._kube = kube
        self._services, self._pods = informers.of(SERVICE), informers.of(POD)
        self._slices = informers.of(ENDPOINT_SLICE)
        self._queue: WorkQueue[Key] = WorkQueue("endpointslice", self._sync)
        watch_services(self._services, self._pods, self._queue)
        self._slices.listen(lambda change: self._slice_changed(change.object))

    async def run(self) -> None:
        """Work until cancelled."""
        await self._queue.run()

    def _slice_changed(self, found: Object) -> None:
        if _is_ours(found) and (name := labels_of(found).get(SERVICE_NAME)):
            self._queue.add((found["metadata"]["namespace"], name))

    async def _sync(self, key: Key) -> None:
        service = self._services.get(*key)
        if service is None or not has_endpoints(service) or service["metadata"].get("deletionTimestamp"):
            return
        wanted = [_slice(service, *part) for part in _parts(by_ports(service, self._pods.all(key[0])))]
        known = [found for found in self._slices.all(key[0]) if labels_of(found).get(SERVICE_NAME) == key[1]]
        if _pair(wanted, known) == ([], [], []):
            return
        # What the watch hasn't shown yet must not be created twice.
        fresh = await self._kube.list(ENDPOINT_SLICE, key[0], labels=f"{SERVICE_NAME}={key[1]}")
        create, replace, delete = _pair(wanted, fresh)
        for obj in create:
            await self._kube.create(obj)
        for obj in replace:
            await self._kube.replace(obj)
        for obj in delete:
            await self._kube.delete(ENDPOINT_SLICE, obj["metadata"]["name"], key[0])


def _parts(groups: dict[Ports, list[dict[str, Any]]]) -> Iterator[tuple[Ports, list[dict[str, Any]]]]:
    if not groups:
        yield (), []
    for ports, endpoints in sorted(groups.items()):
        for start in range(0, len(endpoints), _LARGEST):
            yield ports, endpoints[start : start + _LARGEST]


def _slice(service: Object, ports: Ports, endpoints: list[dict[str, Any]]) -> Object:
    metadata = service["metadata"]
    labels = {**labels_of(service), SERVICE_NAME: metadata["name"], MANAGED_BY: _US}
    if is_headless(service):
        labels[_HEADLESS] = ""
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "generateName": f"{metadata['name']}-",
            "namespace": metadata["namespace"],
            "labels": labels,
            "ownerReferences": [reference_to(service)],
        },
        "addressType": "IPv4",
        "endpoints": endpoints,
        "ports": [dict(port) for port in ports],
    }


def _pair(wanted: list[Object], existing: list[Object]) -> tuple[list[Object], list[Object], list[Object]]:
    """What to create, to replace and to delete. A slice is kept for the ports it has, so that little moves; one that is
    no longer wanted is made into one that is, so that a reader never sees both.
    """
    left = sorted(filter(_is_ours, existing), key=lambda found: found["metadata"]["name"])
    create, replace = [], []
    for new in wanted:
        same_ports = (found for found in left if (found.get("ports") or []) == new["ports"])
        found = next(same_ports, None)
        if found is None:
            create.append(new)
            continue
        left.remove(found)
        if not _says_the_same(new, found):
            replace.append(_in_place_of(found, new))
    while create and left:
        replace.append(_in_place_of(left.pop(0), create.pop(0)))
    return create, replace, left


def _in_place_of(found: Object, new: Object) -> Object:
    metadata = {**found["metadata"], "labels": new["metadata"]["labels"]}
    return {**found, "metadata": metadata, "endpoints": new["endpoints"], "ports": new["ports"]}


def _says_the_same(new: Object, found: Object) -> bool:
    return (found.get("endpoints") or []) == new["endpoints"] and labels_of(found) == labels_of(new)


def _is_ours(found: Object) -> bool:
    return labels_of(found).get(MANAGED_BY) == _US
