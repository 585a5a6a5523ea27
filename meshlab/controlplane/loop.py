"""What happens when something changes? Read, compile, push, and remember what became of it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import asdict, replace
from typing import Any

from meshlab.controlplane.facts import has_running_proxy
from meshlab.controlplane.overlays import OverlayKeeper
from meshlab.controlplane.push import Pusher
from meshlab.controlplane.reader import Reader, Seen
from meshlab.controlplane.receipts import Push, Receipts
from meshlab.controlplane.svids import Svids
from meshlab.controlplane.world import Reading, WorldReader
from meshlab.kube.objects import POD
from meshlab.mesh.finding import Finding
from meshlab.mesh.ingress import host_names
from meshlab.mesh.settings import Settings
from meshlab.mesh.world import World

log = logging.getLogger(__name__)


class Loop:
    """The one owner of what the control plane knows. Others read `reading`, which is replaced whole."""

    def __init__(
        self,
        reader: Reader,
        worlds: WorldReader,
        svids: Svids,
        pusher: Pusher,
        receipts: Receipts,
        overlays: OverlayKeeper,
    ) -> None:
        self._reader = reader
        self._worlds = worlds
        self._svids = svids
        self._pusher = pusher
        self._receipts = receipts
        self._overlays = overlays
        self.reading = Reading(World(), (), Settings())
        self.generation = 0
        self._unread: set[str] = set()
        """Kinds with changes that no turn has taken in yet: what a failed turn leaves to the next."""
        self._held: list[Seen] = []
        """Changes whose meaning is still being tried out."""
        self._logged: frozenset[Finding] = frozenset()
        self.on_findings: list[Callable[[tuple[Finding, ...]], None]] = []
        """Who wants to hear what is wrong, after each turn."""
        self.ready = asyncio.Event()
        """Set when the first world has been pushed."""

    async def run(self) -> None:
        """Turn until cancelled. A turn that fails is logged, and what was told before stays."""
        while True:
            batch = await self._reader.batch()
            try:
                await self._turn(batch)
            except Exception:
                log.exception("a change could not be taken in; the proxies keep what they have")

    async def _turn(self, batch: list[Seen]) -> None:
        now = asyncio.get_running_loop().time
        began = now()
        self._unread |= {change.ref.kind for change in batch}
        self.reading = self._worlds.read(self._unread)
        self._unread.clear()
        self._log_findings()
        self._pusher.serve_at_most(self.reading.settings.most_proxies)
        self._svids.lifetime = self.reading.settings.certificate_validity
        self._svids.names = {
            workload.identity: host_names(workload.identity, self.reading.world.gateway_routes)
            for workload in self.reading.world.workloads
            if workload.gateway
        }
        await self._svids.ensure({workload.identity for workload in self.reading.world.workloads if workload.meshed})
        await self._select_overlays()
        told = self._told_of(batch)
        concerned = self._pusher.push(self.reading.world, self._svids.__getitem__)
        self.generation += bool(concerned)
        milliseconds = (now() - min((change.time for change in told), default=began)) * 1000
        if concerned:
            log.info("generation %d: %d proxies told after %.1f ms", self.generation, len(concerned), milliseconds)
        expected = {node: wanted for node, wanted in concerned.items() if self._will_answer(node)}
        self._pusher.history.explain(concerned, (change.ref for change in told))
        await self._receipts.record(told, Push(self.generation, milliseconds, expected))
        for hear in self.on_findings:
            hear(self.findings())
        self.ready.set()

    async def _select_overlays(self) -> None:
        """Put those overlays into the world that are in force. Before the first push all are tried out: what proxies
        run by already must not be taken from them for a moment, because the control plane was restarted.
        """
        wanted = self.reading.world
        world = self._overlays.select(wanted)
        if not self.ready.is_set():
            await self._overlays.tried()
            world = self._overlays.select(wanted)
        self.reading = replace(self.reading, world=world)

    def _told_of(self, batch: list[Seen]) -> list[Seen]:
        """The changes whose meaning for the proxies is known now."""
        seen = [*self._held, *batch]
        self._held = [change for change in seen if self._overlays.awaits(change)]
        return [change for change in seen if change not in self._held]

    def findings(self) -> tuple[Finding, ...]:
        """What is wrong now: in the policies, and in configurations that can't be made."""
        return (*self.reading.findings, *self._pusher.all_findings(), *self._overlays.findings())

    def _will_answer(self, node: str) -> bool:
        """Whether a proxy is there to acknowledge. One that is yet to start reads the newest when it does."""
        name, _, namespace = node.rpartition(".")
        pod = self._reader.store(POD).get((namespace, name))
        return pod is not None and has_running_proxy(pod)

    def _log_findings(self) -> None:
        for finding in self.reading.findings:
            if finding not in self._logged:
                log.warning("%s", finding)
        self._logged = frozenset(self.reading.findings)


def as_json(findings: Iterable[Finding]) -> list[dict[str, Any]]:
    """Findings as plain JSON."""
    return [asdict(finding) for finding in findings]
