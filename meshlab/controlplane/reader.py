"""What does the cluster say now, and what has just changed? One up-to-date copy of every kind that matters."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from meshlab.kube import Kind, Kube, Object, Ref, Reflector
from meshlab.kube.objects import CONFIG_MAP, ENDPOINT_SLICE, MESH_CONFIG, NAMESPACE, NODE, POD, SERVICE, SERVICE_ACCOUNT
from meshlab.policy.overlay import CODE_LABEL

log = logging.getLogger(__name__)

CORE_KINDS = (SERVICE, ENDPOINT_SLICE, POD, SERVICE_ACCOUNT, NAMESPACE, NODE, MESH_CONFIG)
_SELECTORS = {CONFIG_MAP: CODE_LABEL}
"""Of kinds that are mostly none of ours, those with a label."""

Store = Mapping[tuple[str, str], Object]
"""The newest objects of a kind by (namespace, name)."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One change the cluster told of: which object, at which version, and when it arrived (monotonic seconds)."""

    ref: Ref
    version: str
    deleted: bool
    time: float
    generation: int = 0
    """Counts the changes of what somebody wants; a new status leaves it as it is. 0: the kind doesn't count them."""


class Reader:
    """Watches every kind. `batch()` hands over what has arrived since it was last asked, as soon as there is any.

    Nothing is held back on a timer: while the mesh is being compiled changes pile up, and are taken together.
    """

    def __init__(self, kube: Kube, kinds: Iterable[Kind]) -> None:
        self._reflectors = {
            kind: Reflector(kube, kind, labels=_SELECTORS.get(kind, ""))
            for kind in dict.fromkeys((*CORE_KINDS, *kinds))
        }
        self._pending: list[Seen] = []
        self._arrived = asyncio.Event()
        self._unsynced = set(self._reflectors)

    def store(self, kind: Kind) -> Store:
        """Everything of one kind."""
        return self._reflectors[kind].store

    def objects(self, kinds: Iterable[Kind]) -> list[Object]:
        """Everything of several kinds."""
        return [obj for kind in kinds for obj in self._reflectors[kind].store.values()]

    @property
    def synced(self) -> bool:
        """Whether every kind has been listed once: before, a missing object may only be unread."""
        return not self._unsynced

    @property
    def unsynced(self) -> list[str]:
        """The kinds still unread, for people."""
        return sorted(kind.plural for kind in self._unsynced)

    async def run(self) -> None:
        """Watch until cancelled."""
        async with asyncio.TaskGroup() as group:
            for reflector in self._reflectors.values():
                group.create_task(self._follow(reflector), name=f"watch {reflector.kind.plural}")

    def wake(self) -> None:
        """Let `batch` return although nothing has changed in the cluster."""
        self._arrived.set()

    async def batch(self) -> list[Seen]:
        """Every change since the last batch. The first comes when all kinds are read."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            if self.synced:
                taken, self._pending = self._pending, []
                return taken

    async def _follow(self, reflector: Reflector) -> None:
        async for change in reflector.changes():
            if change.type == "SYNCED":
                self._unsynced.discard(reflector.kind)
            else:
                metadata = change.object["metadata"]
                ref = Ref(reflector.kind.kind, metadata["name"], metadata.get("namespace", ""))
                now = asyncio.get_running_loop().time()
                version, generation = metadata["resourceVersion"], metadata.get("generation", 0)
                self._pending.append(Seen(ref, version, change.type == "DELETED", now, generation))
            self._arrived.set()
