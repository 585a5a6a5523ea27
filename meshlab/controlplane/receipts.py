"""What became of a change? Which proxies it concerned, who took it after how long, and who refused it and why."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from meshlab.controlplane.reader import Seen
from meshlab.kube import Ref
from meshlab.kube.objects import reaches
from meshlab.xds import Proxies

_KEPT = 5000
_MOST_ANSWERS = 200_000
"""Of how many proxies altogether it is remembered that a push concerned them: 20 MB of memory."""


@dataclass(frozen=True, slots=True)
class Push:
    """One turn of the loop: what it took in, and the generation each concerned proxy (by node id) has to reach."""

    number: int
    milliseconds: float
    """From the arrival of its oldest change until the last snapshot was set."""
    concerned: dict[str, int]


@dataclass(slots=True)
class _Entry:
    version: str
    deleted: bool
    push: Push
    generation: int
    answers: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Filled in once a proxy has answered, so that later generations don't change an old receipt."""


class Receipts:
    """The newest change of each object, and what became of it. Belongs to the control plane's event loop."""

    def __init__(self, proxies: Proxies) -> None:
        self._proxies = proxies
        self._entries: OrderedDict[Ref, _Entry] = OrderedDict()
        self._pushes: deque[Push] = deque()
        self._remembered = 0
        self._arrived = asyncio.Condition()

    async def record(self, changes: Iterable[Seen], push: Push) -> None:
        """Remember which changes a push carried. Whom pushes of long ago concerned is forgotten."""
        self._pushes.append(push)
        self._remembered += len(push.concerned)
        while self._remembered > _MOST_ANSWERS and len(self._pushes) > 1:
            oldest = self._pushes.popleft()
            self._remembered -= len(oldest.concerned)
            oldest.concerned.clear()
        for change in changes:
            key = Ref(change.ref.kind, change.ref.name, change.ref.namespace)
            known = self._entries.get(key)
            if known is not None and _is_status_alone(known, change):
                known.version = change.version
                continue
            self._entries[key] = _Entry(change.version, change.deleted, push, change.generation)
            self._entries.move_to_end(key)
            while len(self._entries) > _KEPT:
                self._entries.popitem(last=False)
        async with self._arrived:
            self._arrived.notify_all()

    async def wait(self, ref: Ref, version: str, timeout: float, *, deleted: bool = False) -> dict[str, Any]:
        """The receipt of an object at `version` or newer (any version when empty), once all have answered.

        `deleted`: the receipt of its deletion, whose version nobody is told.
        """
        deadline = time.monotonic() + timeout
        entry = await self._find(ref, version, deadline, deleted=deleted)
        about = {"kind": ref.kind, "namespace": ref.namespace, "name": ref.name}
        if entry is None:
            return {
                "kind": "Receipt",
                "object": {**about, "resourceVersion": version},
                "seen": False,
                "complete": False,
                "generation": 0,
                "milliseconds": None,
                "proxies": [],
            }
        waited_for = {
            node: generation
            for node, generation in entry.push.concerned.items()
            if self._proxies[node].generation  # else its pod is gone
        }
        left = max(0.0, deadline - time.monotonic())
        await asyncio.gather(*(self._proxies.settled(node, wanted, left) for node, wanted in waited_for.items()))
        answers = [
            self._answer(entry, node, generation)
            for node, generation in sorted(entry.push.concerned.items())
            if node in entry.answers or self._proxies[node].generation
        ]
        times = [answer["milliseconds"] for answer in answers if answer["milliseconds"] is not None]
        return {
            "kind": "Receipt",
            "object": {**about, "resourceVersion": entry.version},
            "seen": True,
            "complete": all(answer["acknowledged"] or answer["refused"] for answer in answers),
            "generation": entry.push.number,
            "milliseconds": max(times, default=None),
            "proxies": answers,
        }

    def _answer(self, entry: _Entry, node: str, generation: int) -> dict[str, Any]:
        if node in entry.answers:
            return entry.answers[node]
        status = self._proxies[node]
        pod, _, namespace = node.rpartition(".")
        settled = status.settled >= generation
        refused = status.refusals.get(generation, "") if settled else ""
        answer = {
            "proxy": f"{namespace}/{pod}",
            "acknowledged": settled and not refused,
            "milliseconds": round(entry.push.milliseconds + (status.settled_ms or 0), 2) if settled else None,
            "refused": refused,
        }
        if settled:
            entry.answers[node] = answer
        return answer

    async def _find(self, ref: Ref, version: str, deadline: float, *, deleted: bool) -> _Entry | None:
        key = Ref(ref.kind, ref.name, ref.namespace)

        def found() -> bool:
            entry = self._entries.get(key)
            if entry is None or (deleted and not entry.deleted):
                return False
            return not version or reaches(entry.version, version)

        try:
            async with asyncio.timeout(max(0.0, deadline - time.monotonic())), self._arrived:
                await self._arrived.wait_for(found)
        except TimeoutError:
            return None
        return self._entries[key]


def _is_status_alone(known: _Entry, change: Seen) -> bool:
    """Whether all that is new is what we say of the object ourselves, which no proxy is told."""
    same = bool(change.generation) and known.generation == change.generation
    return same and not known.deleted and not change.deleted
