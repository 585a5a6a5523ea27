"""How do controllers and the node tell a person what they did, so that `kubectl describe` shows it?"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from http import HTTPStatus
from typing import Any

from meshlab.cluster.embedded.clock import now
from meshlab.errors import ClusterError
from meshlab.kube import ApiError, Kube, Object
from meshlab.kube.objects import EVENT

log = logging.getLogger(__name__)

_REMEMBERED = 2048
_WAITING = 1000
_COMPONENT_NAMESPACE = "default"

_Sameness = tuple[str, str, str, str]


class Recorder:
    """Writes Events in the name of one component. An Event that happens again only counts up.

    `record` returns at once and never fails: an Event is help for a reader, not a part of the work.
    """

    def __init__(self, kube: Kube, component: str, host: str = "") -> None:
        self._kube = kube
        self._source = {"component": component, **({"host": host} if host else {})}
        self._known: OrderedDict[_Sameness, Object] = OrderedDict()
        self._waiting: asyncio.Queue[Object] = asyncio.Queue(_WAITING)
        self._sender: asyncio.Task[None] | None = None

    def record(self, about: Object, reason: str, message: str, *, warning: bool = False, field: str = "") -> None:
        """Say that something happened to an object; `field` names a part of it (`spec.containers{web}`)."""
        if self._waiting.full():
            return
        self._waiting.put_nowait(self._event(about, reason, message, "Warning" if warning else "Normal", field))
        if self._sender is None or self._sender.done():
            self._sender = asyncio.get_running_loop().create_task(self._send_all())

    async def flush(self) -> None:
        """Return when everything recorded so far is written."""
        if self._sender:
            await asyncio.wait([self._sender])

    def _event(self, about: Object, reason: str, message: str, type_: str, field: str) -> Object:
        metadata = about["metadata"]
        involved = {
            "apiVersion": about.get("apiVersion", "v1"),
            "kind": about["kind"],
            "name": metadata["name"],
            "uid": metadata.get("uid", ""),
            "resourceVersion": metadata.get("resourceVersion", ""),
        }
        if metadata.get("namespace"):
            involved["namespace"] = metadata["namespace"]
        if field:
            involved["fieldPath"] = field
        moment = now()
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {
                "name": f"{metadata['name']}.{time.time_ns():x}",
                "namespace": metadata.get("namespace") or _COMPONENT_NAMESPACE,
            },
            "involvedObject": involved,
            "reason": reason,
            "message": message[:1024],
            "type": type_,
            "count": 1,
            "firstTimestamp": moment,
            "lastTimestamp": moment,
            "source": self._source,
            "reportingComponent": self._source["component"],
            "reportingInstance": self._source.get("host", ""),
        }

    async def _send_all(self) -> None:
        while not self._waiting.empty():
            event = self._waiting.get_nowait()
            try:
                await self._send(event)
            except ClusterError as error:
                log.debug("an Event was lost: %s", error)

    async def _send(self, event: Object) -> None:
        sameness = _sameness(event)
        known = self._known.get(sameness)
        if known and await self._count_up(known, event["lastTimestamp"]):
            self._known.move_to_end(sameness)
            return
        await self._kube.create(event)
        self._known[sameness] = event
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)

    async def _count_up(self, known: Object, moment: str) -> bool:
        """Whether the Event was still there to be counted up."""
        known["count"] += 1
        metadata: dict[str, Any] = known["metadata"]
        body = {"count": known["count"], "lastTimestamp": moment}
        try:
            await self._kube.patch(EVENT, metadata["name"], body, metadata["namespace"])
        except ApiError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return False
            raise
        return True


def _sameness(event: Object) -> _Sameness:
    involved = event["involvedObject"]
    return involved["uid"], event["reason"], event["message"], involved.get("fieldPath", "")
