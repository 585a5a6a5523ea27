"""Which cluster IP and node port does a Service get?"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Any

from meshlab.cluster.embedded.apiserver import status

if TYPE_CHECKING:
    from meshlab.cluster.embedded.apiserver.registry import Resource
    from meshlab.cluster.embedded.apiserver.store import Key, Store

Object = dict[str, Any]

STORAGE = "services"
_NODE_PORTS = range(30000, 32768)
_ADDRESS_FIELDS = ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy")
_WITH_PORTS = ("NodePort", "LoadBalancer")


def keep_allocated(new: Object, old: Object) -> None:
    """An update that leaves out what was allocated keeps it, unless the Service's type gives it up."""
    spec, before = new.get("spec") or {}, old.get("spec") or {}
    kind, former = spec.get("type") or "ClusterIP", before.get("type")
    if former == "ExternalName":
        return
    if kind == "ExternalName":
        for key in _ADDRESS_FIELDS:
            if spec.get(key) == before.get(key):
                spec.pop(key, None)
        return
    for key in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"):
        if not spec.get(key) and before.get(key):
            spec[key] = before[key]
    if spec.get("clusterIP") != before.get("clusterIP") and spec.get("clusterIPs") == before.get("clusterIPs"):
        spec["clusterIPs"] = [spec["clusterIP"]]
    if kind in _WITH_PORTS:
        _keep_ports(spec, before)


def _keep_ports(spec: Object, before: Object) -> None:
    known = {_port(port): port.get("nodePort") for port in before.get("ports") or ()}
    for port in spec.get("ports") or ():
        number = port.get("nodePort") or known.get(_port(port))
        if number:
            port["nodePort"] = number


def give_up(new: Object, old: Object) -> None:
    """What only a Service open on nodes has goes when it is that no more."""
    spec, before = new["spec"], old.get("spec") or {}
    if spec.get("type") in _WITH_PORTS or before.get("type") not in _WITH_PORTS:
        return
    known = {_port(port): port.get("nodePort") for port in before.get("ports") or ()}
    for port in spec.get("ports") or ():
        if port.get("nodePort") == known.get(_port(port)):
            port.pop("nodePort", None)
    for key in ("externalTrafficPolicy", "allocateLoadBalancerNodePorts"):
        if spec.get(key) == before.get(key):
            spec.pop(key, None)


def _port(port: Object) -> tuple[Any, Any]:
    return port.get("port"), port.get("protocol") or "TCP"


class Addresses:
    """Hands out the addresses <block>.128.1 and above, and node ports. Nothing is reserved: what is taken is
    read from the Services that exist or are being written.
    """

    def __init__(self, store: Store, block: str) -> None:
        self._store = store
        self._first = IPv4Address(f"{block}.128.1")
        self._last = IPv4Address(f"{block}.255.254")

    def allocate(self, resource: Resource, obj: Object) -> None:
        """Give a Service what it lacks. Runs right before it is offered to the store, so nobody can take the same.

        Raises 422 for an address or port that is taken or out of range.
        """
        if resource.storage != STORAGE or obj["spec"].get("type") == "ExternalName":
            return
        spec = obj["spec"]
        others = list(self._services((obj["metadata"]["namespace"], obj["metadata"]["name"])))
        causes = [*self._address(spec, others), *self._ports(spec, others)]
        if causes:
            raise status.invalid(resource, obj["metadata"]["name"], causes)
        spec.setdefault("ipFamilies", ["IPv4"])
        spec.setdefault("ipFamilyPolicy", "SingleStack")

    def _services(self, own: Key) -> Iterator[Object]:
        for stored in self._store.list_newest(STORAGE):
            if stored.key != own:
                yield stored.obj["spec"]

    def _address(self, spec: Object, others: list[Object]) -> Iterator[status.Cause]:
        wanted = spec.get("clusterIP") or next(iter(spec.get("clusterIPs") or ()), "")
        taken = {other.get("clusterIP") for other in others}
        if not wanted:
            count = int(self._last) - int(self._first)
            candidates = (str(self._first + step) for step in range(count))
            wanted = next((address for address in candidates if address not in taken), "")
        elif wanted != "None":
            problem = "provided IP is already allocated" if wanted in taken else self._out_of_range(wanted)
            if problem:
                detail = f"failed to allocate IP {wanted}: {problem}"
                yield status.invalid_value("spec.clusterIPs", [wanted], detail)
        spec["clusterIP"], spec["clusterIPs"] = wanted, [wanted]

    def _out_of_range(self, address: str) -> str:
        try:
            inside = self._first <= IPv4Address(address) <= self._last
        except ValueError:
            inside = False
        return "" if inside else "the provided network does not match the current range"

    def _ports(self, spec: Object, others: list[Object]) -> Iterator[status.Cause]:
        if spec.get("type") not in _WITH_PORTS:
            return
        taken = {port.get("nodePort") for other in others for port in other.get("ports") or ()}
        ports = spec.get("ports") or ()
        asked = {port.get("nodePort") for port in ports}
        for index, port in enumerate(ports):
            wanted = port.get("nodePort")
            if not wanted:
                free = (number for number in _NODE_PORTS if number not in taken and number not in asked)
                wanted = port["nodePort"] = next(free)
            elif wanted in taken:
                yield status.invalid_value(
                    f"spec.ports[{index}].nodePort", wanted, "provided port is already allocated"
                )
            elif wanted not in _NODE_PORTS:
                detail = "provided port is not in the valid range. The range of valid ports is 30000-32767"
                yield status.invalid_value(f"spec.ports[{index}].nodePort", wanted, detail)
            taken.add(wanted)
