"""How does a policy's author learn that it has become wrong? By an Event on it, which ``kubectl describe`` shows."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from http import HTTPStatus

from meshlab.controlplane.reader import Store
from meshlab.errors import ClusterError
from meshlab.kube import ApiError, Kind, Kube, Object
from meshlab.kube.objects import EVENT
from meshlab.mesh.finding import Finding

log = logging.getLogger(__name__)

_COMPONENT = "meshlab-controller"
_RETRY_SECONDS = 1.0
_AGAIN_SECONDS = 1800.0
"""Clusters keep an Event for an hour: what stays wrong is told again."""
_MOST_OF_AN_OBJECT = 10


class Events:
    """Tells each policy object of the findings about it, once while they last. The leader's work.

    An Event's name comes from what it says, so that the next leader goes on counting where this one ended.
    """

    def __init__(self, kube: Kube, kinds: Iterable[Kind], store: Callable[[Kind], Store]) -> None:
        self._kube = kube
        self._kinds = {kind.kind: kind for kind in kinds}
        self._store = store
        self._standing: tuple[Finding, ...] = ()
        self._told: dict[Finding, float] = {}
        self._changed = asyncio.Event()

    def want(self, findings: Iterable[Finding]) -> None:
        """What is wrong now."""
        standing = tuple(findings)
        if standing != self._standing:
            self._standing = standing
            self._changed.set()

    async def run(self) -> None:
        """Tell what is new, and from time to time what has not been cured; until cancelled."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(_AGAIN_SECONDS):  # wait_for of Python 3.11 may swallow a cancellation
                    await self._changed.wait()
            self._changed.clear()
            try:
                await self._tell()
            except ClusterError as error:
                log.warning("events can't be written yet: %s", error)
                self._changed.set()
                await asyncio.sleep(_RETRY_SECONDS)

    async def _tell(self) -> None:
        now = asyncio.get_running_loop().time()
        standing = set(self._standing)
        self._told = {finding: time for finding, time in self._told.items() if finding in standing}
        counts: dict[str, int] = {}
        for finding in self._standing:
            counts[finding.about] = counts.get(finding.about, 0) + 1
            is_due = now - self._told.get(finding, -_AGAIN_SECONDS) >= _AGAIN_SECONDS
            if is_due and counts[finding.about] <= _MOST_OF_AN_OBJECT and (obj := self._object(finding)):
                await self._write(obj, finding)
                self._told[finding] = now

    def _object(self, finding: Finding) -> Object | None:
        kind, _, full_name = finding.about.partition(" ")
        namespace, _, name = full_name.partition("/")
        return self._store(self._kinds[kind]).get((namespace, name)) if kind in self._kinds else None

    async def _write(self, obj: Object, finding: Finding) -> None:
        metadata = obj["metadata"]
        namespace = metadata["namespace"]
        digest = hashlib.sha256(f"{metadata['uid']} {finding}".encode()).hexdigest()[:16]
        name = f"{metadata['name'][:200]}.{digest}"
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        try:
            if known := await self._kube.find(EVENT, name, namespace):
                again = {"count": known.get("count", 1) + 1, "lastTimestamp": now}
                await self._kube.patch(EVENT, name, again, namespace)
            else:
                await self._kube.create(_event(obj, finding, name, now))
        except ApiError as error:
            # The namespace ends, or the object's name can't be that of an Event: nobody is left to tell.
            if error.status not in {HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY}:
                raise
            log.debug("no event about %s: %s", finding.about, error)


def _event(obj: Object, finding: Finding, name: str, now: str) -> Object:
    metadata: Mapping[str, str] = obj["metadata"]
    about = {key: metadata[key] for key in ("name", "namespace", "uid", "resourceVersion")}
    return {
        "apiVersion": EVENT.api_version,
        "kind": EVENT.kind,
        "metadata": {"name": name, "namespace": metadata["namespace"]},
        "involvedObject": {"apiVersion": obj["apiVersion"], "kind": obj["kind"], **about},
        "type": "Warning",
        "reason": finding.code,
        "message": f"{finding.field}: {finding.what}. Hint: {finding.cure}"[:1024],
        "source": {"component": _COMPONENT},
        "reportingComponent": _COMPONENT,
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    }
