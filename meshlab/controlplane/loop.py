"""What happens when something changes? Read, compile, push, and remember what became of it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Any

from meshlab.controlplane.facts import has_running_proxy
from meshlab.controlplane.push import Pusher
from meshlab.controlplane.reader import Reader, Seen
from meshlab.controlplane.receipts import Push, Receipts
from meshlab.controlplane.svids import Svids
from meshlab.controlplane.world import Reading, WorldReader
from meshlab.kube.objects import POD
from meshlab.mesh.finding import Finding
from meshlab.mesh.settings import Settings
from meshlab.mesh.world import World

log = logging.getLogger(__name__)


class Loop:
    """The one owner of what the control plane knows. Others read `reading`, which is replaced whole."""

    def __init__(self, reader: Reader, worlds: WorldReader, svids: Svids, pusher: Pusher, receipts: Receipts) -> None:
        self._reader = reader
        self._worlds = worlds
        self._svids = svids
        self._pusher = pusher
        self._receipts = receipts
        self.reading = Reading(World(), (), Settings())
        self.generation = 0
        self._unread: set[str] = set()
        """Kinds with changes that no turn has taken in yet: what a failed turn leaves to the next."""
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
        began = min((change.time for change in batch), default=now())
        self._unread |= {change.ref.kind for change in batch}
        self.reading = self._worlds.read(self._unread)
        self._unread.clear()
        self._log_findings()
        self._svids.lifetime = self.reading.settings.certificate_validity
        await self._svids.ensure({workload.identity for workload in self.reading.world.workloads if workload.meshed})
        concerned = self._pusher.push(self.reading.world, self._svids.__getitem__)
        self.generation += bool(concerned)
        milliseconds = (now() - began) * 1000
        if concerned:
            log.info("generation %d: %d proxies told after %.1f ms", self.generation, len(concerned), milliseconds)
        expected = {node: wanted for node, wanted in concerned.items() if self._will_answer(node)}
        await self._receipts.record(batch, Push(self.generation, milliseconds, expected))
        for hear in self.on_findings:
            hear(self.findings())
        self.ready.set()

    def findings(self) -> tuple[Finding, ...]:
        """What is wrong now: in the policies, and in configurations that can't be made."""
        return (*self.reading.findings, *self._pusher.findings.values())

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
