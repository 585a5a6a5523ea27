"""What is the life of a container: waiting, running, ended, and run again?"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from meshlab.cluster.embedded.clock import now
from meshlab.cluster.embedded.node.backoff import BackOff
from meshlab.cluster.embedded.node.environment import container_environment, expand, image_environment
from meshlab.cluster.embedded.node.instance import Instance
from meshlab.cluster.embedded.node.logs import ContainerLogs, LogOptions
from meshlab.cluster.embedded.node.place import Place
from meshlab.cluster.embedded.node.runtime import Command, StartError
from meshlab.cluster.embedded.node.sources import MissingSourceError
from meshlab.errors import ClusterError

_CANNOT_START = 128
_CONFIG_RETRY_SECONDS = 1.0
_LONGEST_MESSAGE = 4096
_FALLBACK = LogOptions(tail_lines=80, limit_bytes=2048)


class Container:
    """One container of a pod. `known` is its entry in the pod's status, from an earlier daemon."""

    def __init__(self, place: Place, spec: Mapping[str, Any], restart: str, known: Mapping[str, Any]) -> None:
        self.spec = spec
        self.name: str = spec["name"]
        self.logs = ContainerLogs(place.folder / "logs" / self.name)
        self.started = asyncio.Event()
        """Set while an instance runs that its startup probe, if any, has found started."""
        self.exit_code: int | None = None
        """Of the newest instance that ended."""
        self._place = place
        self._restart = restart
        self._state: Mapping[str, Any] = {"waiting": {"reason": "ContainerCreating"}}
        self._last_state: Mapping[str, Any] = known.get("lastState") or {}
        self._restarts: int = known.get("restartCount", 0)
        self._id = ""
        self._instance: Instance | None = None
        self._life: asyncio.Task[None] | None = None
        self._back_off = BackOff()
        self._stopping = False
        self._recover(known.get("state") or {})

    @property
    def waiting_for(self) -> str:
        """The reason of its waiting."""
        return str((self._state.get("waiting") or {}).get("reason", "ContainerCreating"))

    @property
    def instance(self) -> Instance | None:
        """The one that runs."""
        return self._instance

    @property
    def is_running(self) -> bool:
        """Whether an instance runs."""
        return "running" in self._state

    @property
    def has_run(self) -> bool:
        """Whether an instance has run and ended."""
        return "terminated" in self._state or "terminated" in self._last_state

    @property
    def is_ended(self) -> bool:
        """Whether it has ended and is not to be started again."""
        return "terminated" in self._state and (self._stopping or not self._is_restarted(self.exit_code or 0))

    @property
    def is_ready(self) -> bool:
        """What its status says of readiness."""
        return self._instance is not None and self._instance.health.ready and not self._stopping

    def status(self) -> dict[str, Any]:
        """Its entry in the pod's status."""
        images = self._place.host.images
        return {
            "name": self.name,
            "state": self._state,
            "lastState": self._last_state,
            "ready": self.is_ready or ("terminated" in self._state and self.is_ended and self.exit_code == 0),
            "restartCount": self._restarts,
            "image": self.spec["image"],
            "imageID": images.id if images.has(self.spec["image"]) else "",
            "started": self.started.is_set(),
            **({"containerID": self._id} if self._id else {}),
        }

    def wait_for(self, reason: str, message: str = "") -> None:
        """Show that it waits, and for what. What has run and ended says so instead."""
        if not self.is_ended:
            self._set_state({"waiting": {"reason": reason, **({"message": message} if message else {})}})

    def begin_anew(self) -> None:
        """Have it run, though it did so under an earlier daemon: what it prepared may be gone, as a network is."""
        if "terminated" in self._state:
            self._last_state, self._restarts = self._state, self._restarts + 1
            self._state, self.exit_code = {"waiting": {"reason": "PodInitializing"}}, None

    def start(self) -> asyncio.Task[None]:
        """Begin its life. The task is done when it has ended for good."""
        self._life = asyncio.create_task(self._run(), name=f"container {self.name}")
        return self._life

    async def stop(self, grace: float) -> None:
        """End it for good within a time."""
        self._stopping = True
        if self._life is None or self._life.done():
            return
        if self._instance:
            await self._instance.end(grace, f"Stopping container {self.name}")
        else:
            self._life.cancel()
        await asyncio.wait([self._life])

    async def replace(self, spec: Mapping[str, Any]) -> None:
        """Go on with another image, the only field of a running container that may change."""
        self.spec = spec
        if self._instance:
            grace = float(self._place.pod["spec"].get("terminationGracePeriodSeconds", 30))
            await self._instance.end(grace, f"Container {self.name} definition changed, will be restarted")

    def _recover(self, state: Mapping[str, Any]) -> None:
        """Take up what the status says of an instance that ran under an earlier daemon: it has ended."""
        if "running" in state:
            began = state["running"].get("startedAt")
            ended = {"exitCode": 137, "reason": "Error", "startedAt": began, "finishedAt": now()}
            state = {"terminated": {**ended, "message": "ended with the node's daemon"}}
        if "terminated" in state:
            code: int = state["terminated"]["exitCode"]
            self.exit_code = code
            if self._is_restarted(code):
                self._last_state, self._restarts = state, self._restarts + 1
            else:
                self._state = state

    def _is_restarted(self, code: int) -> bool:
        return self._restart == "Always" or (self._restart == "OnFailure" and code != 0)

    def _set_state(self, state: Mapping[str, Any]) -> None:
        if state != self._state:
            self._state = state
            self._place.changed()

    async def _run(self) -> None:
        while not self.is_ended:
            began = time.monotonic()
            await self._wait_for_image()
            await self._run_once()
            if not self.is_ended:
                await self._wait_before_restart(time.monotonic() - began)

    async def _wait_for_image(self) -> None:
        images, retries = self._place.host.images, BackOff()
        retries.next()
        while not images.has(image := self.spec["image"]):
            self._complain("ErrImagePull", images.refusal(image), images.refusal(image))
            self._say("Failed", "Error: ErrImagePull", warning=True)
            await asyncio.sleep(retries.next())
            waiting = f'Back-off pulling image "{image}"'
            self._complain("ImagePullBackOff", f"{waiting}: {images.refusal(image)}", waiting, event="BackOff")
            await asyncio.sleep(retries.next())
        self._say("Pulled", f'Container image "{image}" already present on machine')

    async def _run_once(self) -> None:
        """Run one instance to its end."""
        log, began = self.logs.begin(self._restarts), now()
        try:
            command = await self._prepare()
            self._say("Created", f"Created container: {self.name}")
            self._instance = await Instance.start(self._place, self.spec, command, log, self._health_changed)
            self._id, began = self._instance.id, now()
            self._say("Started", f"Started container {self.name}")
            self._state = {"running": {"startedAt": began}}
            self._health_changed()
            code = await self._instance.run()
            self._end(code, "Completed" if code == 0 else "Error", began, await self._last_words(code))
        except StartError as error:
            self._say("Failed", f"Error: {error}", warning=True)
            self._end(_CANNOT_START, "StartError", began, str(error))
        finally:
            log.close()
            self._instance = None
            self.started.clear()
            self._place.changed()

    async def _prepare(self) -> Command:
        """The command of the next instance, once all it refers to is there. Raises StartError."""
        while True:
            try:
                return await self._command()
            except MissingSourceError as error:
                self._complain("CreateContainerConfigError", str(error), f"Error: {error}")
            except ClusterError as error:
                self._complain("CreateContainerConfigError", error.what, f"Error: {error.what}")
            except OSError as error:
                self._complain("CreateContainerError", str(error), f"Error: {error}")
            await asyncio.sleep(_CONFIG_RETRY_SECONDS)

    async def _command(self) -> Command:
        argv = [*(self.spec.get("command") or []), *(self.spec.get("args") or [])]
        if not argv:
            raise StartError("no command specified: the image has none, so the container needs command or args")
        place = self._place
        root = place.folder / "root" / self.name
        given = {**place.attachment.environment, "MESHLAB_CONTAINER_ROOT": str(root)}
        variables = await container_environment(place.host.sources, place.pod, self.spec, given)
        place.volumes.mount(self.spec, root)
        inside = root / self.spec.get("workingDir", "").lstrip("/")
        folder = inside if inside.is_dir() else root
        environment = image_environment() | variables
        prefix = place.host.network.enter(place.pod["metadata"]["uid"], self.spec)
        seal = place.host.seal_of(place.pod)
        return Command([expand(word, variables) for word in argv], environment, folder, seal, prefix)

    def _health_changed(self) -> None:
        if self._instance and self._instance.health.started:
            self.started.set()
        self._place.changed()

    def _end(self, code: int, reason: str, began: str, message: str) -> None:
        self.exit_code = code
        ended = {"exitCode": code, "reason": reason, "startedAt": began, "finishedAt": now()}
        ended |= {"message": message} if message else {}
        ended |= {"containerID": self._id} if self._id else {}
        self._state = {"terminated": ended}

    async def _wait_before_restart(self, ran_for: float) -> None:
        delay = self._back_off.next(ran_for)
        self._last_state = self._state
        if delay:
            metadata = self._place.pod["metadata"]
            where = f"{metadata['name']}_{metadata['namespace']}({metadata['uid']})"
            message = f"back-off {delay}s restarting failed container={self.name} pod={where}"
            event = f"Back-off restarting failed container {self.name} in pod {where}"
            self._complain("CrashLoopBackOff", message, event, event="BackOff")
            await asyncio.sleep(delay)
        self._restarts += 1

    async def _last_words(self, code: int) -> str:
        """What it left to be said: its termination message, or the end of its log if it asks for that."""
        path: str = self.spec.get("terminationMessagePath", "/dev/termination-log").lstrip("/")
        with suppress(OSError):
            return (self._place.folder / "root" / self.name / path).read_text(errors="replace")[:_LONGEST_MESSAGE]
        if code and self.spec.get("terminationMessagePolicy") == "FallbackToLogsOnError" and (log := self.logs.get()):
            lines = [line async for line in log.read(_FALLBACK)]
            return b"".join(lines).decode(errors="replace")
        return ""

    def _complain(self, reason: str, message: str, event_message: str, *, event: str = "Failed") -> None:
        self._set_state({"waiting": {"reason": reason, "message": message}})
        self._say(event, event_message, warning=True)

    def _say(self, reason: str, message: str, *, warning: bool = False) -> None:
        self._place.say(reason, message, container=self.name, warning=warning)
