"""Which of several control planes do the proxies talk to? The one that holds a Lease.

The rules are those of Kubernetes' own components, so that clocks need not agree: a holder renews, and a lease
may be taken when a candidate has seen it unchanged for as long as it is given. Whoever writes names the version
it has read, so that of two the API server lets one win. Why not the Kubernetes client's election: decision 0053.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus

from meshlab.errors import ClusterError
from meshlab.kube import ApiError, Kube, Object, Reflector
from meshlab.kube.objects import LEASE, reaches

log = logging.getLogger(__name__)

NAME = "meshlab-controller"

_RETRY_SECONDS = 0.5
_FAREWELL_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Terms:
    """How long a lease holds, in seconds. A renewal is one small write.

    A slow API server or a stalled process may take seven seconds for a renewal before a leader gives up; the rest
    is for clocks of different pace, and for its streams to be closed before there is another leader.
    """

    lease: int = 12
    give_up: float = 9.0
    renew: float = 2.0


TERMS = Terms()


class Election:
    """One candidate, by the name of its pod: what restarts in the same pod is the same candidate."""

    def __init__(self, kube: Kube, namespace: str, me: str, terms: Terms = TERMS) -> None:
        self._kube = kube
        self._namespace = namespace
        self._me = me
        self._terms = terms
        self._leases = Reflector(kube, LEASE, namespace, fields=f"metadata.name={NAME}")
        self._lease: Object | None = None
        self._since = 0.0
        """When this version of the lease was seen first."""
        self._known = False
        self._changed = asyncio.Event()
        self._deadline = 0.0
        """Until when what was last written surely holds."""

    @property
    def leader(self) -> str:
        """Who holds the lease, as far as this candidate knows; empty when nobody does."""
        return _holder(self._lease)

    async def run(self, lead: Callable[[], AbstractAsyncContextManager[None]]) -> None:
        """Stand until cancelled. `lead()` is entered with the lease, and left when it is lost.

        When cancelled the lease is given up first, so that another leads at once.
        """
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch())
            while True:
                await self._obtain()
                log.info("%s leads", self._me)
                async with lead():
                    try:
                        await self._keep()
                    except asyncio.CancelledError:
                        await self._release()
                        raise
                lost_to = f"{self.leader} does" if self.leader != self._me else "its lease was not renewed in time"
                log.warning("%s leads no more: %s", self._me, lost_to)

    async def _watch(self) -> None:
        async for change in self._leases.changes():
            if change.type == "SYNCED":
                self._known = True
                self._changed.set()
            else:
                self._note(None if change.type == "DELETED" else change.object)

    def _note(self, lease: Object | None) -> None:
        """Take in what the lease is, or was: a watch may tell of a version later than the answer to a write."""
        if lease is None or self._lease is None or not reaches(_version(self._lease), _version(lease)):
            self._lease, self._since = lease, _now()
            self._changed.set()

    async def _obtain(self) -> None:
        while True:
            self._changed.clear()
            if (wait := self._wait()) <= 0:
                if await self._write(self._me, self._terms.give_up):
                    return
                wait = _RETRY_SECONDS
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._changed.wait()

    def _wait(self) -> float:
        """How long until this candidate may take the lease, if nothing happens."""
        if not self._known:
            return self._terms.lease
        if self._lease is None or self._is_mine_or_nobodys():
            return 0
        given = self._lease["spec"].get("leaseDurationSeconds") or self._terms.lease
        return float(self._since + given - _now())

    async def _keep(self) -> None:
        """Renew; until the lease is lost, or may be before an answer comes.

        A process that was stopped past its deadline tries once more: perhaps nobody has missed it.
        """
        while True:
            await asyncio.sleep(self._terms.renew)
            end = max(self._deadline, _now() + _RETRY_SECONDS)
            while not (self._is_mine_or_nobodys() and await self._write(self._me, end - _now())):
                if not self._is_mine_or_nobodys() or _now() + _RETRY_SECONDS >= end:
                    return
                await asyncio.sleep(_RETRY_SECONDS)

    def _is_mine_or_nobodys(self) -> bool:
        """What another has taken meanwhile is not taken back."""
        return self.leader in {"", self._me}

    async def _release(self) -> None:
        """Give the lease up. A renewal that was cut off may have been written: then the second attempt knows of it."""
        for _ in range(2):
            if self.leader != self._me or await self._write("", _FAREWELL_SECONDS):
                return

    async def _write(self, holder: str, patience: float) -> bool:
        """Whether the lease now says so. If not, it is known anew where that can be had."""
        began = _now()
        try:
            async with asyncio.timeout(patience):
                self._note(await self._put(holder))
        except ApiError as error:
            if error.status in {HTTPStatus.CONFLICT, HTTPStatus.NOT_FOUND}:
                await self._read(patience)
            else:
                log.warning("the lease can't be written: %s", error)
            return False
        except (ClusterError, TimeoutError) as error:
            log.warning("the lease can't be written: %s", str(error) or "no answer in time")
            return False
        self._deadline = began + self._terms.give_up
        return True

    async def _put(self, holder: str) -> Object:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        spec = {"holderIdentity": holder, "leaseDurationSeconds": self._terms.lease, "renewTime": now}
        if self._lease is None:
            metadata = {"name": NAME, "namespace": self._namespace}
            spec |= {"acquireTime": now, "leaseTransitions": 0}
            return await self._kube.create(
                {"apiVersion": LEASE.api_version, "kind": LEASE.kind, "metadata": metadata, "spec": spec}
            )
        before = self._lease["spec"]
        if holder != self.leader:
            spec |= {"acquireTime": now, "leaseTransitions": before.get("leaseTransitions", 0) + bool(holder)}
        return await self._kube.replace({**self._lease, "spec": {**before, **spec}})

    async def _read(self, patience: float) -> None:
        with suppress(ClusterError, TimeoutError):
            async with asyncio.timeout(patience):
                self._note(await self._kube.find(LEASE, NAME, self._namespace))


def _holder(lease: Object | None) -> str:
    return str(((lease or {}).get("spec") or {}).get("holderIdentity") or "")


def _version(lease: Object) -> str:
    return str(lease["metadata"]["resourceVersion"])


def _now() -> float:
    return asyncio.get_running_loop().time()
