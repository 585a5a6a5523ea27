"""How long are events kept? An hour, as on any cluster: they are news, not a record."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging

from meshlab.cluster.embedded.apiserver.store import StorageError, Store, VersionConflictError

log = logging.getLogger(__name__)

KEPT = dt.timedelta(hours=1)
_EVENTS = "events"
_ROUND_SECONDS = 60.0


async def expire_events(store: Store) -> None:
    """Delete what is too old, now and every minute, until cancelled."""
    while True:
        try:
            await delete_events_before(store, dt.datetime.now(dt.UTC) - KEPT)
        except StorageError as error:
            log.warning("%s", error)
        await asyncio.sleep(_ROUND_SECONDS)


async def delete_events_before(store: Store, moment: dt.datetime) -> None:
    """Delete the events that were last seen before a moment."""
    limit = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
    for event in store.list(_EVENTS):
        seen = event.obj.get("lastTimestamp") or event.obj["metadata"]["creationTimestamp"]
        if seen < limit:
            try:
                await store.write(_EVENTS, event.key, None, event.version)
            except VersionConflictError:
                continue  # it has just been seen again
