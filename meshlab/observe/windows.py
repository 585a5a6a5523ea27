"""What happened on each edge, lately? Counts in short slots of time, of which the last two minutes are kept.

Memory is bounded by edges times slots: an edge without traffic for two minutes is forgotten, and beyond
`MAX_EDGES` the one that was quiet longest makes room.
"""

from __future__ import annotations

import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from meshlab.mesh.exchange import Exchange, Side
from meshlab.observe.entries import Edge, Report, failed
from meshlab.observe.latency import Histogram, bucket, percentile

SLOT_SECONDS = 0.5
KEPT_SLOTS = 240
MAX_EDGES = 2000
_MAX_WORDS = 20

_Hop = tuple[str, str, str, str]


@dataclass(slots=True)
class Figures:
    """What was counted on one edge in one stretch of time."""

    requests: int = 0
    failures: int = 0
    mtls: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    allowed_by: set[str] = field(default_factory=set)
    tls: str = ""
    latency: Histogram = field(default_factory=Counter)

    def note(self, report: Report) -> None:
        """Take in one report."""
        exchange = report.exchange
        if exchange.allowed_by and len(self.allowed_by) < _MAX_WORDS:
            self.allowed_by.add(exchange.allowed_by)
        if failed(exchange):
            self._note_reason(exchange)
        if not report.counts:
            return
        self.requests += 1
        self.mtls += exchange.mtls
        self.tls = exchange.tls_version or self.tls
        # An exchange counts bytes as its reporter does: what the caller's proxy received, the caller sent.
        self.bytes_sent += exchange.bytes_received
        self.bytes_received += exchange.bytes_sent
        self.statuses[exchange.status] += 1
        self.latency[bucket(exchange.duration_ms)] += 1
        self.failures += failed(exchange)

    def _note_reason(self, exchange: Exchange) -> None:
        """Why, in the words of the proxy that knows: the caller's says nothing of what the server's answered."""
        reason = exchange.details or ",".join(exchange.flags)
        if not reason and exchange.side is Side.SERVER:
            reason = f"the app answered {exchange.status}"
        if reason and (reason in self.reasons or len(self.reasons) < _MAX_WORDS):
            self.reasons[reason] += 1

    def add(self, other: Figures) -> None:
        """Add what another stretch counted."""
        self.requests += other.requests
        self.failures += other.failures
        self.mtls += other.mtls
        self.bytes_sent += other.bytes_sent
        self.bytes_received += other.bytes_received
        self.statuses.update(other.statuses)
        self.reasons.update(other.reasons)
        self.allowed_by |= other.allowed_by
        self.tls = other.tls or self.tls
        self.latency.update(other.latency)


@dataclass(slots=True)
class _Track:
    """The slots of one edge, oldest first: (number of the slot, what was counted)."""

    slots: deque[tuple[int, Figures]] = field(default_factory=lambda: deque(maxlen=KEPT_SLOTS))

    def at(self, slot: int) -> Figures:
        if not self.slots or self.slots[-1][0] != slot:
            self.slots.append((slot, Figures()))
        return self.slots[-1][1]


class Windows:
    """Per-edge figures of the last two minutes. Owned by one event loop; nothing in it blocks or waits."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._tracks: OrderedDict[Edge, _Track] = OrderedDict()
        self._by_hop: dict[_Hop, Edge] = {}

    def note(self, report: Report) -> None:
        """Count a report at the moment it arrives, so that a slot once passed never changes."""
        edge = report.edge if report.counts else self._by_hop.get(_hop(report.edge))
        if edge is None:
            return
        track = self._tracks.setdefault(edge, _Track())
        self._tracks.move_to_end(edge)
        self._by_hop[_hop(edge)] = edge
        while len(self._tracks) > MAX_EDGES:
            self._forget(next(iter(self._tracks)))
        track.at(self.slot()).note(report)

    def slot(self) -> int:
        """The number of the slot that is being filled."""
        return int(self._clock() / SLOT_SECONDS)

    def between(self, first: int, last: int) -> dict[Edge, Figures]:
        """What was counted in the slots `first` to `last`, both included, on edges with any requests."""
        found: dict[Edge, Figures] = {}
        for edge, track in self._tracks.items():
            total = Figures()
            for number, figures in reversed(track.slots):
                if number < first:
                    break
                if number <= last:
                    total.add(figures)
            if total.requests:
                found[edge] = total
        return found

    def last(self, seconds: float) -> dict[Edge, Figures]:
        """What was counted in the last `seconds`, the current slot included; at most two minutes."""
        current = self.slot()
        return self.between(current - max(1, round(seconds / SLOT_SECONDS)) + 1, current)

    def forget_quiet(self) -> None:
        """Drop edges that have had no traffic in all the time that is kept."""
        oldest = self.slot() - KEPT_SLOTS
        for edge in [edge for edge, track in self._tracks.items() if track.slots[-1][0] < oldest]:
            self._forget(edge)

    def _forget(self, edge: Edge) -> None:
        del self._tracks[edge]
        self._by_hop.pop(_hop(edge), None)


def _hop(edge: Edge) -> _Hop:
    """What both ends know of an edge: a server's proxy can't always tell which pod called, but whose it was."""
    return edge.source, edge.destination, edge.destination_workload, edge.service


def rows(figures: dict[Edge, Figures]) -> Iterable[dict[str, Any]]:
    """One flat row per edge, as `meshlab.observe` describes it."""
    for edge, counted in sorted(figures.items()):
        yield {
            **asdict(edge),
            "requests": counted.requests,
            "failures": counted.failures,
            "mtls": counted.mtls,
            "tls": counted.tls,
            "statuses": {str(status): count for status, count in sorted(counted.statuses.items())},
            "latency": {f"{bound:g}": count for bound, count in sorted(counted.latency.items())},
            "p50": percentile(counted.latency, 0.5),
            "p90": percentile(counted.latency, 0.9),
            "p99": percentile(counted.latency, 0.99),
            "bytes_sent": counted.bytes_sent,
            "bytes_received": counted.bytes_received,
            "allowed_by": sorted(counted.allowed_by),
            "reasons": dict(counted.reasons),
        }
