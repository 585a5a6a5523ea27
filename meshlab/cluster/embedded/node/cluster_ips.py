"""How does a connection to a cluster IP come to a pod? The kernel changes its destination as it leaves the caller.

So each pod has the rules of all Services in its own network, and what arrives shows the caller's own address, also
where a pod calls itself.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections.abc import Iterable, Iterator
from typing import Any

from meshlab import nft
from meshlab.cluster.embedded.node.services import SERVICE_NAME, Services
from meshlab.kube import Object
from meshlab.kube.objects import labels_of

log = logging.getLogger(__name__)

_PRIORITY = -90
"""After -100, where a sidecar redirects what its app sends: it has to see the cluster IP."""

Targets = tuple[tuple[str, int], ...]
"""Addresses and ports."""


def table(services: Iterable[Object], slices: Iterable[Object], service_range: str) -> nft.Table:
    """The rules that lead from every Service to its ready endpoints.

    What is still meant for the range of cluster IPs after that has nobody to go to, and is refused at once.
    """
    found = _endpoints(slices)
    ordered = sorted(services, key=lambda service: (service["metadata"]["namespace"], service["metadata"]["name"]))
    lead = tuple(rule for service in ordered for rule in _rules(service, found))
    nobody = nft.Destination(service_range)
    refuse = (
        nft.Rule(nft.Reject(tcp_reset=True), (nft.Protocol("tcp"), nobody)),
        nft.Rule(nft.Reject(), (nobody,)),
    )
    return nft.Table(
        "cluster-ips",
        (
            nft.Chain("lead", lead, nft.Hook("nat", "output", _PRIORITY)),
            nft.Chain("refuse", refuse, nft.Hook("filter", "output", 0)),
        ),
    )


def _rules(service: Object, found: dict[tuple[str, ...], Targets]) -> Iterator[nft.Rule]:
    metadata, spec = service["metadata"], service["spec"]
    if spec.get("clusterIP") in (None, "", "None"):
        return
    sticky = spec.get("sessionAffinity") == "ClientIP"
    for port in spec.get("ports") or []:
        protocol = port.get("protocol", "TCP")
        targets = found.get((metadata["namespace"], metadata["name"], port.get("name", ""), protocol))
        if targets and protocol in ("TCP", "UDP"):
            yield nft.Rule(
                nft.Dnat(targets, by_source=sticky),
                (
                    nft.Destination(f"{spec['clusterIP']}/32"),
                    nft.Protocol("tcp" if protocol == "TCP" else "udp"),
                    nft.DestinationPort(port["port"]),
                ),
            )


def _endpoints(slices: Iterable[Object]) -> dict[tuple[str, ...], Targets]:
    """Where each port of a Service leads: by namespace, Service, the port's name and its protocol."""
    found: dict[tuple[str, ...], set[tuple[str, int]]] = {}
    for entry in slices:
        service = entry["metadata"]["namespace"], labels_of(entry).get(SERVICE_NAME, "")
        if entry.get("addressType", "IPv4") != "IPv4":
            continue
        ready = [address for endpoint in entry.get("endpoints") or [] for address in _ready(endpoint)]
        for port in entry.get("ports") or []:
            key = (*service, port.get("name") or "", port.get("protocol", "TCP"))
            found.setdefault(key, set()).update((address, port["port"]) for address in ready)
    return {key: tuple(sorted(targets)) for key, targets in found.items()}


def _ready(endpoint: dict[str, Any]) -> list[str]:
    """Its addresses, if it is ready. One that does not say is."""
    ready = (endpoint.get("conditions") or {}).get("ready") is not False
    return list(endpoint["addresses"]) if ready else []


class ClusterIps:
    """Keeps the rules in every network that joined as the Services are at the moment."""

    def __init__(self, services: Services, service_range: str) -> None:
        self._services = services
        self._range = service_range
        self._batch = nft.encode(table((), (), service_range))
        self._ways: dict[str, socket.socket] = {}
        self._lock = threading.Lock()
        self._changed = asyncio.Event()
        services.listen(self._changed.set)

    async def run(self) -> None:
        """Follow the Services until cancelled."""
        self._changed.set()
        while True:
            await self._changed.wait()
            self._changed.clear()
            wanted = table(self._services.all(), self._services.slices(), self._range)
            await asyncio.to_thread(self._tell, wanted)

    def join(self, place: str, way: socket.socket) -> None:
        """Give a network the rules, and keep it up to date. `way` is a socket of it of the kind `nft.WAY`.

        Takes some milliseconds. Raises OSError when the kernel refuses the rules.
        """
        with self._lock:
            self._ways[place] = way
            nft.apply(self._batch, way)

    def leave(self, place: str) -> None:
        """Let go of a network. Safe to repeat."""
        with self._lock:
            if way := self._ways.pop(place, None):
                way.close()

    def _tell(self, wanted: nft.Table) -> None:
        batch = nft.encode(wanted)
        with self._lock:
            if batch == self._batch:
                return
            self._batch = batch
            for place, way in self._ways.items():
                try:
                    nft.apply(batch, way)
                except OSError as error:
                    log.warning("the network of %s keeps its old rules for cluster IPs: %s", place or "the node", error)
