"""Is a running container started, ready, and to be left alive? Its three probes, joined."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from meshlab.cluster.embedded.node import probes


class Health:
    """Watches one instance of a container. Without a probe the answer is yes.

    `started` and `ready` are for the container's status; `changed` is called when one of them changes,
    `unhealthy(kind, why)` for each failed attempt, and `run` returns when the container must be restarted.
    """

    def __init__(
        self,
        spec: Mapping[str, Any],
        target: probes.Target,
        changed: Callable[[], None],
        unhealthy: Callable[[str, str], None],
    ) -> None:
        self._probes = {kind: spec.get(f"{kind}Probe") for kind in ("startup", "liveness", "readiness")}
        self._target = target
        self._changed = changed
        self._unhealthy = unhealthy
        self.started = self._probes["startup"] is None
        self.ready = self.started and self._probes["readiness"] is None

    async def run(self) -> str:
        """Probe until one says that the container must end; which one. Runs until cancelled otherwise."""
        if probe := self._probes["startup"]:
            if not await self._has_started(probe):
                return "startup"
            self.started, self.ready = True, self._probes["readiness"] is None
            self._changed()
        readiness = asyncio.create_task(self._follow_readiness())
        try:
            await self._has_died()
        finally:
            readiness.cancel()
        return "liveness"

    async def _has_started(self, probe: Mapping[str, Any]) -> bool:
        async for result, decided in probes.follow(probe, self._target, eager=True):
            if not result.ok:
                self._unhealthy("Startup", result.why)
            if decided:
                return result.ok
        return False

    async def _follow_readiness(self) -> None:
        if probe := self._probes["readiness"]:
            async for result, decided in probes.follow(probe, self._target, eager=True):
                if not result.ok:
                    self._unhealthy("Readiness", result.why)
                if decided and self.ready != result.ok:
                    self.ready = result.ok
                    self._changed()

    async def _has_died(self) -> None:
        if probe := self._probes["liveness"]:
            async for result, decided in probes.follow(probe, self._target, eager=False):
                if not result.ok:
                    self._unhealthy("Liveness", result.why)
                    if decided:
                        return
        await asyncio.Future()
