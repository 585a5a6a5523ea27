"""Which pod called which, through which Service, and how did it go? The last two minutes, in slots of a second.

Memory is bounded by pairs of pods times slots: a pair without traffic for two minutes is forgotten, and beyond
`MAX_FLOWS` the one that was quiet longest makes room.
"""

from __future__ import annotations

import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from meshlab.mesh.service import Workload
from meshlab.observe.entries import Report, failed
from meshlab.observe.latency import Histogram, bucket

KEPT_SECONDS = 120
MAX_FLOWS = 20_000


@dataclass(frozen=True, slots=True, order=True)
class Flow:
    """One pod's calls to another; empty where it isn't known which."""

    source: str
    """``namespace/name`` of a pod."""
    destination: str
    service: str
    """The Service port that was chosen, ``namespace/name|port``."""
    root: str
    """The Service port that was asked for."""


@dataclass(slots=True)
class Outcome:
    """How calls went. A connection without HTTP counts as one call, and its length is no latency."""

    successes: int = 0
    failures: int = 0
    latency: Histogram = field(default_factory=Counter)

    def add(self, other: Outcome) -> None:
        """Add what another counted."""
        self.successes += other.successes
        self.failures += other.failures
        self.latency.update(other.latency)


_Track = deque[tuple[int, Outcome]]


class Traffic:
    """What is counted between pods. Owned by one event loop."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._flows: OrderedDict[Flow, _Track] = OrderedDict()
        self.pods: dict[str, Workload] = {}
        """Every pod that took part, as it was: it may be gone by now."""

    def note(self, report: Report, pod: Callable[[str], Workload | None]) -> None:
        """Count a report, each call once. `pod` knows who is who at this moment."""
        if not report.counts:
            return
        exchange = report.exchange
        for name in (exchange.source_workload, exchange.destination_workload):
            if workload := pod(name):
                self.pods[name] = workload
        flow = Flow(exchange.source_workload, exchange.destination_workload, report.edge.service, report.edge.root)
        track = self._flows.setdefault(flow, deque(maxlen=KEPT_SECONDS))
        self._flows.move_to_end(flow)
        if len(self._flows) > MAX_FLOWS:
            self._flows.popitem(last=False)
        slot = int(self._clock())
        if not track or track[-1][0] != slot:
            track.append((slot, Outcome()))
        counted = track[-1][1]
        counted.failures += failed(exchange)
        counted.successes += not failed(exchange)
        if exchange.method:
            counted.latency[bucket(exchange.duration_ms)] += 1

    def last(self, seconds: int) -> dict[Flow, Outcome]:
        """What was counted lately, on flows with any calls."""
        first = int(self._clock()) - seconds
        found: dict[Flow, Outcome] = {}
        for flow, track in self._flows.items():
            total = Outcome()
            for slot, counted in reversed(track):
                if slot <= first:
                    break
                total.add(counted)
            if total.successes or total.failures:
                found[flow] = total
        return found

    def forget_quiet(self) -> None:
        """Drop flows that have had no traffic in all the time that is kept, and pods that are in none."""
        oldest = int(self._clock()) - KEPT_SECONDS
        for flow in [flow for flow, track in self._flows.items() if track[-1][0] < oldest]:
            del self._flows[flow]
        named = {name for flow in self._flows for name in (flow.source, flow.destination)}
        self.pods = {name: workload for name, workload in self.pods.items() if name in named}
