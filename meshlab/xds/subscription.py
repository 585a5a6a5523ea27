"""What does one proxy still lack of one type? The bookkeeping of delta discovery, without any I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import zip_longest
from sys import intern

from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest

from meshlab.xds.part import EMPTY, Part
from meshlab.xds.resource import Resource, TypeUrl
from meshlab.xds.snapshot import Snapshot

WILDCARD = "*"
_ABSENT = ""
"""Known version of a name that the proxy was told does not exist."""


@dataclass(slots=True)
class Flight:
    """A response that waits for its ACK or NACK."""

    nonce: str
    type_version: str


@dataclass(slots=True)
class Subscription:
    """One type on one stream: what the proxy asked for and has.

    One response is in flight at a time. What changes meanwhile is folded into the next, so a slow proxy
    costs no memory and a burst of changes is sent as one.
    """

    url: TypeUrl
    wildcard: bool = False
    names: set[str] = field(default_factory=set)
    known: dict[str, str] = field(default_factory=dict)
    """Name to version, as sent or as the proxy said it had when it connected."""
    unsettled: set[str] = field(default_factory=set)
    """The names where what the proxy has may not be what it is meant to have; nothing else is looked at."""
    meant: tuple[Part, ...] = ()
    """What `unsettled` was last brought up to date with."""
    owes: bool = False
    """The proxy knows nothing and waits for a first word, if only that there is nothing."""
    flight: Flight | None = None
    refused: str = ""

    @classmethod
    def opened_by(cls, request: DeltaDiscoveryRequest) -> Subscription:
        """From the first request for a type. One that names nothing asks for everything."""
        subscription = cls(request.type_url, wildcard=not request.resource_names_subscribe)
        held = {intern(name): intern(version) for name, version in request.initial_resource_versions.items()}
        subscription.owes = subscription.wildcard and not held
        subscription.known.update(held)
        subscription.unsettled.update(held)
        subscription._follow(request, held)
        return subscription

    def receive(self, request: DeltaDiscoveryRequest) -> bool:
        """Take a later request; whether it answered what was in flight."""
        self._follow(request, held={})
        if self.flight is None or request.response_nonce != self.flight.nonce:
            return False
        self.refused = request.error_detail.message if request.HasField("error_detail") else ""
        self.flight = None
        return True

    def is_idle(self, snapshot: Snapshot) -> bool:
        """Whether it is plain without looking that the proxy has everything of this type."""
        return snapshot.parts is self.meant and not self.unsettled and not self.owes

    def lacking(self, snapshot: Snapshot) -> tuple[list[Resource], list[str]]:
        """The resources that differ from what the proxy has, and the names it has to hear are gone.

        What it holds by name and is gone it drops by itself, with whatever made it ask.
        """
        self._look_at(snapshot)
        changed, gone, unsettled = [], [], set[str]()
        for name in self.unsettled:
            resource, known = snapshot.get(self.url, name), self.known.get(name)
            if resource is not None:
                if known != resource.version:
                    unsettled.add(name)
                    if self.wildcard or name in self.names:
                        changed.append(resource)
            elif (known and self.wildcard) or (known is None and name in self.names):
                unsettled.add(name)
                gone.append(name)
        self.unsettled = unsettled  # another set: one that once held a hundred names keeps room for them
        return changed, sorted(gone)

    def sent(self, nonce: str, resources: Iterable[Resource], removed: Iterable[str], type_version: str) -> None:
        """A response is on its way."""
        versions = {resource.name: resource.version for resource in resources}
        versions.update(dict.fromkeys(removed, _ABSENT))
        self.known.update(versions)
        self.unsettled = self.unsettled - versions.keys()
        self.owes = False
        self.flight = Flight(nonce, type_version)

    def renew(self, name: str) -> None:
        """Send a resource again, though the proxy has it."""
        if name in self.names:
            self._forget(name)

    def settled(self, snapshot: Snapshot) -> bool:
        """Whether the proxy has answered for everything of this type. What it refused, it has answered."""
        self._look_at(snapshot)
        return self.flight is None and all(
            (resource := snapshot.get(self.url, name)) is None or self.known.get(name) == resource.version
            for name in self.unsettled
        )

    def _look_at(self, snapshot: Snapshot) -> None:
        """Note the names of which something else is meant than before."""
        if snapshot.parts is not self.meant:
            for before, now in zip_longest(self.meant, snapshot.parts, fillvalue=EMPTY):
                if before is not now:
                    self.unsettled |= now.differing(before, self.url)
            self.meant = snapshot.parts

    def _forget(self, name: str) -> None:
        self.known.pop(name, None)
        self.unsettled.add(name)

    def _follow(self, request: DeltaDiscoveryRequest, held: Mapping[str, str]) -> None:
        for name in request.resource_names_subscribe:
            if name == WILDCARD:
                self.wildcard = True
                self._start_over()
                continue
            self.names.add(intern(name))
            if name not in held:
                self._forget(intern(name))  # it asks because it has nothing, whatever was sent before
        for name in request.resource_names_unsubscribe:
            if name == WILDCARD:
                self.wildcard = False
                self._start_over()
            self.names.discard(name)
            if not self.wildcard:
                self._forget(name)

    def _start_over(self) -> None:
        """Look at every name again: other ones are asked for."""
        self.unsettled.update(self.known)
        self.meant = ()
