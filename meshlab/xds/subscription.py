"""What does one proxy still lack of one type? The bookkeeping of delta discovery, without any I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest

from meshlab.xds.resource import Resource, TypeUrl
from meshlab.xds.snapshot import Snapshot

WILDCARD = "*"
_ABSENT = ""
"""Known version of a name that the proxy was told does not exist."""


@dataclass(slots=True)
class Flight:
    """A response that waits for its ACK or NACK."""

    nonce: str
    versions: Mapping[str, str]
    """What the response said: name to version, `_ABSENT` for what it removed."""
    type_version: str


@dataclass(slots=True)
class Subscription:
    """One type on one stream: what the proxy asked for, has, and has acknowledged.

    One response is in flight at a time. What changes meanwhile is folded into the next, so a slow proxy
    costs no memory and a burst of changes is sent as one.
    """

    url: TypeUrl
    wildcard: bool = False
    names: set[str] = field(default_factory=set)
    known: dict[str, str] = field(default_factory=dict)
    """Name to version, as sent or as the proxy said it had when it connected."""
    answered: dict[str, str] = field(default_factory=dict)
    """The part of `known` that the proxy has answered for, by ACK or NACK."""
    owes: bool = False
    """The proxy knows nothing and waits for a first word, if only that there is nothing."""
    flight: Flight | None = None
    refused: str = ""

    @classmethod
    def opened_by(cls, request: DeltaDiscoveryRequest) -> Subscription:
        """From the first request for a type. One that names nothing asks for everything."""
        subscription = cls(request.type_url, wildcard=not request.resource_names_subscribe)
        subscription.owes = subscription.wildcard and not request.initial_resource_versions
        subscription.known.update(request.initial_resource_versions)
        subscription.answered.update(request.initial_resource_versions)
        subscription._follow(request, held=request.initial_resource_versions)
        return subscription

    def receive(self, request: DeltaDiscoveryRequest) -> bool:
        """Take a later request; whether it answered what was in flight."""
        self._follow(request, held={})
        if self.flight is None or request.response_nonce != self.flight.nonce:
            return False
        self.answered.update(self.flight.versions)
        self.refused = request.error_detail.message if request.HasField("error_detail") else ""
        self.flight = None
        return True

    def changed(self, snapshot: Snapshot) -> list[Resource]:
        """The resources that differ from what the proxy has."""
        available = snapshot.of_type(self.url)
        if self.wildcard:
            wanted: Iterable[Resource] = available.values()
        else:
            wanted = (available[name] for name in self.names if name in available)
        return [resource for resource in wanted if self.known.get(resource.name) != resource.version]

    def gone(self, snapshot: Snapshot) -> list[str]:
        """The names that do not exist and of which the proxy has to hear that.

        What it holds by name it drops by itself, with whatever made it ask.
        """
        available = snapshot.of_type(self.url)
        held = self.known if self.wildcard else ()
        absent = {name for name in held if name not in available and self.known[name] != _ABSENT}
        absent |= {name for name in self.names if name not in available and name not in self.known}
        return sorted(absent)

    def sent(self, nonce: str, resources: Iterable[Resource], removed: Iterable[str], type_version: str) -> None:
        """A response is on its way."""
        versions = {resource.name: resource.version for resource in resources}
        versions.update(dict.fromkeys(removed, _ABSENT))
        self.known.update(versions)
        self.owes = False
        self.flight = Flight(nonce, versions, type_version)

    def renew(self, name: str) -> None:
        """Send a resource again, though the proxy has it."""
        if name in self.names:
            self.known.pop(name, None)

    def settled(self, snapshot: Snapshot) -> bool:
        """Whether the proxy has answered for everything of this type. What it refused, it has answered."""
        if self.flight is not None:
            return False
        available = snapshot.of_type(self.url)
        return all(self.answered.get(name) == resource.version for name, resource in available.items())

    def _follow(self, request: DeltaDiscoveryRequest, held: Mapping[str, str]) -> None:
        for name in request.resource_names_subscribe:
            if name == WILDCARD:
                self.wildcard = True
                continue
            self.names.add(name)
            if name not in held:
                self.known.pop(name, None)  # it asks because it has nothing, whatever was sent before
        for name in request.resource_names_unsubscribe:
            if name == WILDCARD:
                self.wildcard = False
            self.names.discard(name)
            if not self.wildcard:
                self.known.pop(name, None)
                self.answered.pop(name, None)
