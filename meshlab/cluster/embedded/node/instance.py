"""What is one run of a container: a process with its probes and hooks?"""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any
from weakref import WeakSet

from meshlab.cluster.embedded.node import probes, runtime
from meshlab.cluster.embedded.node.console import Console
from meshlab.cluster.embedded.node.execution import Execution
from meshlab.cluster.embedded.node.health import Health
from meshlab.cluster.embedded.node.logs import ContainerLog
from meshlab.cluster.embedded.node.place import Place
from meshlab.cluster.embedded.node.runtime import Command, Process, Run


class Instance:
    """A started process. `run` returns its exit code; `end` makes it end in an orderly way."""

    def __init__(
        self,
        place: Place,
        spec: Mapping[str, Any],
        command: Command,
        process: Process,
        console: Console,
        changed: Callable[[], None],
    ) -> None:
        self.command = command
        self.console = console
        self.ended = asyncio.Event()
        self.companions: WeakSet[Execution] = WeakSet()
        """Commands that somebody runs beside it: they end with it."""
        self._place = place
        self._spec = spec
        self._process = process
        ports = {port["name"]: port["containerPort"] for port in spec.get("ports") or [] if port.get("name")}
        self._target = probes.Target(
            place.attachment.address, ports, self._execute, place.host.http, place.host.network.connect
        )
        self.health = Health(spec, self._target, changed, self._unhealthy)
        self._record = place.sessions / str(process.record)
        self.id = f"process://{process.record}"

    @classmethod
    async def start(
        cls, place: Place, spec: Mapping[str, Any], command: Command, log: ContainerLog, changed: Callable[[], None]
    ) -> Instance:
        """Start a command as a container. Raises StartError."""
        console = Console(spec, log)
        process = await Process.start(command, console.ends)
        console.begin()
        return cls(place, spec, command, process, console, changed)

    @property
    def pids(self) -> list[int]:
        """The first process of the container, and of each command that somebody runs in it."""
        return [self._process.pid, *(each.pid for each in self.companions if each.is_running)]

    async def run(self) -> int:
        """Watch over the process until it ends; its exit code."""
        self._record.parent.mkdir(parents=True, exist_ok=True)
        self._record.touch()
        watch = asyncio.create_task(self._watch())
        try:
            code = await self._process.wait()
            await self.console.finish()
        except asyncio.CancelledError:
            self._process.signal(signal.SIGKILL)
            raise
        else:
            return code
        finally:
            self.ended.set()
            for companion in self.companions:
                companion.kill()
            self.console.stop()
            watch.cancel()
            self._record.unlink(missing_ok=True)

    async def end(self, grace: float, message: str) -> None:
        """The preStop hook, then SIGTERM, then SIGKILL when the grace period is over."""
        deadline = time.monotonic() + grace
        self._say("Killing", message)
        await self._call_hook("preStop", grace)
        await self._process.stop(max(0.0, deadline - time.monotonic()))

    async def _watch(self) -> None:
        grace = float(self._place.pod["spec"].get("terminationGracePeriodSeconds", 30))
        name = self._spec["name"]
        if not await self._call_hook("postStart", grace):
            await self.end(grace, f"FailedPostStartHook: container {name} will be restarted")
            return
        kind = await self.health.run()
        grace = float(self._spec[f"{kind}Probe"].get("terminationGracePeriodSeconds", grace))
        await self.end(grace, f"Container {name} failed {kind} probe, will be restarted")

    async def _call_hook(self, which: str, seconds: float) -> bool:
        """Whether a hook went well; one that isn't there does."""
        hook = (self._spec.get("lifecycle") or {}).get(which)
        if not hook:
            return True
        if "sleep" in hook:
            await asyncio.sleep(min(hook["sleep"]["seconds"], seconds))
            return True
        result = await probes.attempt({**hook, "timeoutSeconds": seconds}, self._target)
        if not result.ok:
            word = f"{which[0].upper()}{which[1:]}Hook"
            self._say(f"Failed{word}", f"{word} failed: {result.why}", warning=True)
        return result.ok

    async def _execute(self, argv: list[str], seconds: float) -> Run:
        return await runtime.run(replace(self.command, argv=argv), seconds)

    def _unhealthy(self, kind: str, why: str) -> None:
        self._say("Unhealthy", f"{kind} probe failed: {why}", warning=True)

    def _say(self, reason: str, message: str, *, warning: bool = False) -> None:
        self._place.say(reason, message, container=self._spec["name"], warning=warning)
