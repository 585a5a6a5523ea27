"""Which ready endpoints does a Service lead to at this moment, for the node's own proxies?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count

from meshlab.cluster.embedded.informers import Informers
from meshlab.kube import Object
from meshlab.kube.objects import ENDPOINT_SLICE, SERVICE, labels_of

SERVICE_NAME = "kubernetes.io/service-name"

Address = tuple[str, int]


class Services:
    """Services and their EndpointSlices, and who is next in turn."""

    def __init__(self, informers: Informers) -> None:
        self._services, self._slices = informers.of(SERVICE), informers.of(ENDPOINT_SLICE)
        self._turn = count()

    def listen(self, changed: Callable[[], None]) -> None:
        """Call `changed` whenever a Service or its endpoints come, change or go."""
        self._services.listen(lambda _: changed())
        self._slices.listen(lambda _: changed())

    def all(self) -> Iterator[Object]:
        """Every Service."""
        return self._services.all()

    def slices(self) -> Iterator[Object]:
        """Every EndpointSlice."""
        return self._slices.all()

    def find(self, namespace: str, name: str) -> Object | None:
        """A Service by name."""
        return self._services.get(namespace, name)

    def listeners(self) -> dict[Address, tuple[str, str, str]]:
        """Every address and TCP port that Services have for themselves: namespace, Service, name of the port."""
        found = {}
        for service in self._services.all():
            metadata, spec = service["metadata"], service["spec"]
            if spec.get("clusterIP") in (None, "", "None"):
                continue
            for port in spec.get("ports") or []:
                if port.get("protocol", "TCP") == "TCP":
                    key = (metadata["namespace"], metadata["name"], port.get("name", ""))
                    found[spec["clusterIP"], port["port"]] = key
        return found

    def port_named(self, service: Object, number: int) -> str | None:
        """The name of a Service's port (empty for the only one); None when it has no such port."""
        ports = service["spec"].get("ports") or []
        return next((port.get("name", "") for port in ports if port["port"] == number), None)

    def pick(self, namespace: str, name: str, port: str) -> Address | None:
        """A ready endpoint of a Service's port, each in turn; None when there is none."""
        ready = [
            (address, entry["port"])
            for found in self._slices.all(namespace)
            if labels_of(found).get(SERVICE_NAME) == name
            for entry in found.get("ports") or []
            if (entry.get("name") or "") == port
            for endpoint in found.get("endpoints") or []
            if endpoint["conditions"].get("ready") is not False
            for address in endpoint["addresses"]
        ]
        return ready[next(self._turn) % len(ready)] if ready else None
