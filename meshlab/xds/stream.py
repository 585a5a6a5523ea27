"""What is sent next on one stream? The order of discovery, without any I/O.

Stages keep traffic whole while it is rearranged (make before break): what is pointed at goes before what
points at it. A stage waits until the proxy has answered for the one before; removals go last, backwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest, DeltaDiscoveryResponse

from meshlab.xds.resource import Resource, TypeUrl
from meshlab.xds.snapshot import Snapshot
from meshlab.xds.subscription import Subscription

Stages = Sequence[Sequence[TypeUrl]]


class Stream:
    """The subscriptions of one connection, and the next response that they call for."""

    def __init__(self, stages: Stages) -> None:
        self.stages = stages
        self.subscriptions: dict[TypeUrl, Subscription] = {}
        self._staged: list[list[Subscription]] = []
        """The same, by stage."""
        self._nonces = count(1)
        self._renewed: set[tuple[TypeUrl, str]] = set()
        """What was made to be waited for anew before the proxy asked for its type."""

    def receive(self, request: DeltaDiscoveryRequest) -> Subscription | None:
        """Take a request; the subscription whose response it answers, if it answers one."""
        subscription = self.subscriptions.get(request.type_url)
        if subscription is None:
            self._open(request)
            return None
        return subscription if subscription.receive(request) else None

    def is_idle(self, snapshot: Snapshot) -> bool:
        """Whether it is plain without looking that there is nothing to send, and nothing in flight."""
        return all(one.flight is None and one.is_idle(snapshot) for one in self.subscriptions.values())

    def next(self, snapshot: Snapshot) -> tuple[Subscription, bytes] | None:
        """The next response and what it belongs to; None while there is nothing to send, or it must wait."""
        for stage in self._staged:
            for subscription in stage:
                if subscription.flight is None and not subscription.is_idle(snapshot):
                    changed, _ = subscription.lacking(snapshot)
                    if changed or subscription.owes:
                        return subscription, self._respond(subscription, snapshot, changed, [])
            if any(subscription.flight for subscription in stage):
                return None
        for stage in reversed(self._staged):
            for subscription in stage:
                if not subscription.is_idle(snapshot) and (gone := subscription.lacking(snapshot)[1]):
                    return subscription, self._respond(subscription, snapshot, [], gone)
        return None

    def settled(self, snapshot: Snapshot) -> bool:
        """Whether the proxy has answered for all that the snapshot holds.

        A refusal ends the wait too: what hangs on the refused resource will never be asked for.
        """
        open_types = self.subscriptions.values()
        if any(subscription.flight for subscription in open_types):
            return False
        if any(subscription.refused for subscription in open_types):
            return True
        return (
            snapshot.versions.keys() <= self.subscriptions.keys()
            and all(subscription.settled(snapshot) for subscription in open_types)
            and not any(subscription.lacking(snapshot)[1] for subscription in open_types)
        )

    def _open(self, request: DeltaDiscoveryRequest) -> None:
        subscription = self.subscriptions[request.type_url] = Subscription.opened_by(request)
        for url, name in self._renewed:
            if url == request.type_url:
                subscription.renew(name)
        self._renewed = {pair for pair in self._renewed if pair[0] != request.type_url}
        opened = self.subscriptions
        self._staged = [[opened[url] for url in stage if url in opened] for stage in self.stages]

    def _respond(
        self, subscription: Subscription, snapshot: Snapshot, changed: list[Resource], gone: list[str]
    ) -> bytes:
        nonce = str(next(self._nonces))
        version = snapshot.version_of(subscription.url)
        subscription.sent(nonce, changed, gone, version)
        for url, name in (pair for resource in changed for pair in resource.renews):
            if url in self.subscriptions:
                self.subscriptions[url].renew(name)
            else:
                self._renewed.add((url, name))
        frame = DeltaDiscoveryResponse(
            type_url=subscription.url, nonce=nonce, removed_resources=gone, system_version_info=version
        )
        return b"".join((frame.SerializeToString(), *(resource.body for resource in changed)))
