"""Which address does a pod get? Each in turn, so that one is not soon reused; a pod that has one keeps it."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address
from itertools import chain

from meshlab.errors import ClusterError
from meshlab.kube import Object


class Pool:
    """The addresses <block>.0.2 to <block>.127.254; <block> is the first two bytes."""

    def __init__(self, block: str, pods: Iterable[Object]) -> None:
        """`pods` are those the cluster knows on this node: their addresses stay theirs."""
        self._first, self._last = IPv4Address(f"{block}.0.2"), IPv4Address(f"{block}.127.254")
        self._next = self._first
        self._taken: dict[str, str] = {}
        for pod in pods:
            if address := (pod.get("status") or {}).get("podIP"):
                self._taken[address] = pod["metadata"]["uid"]
                if self._first <= IPv4Address(address) < self._last:
                    self._next = max(self._next, IPv4Address(address) + 1)

    def take(self, pod: Object) -> str:
        """A pod's address, the one in its status if it has one. Raises ClusterError ML140 when none is free."""
        uid, address = pod["metadata"]["uid"], (pod.get("status") or {}).get("podIP")
        if not address or self._taken.get(address, uid) != uid:
            address = next((taken for taken, owner in self._taken.items() if owner == uid), None) or self._free()
        self._taken[address] = uid
        return str(address)

    def give_back(self, pod: Object) -> None:
        """A pod needs its address no longer."""
        uid = pod["metadata"]["uid"]
        self._taken = {address: owner for address, owner in self._taken.items() if owner != uid}

    def _free(self) -> str:
        first, last, start = int(self._first), int(self._last), int(self._next)
        for number in chain(range(start, last + 1), range(first, start)):
            address = str(IPv4Address(number))
            if number & 0xFF not in (0, 0xFF) and address not in self._taken:
                self._next = IPv4Address(number + 1) if number < last else self._first
                return address
        raise ClusterError("ML140", "every pod address of this lab is taken", hint="kubectl get pods -A -o wide")
