"""What has become of an object, told on the object itself? The leader writes its status where it differs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from http import HTTPStatus

from meshlab.controlplane.reader import Store
from meshlab.errors import ClusterError
from meshlab.kube import ApiError, Kind, Kube, Object, Ref
from meshlab.kube.client import JSON_PATCH
from meshlab.kube.objects import INGRESS_BACKEND, UPSTREAM_TRAFFIC_SETTING
from meshlab.mesh.finding import Finding, Severity

log = logging.getLogger(__name__)

_RETRY_SECONDS = 1.0
_JUDGED = (UPSTREAM_TRAFFIC_SETTING, INGRESS_BACKEND)
"""The kinds that have a status of this form in OSM."""


class StatusWriter:
    """Remembers which status each object should have; `run`, in the leader, writes those that differ.

    The API server may be slow or away: nobody waits for a status, and only the newest one wanted is written.
    """

    def __init__(self, kube: Kube, store: Callable[[Kind], Store]) -> None:
        self._kube = kube
        self._store = store
        self._wanted: dict[tuple[Kind, str, str], Object] = {}
        self._arrived = asyncio.Event()

    def want(self, kind: Kind, namespace: str, name: str, status: Object) -> None:
        """Have this be the whole status of an object, if it still exists."""
        self._wanted[kind, namespace, name] = status
        self._arrived.set()

    def judge(self, findings: Iterable[Finding]) -> None:
        """Tell each object of OSM's kinds whether it counts, in OSM's words: `committed`, or `error` and why."""
        wrong = {item.about: item for item in findings if item.severity is Severity.ERROR}
        for kind in _JUDGED:
            for namespace, name in self._store(kind):
                self.want(kind, namespace, name, _verdict(wrong.get(str(Ref(kind.kind, name, namespace)))))

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._wanted:
                (kind, namespace, name), status = self._wanted.popitem()
                obj = self._store(kind).get((namespace, name))
                if obj is None or obj.get("status") == status:
                    continue
                try:
                    await self._write(kind, namespace, name, status)
                except ClusterError as error:
                    log.warning("the status of %s can't be written yet: %s", Ref(kind.kind, name, namespace), error)
                    self._wanted.setdefault((kind, namespace, name), status)
                    await asyncio.sleep(_RETRY_SECONDS)

    async def _write(self, kind: Kind, namespace: str, name: str, status: Object) -> None:
        whole = [{"op": "add", "path": "/status", "value": status}]
        try:
            await self._kube.patch(kind, name, whole, namespace, content_type=JSON_PATCH, subresource="status")
        except ApiError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise


def _verdict(finding: Finding | None) -> Object:
    if finding is None:
        return {"currentStatus": "committed", "reason": "it holds"}
    where = f"{finding.field}: " if finding.field else ""
    return {"currentStatus": "error", "reason": f"{finding.code} {where}{finding.what}"}
