"""What was each proxy told lately, and what did it answer? The last few hundred times, of all proxies together."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from meshlab.kube import Ref
from meshlab.xds import Proxies, ProxyStatus, Resource, Snapshot, TypeUrl

_KEPT = 400


@dataclass(slots=True)
class Told:
    """One snapshot that was meant for a proxy, and the one before it."""

    node: str
    generation: int
    before: Snapshot | None
    """None: it was told everything, because it was new."""
    after: Snapshot
    because: tuple[str, ...] = ()
    """The objects whose change it was for."""
    time: float = field(default_factory=time.time)
    milliseconds: float | None = None
    """Until it had answered for all of it; None while it has not, or when the next came before."""
    refused: Mapping[TypeUrl, str] = field(default_factory=dict)

    def changes(self) -> Iterator[tuple[Resource | None, Resource | None]]:
        """What differs, before and after, by type and name."""
        if self.before is None:
            return
        for url in sorted({*self.before.versions, *self.after.versions}):
            before, after = self.before.of_type(url), self.after.of_type(url)
            for name in sorted(before.keys() | after.keys()):
                one, other = before.get(name), after.get(name)
                if one is None or other is None or one.version != other.version:
                    yield one, other


class History:
    """Remembers. Snapshots share what they have in common, so that many cost little more than one."""

    def __init__(self, proxies: Proxies) -> None:
        self._told: deque[Told] = deque(maxlen=_KEPT)
        self._open: dict[str, Told] = {}
        """By node: what waits for its answer."""
        proxies.subscribe(self._hear)

    def note(self, node: str, generation: int, before: Snapshot | None, after: Snapshot) -> None:
        """A proxy is meant to know something else."""
        told = self._open[node] = Told(node, generation, before, after)
        self._told.append(told)

    def explain(self, concerned: Mapping[str, int], objects: Iterable[Ref]) -> None:
        """Those proxies were told these generations because of these objects."""
        if concerned:
            because = tuple(sorted({str(ref) for ref in objects}))
            for node in concerned:
                self._open[node].because = because

    def forget(self, node: str) -> None:
        """A proxy is gone: nobody waits for its answer."""
        self._open.pop(node, None)

    def of(self, node: str) -> list[Told]:
        """What one proxy was told, oldest first."""
        return [told for told in self._told if told.node == node]

    def _hear(self, status: ProxyStatus) -> None:
        told = self._open.get(status.node)
        if told is not None and status.settled >= told.generation:
            del self._open[status.node]
            told.milliseconds, told.refused = status.settled_ms, status.refused
