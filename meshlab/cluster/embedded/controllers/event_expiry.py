"""How long is an Event worth keeping?"""

from __future__ import annotations

import asyncio
import logging

from meshlab.cluster.embedded.clock import seconds_since
from meshlab.errors import ClusterError
from meshlab.kube import Kube, Object
from meshlab.kube.objects import EVENT

log = logging.getLogger(__name__)

_KEPT_SECONDS = 3600
_LOOK_EVERY_SECONDS = 300


class EventExpiry:
    """Deletes Events an hour after they last happened, as a real cluster's storage does."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            try:
                for event in await self._kube.list(EVENT):
                    if _age(event) > _KEPT_SECONDS:
                        await self._kube.delete(EVENT, event["metadata"]["name"], event["metadata"]["namespace"])
            except ClusterError as error:
                log.info("expiry of events: %s", error)
            await asyncio.sleep(_LOOK_EVERY_SECONDS)


def _age(event: Object) -> float:
    newest = (event.get("series") or {}).get("lastObservedTime") or event.get("lastTimestamp") or event.get("eventTime")
    return seconds_since(newest or event["metadata"]["creationTimestamp"])
