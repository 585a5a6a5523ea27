"""May this call pass, by which policy, and if not: what is in the way, and what would be the smallest cure?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from html import escape
from typing import Any

from meshlab.errors import LabError
from meshlab.kube import Kube, Object
from meshlab.lab import apply as applying
from meshlab.lab.proposal import Proposal, propose
from meshlab.lab.question import call_of
from meshlab.lab.reading import Known
from meshlab.lab.recorded import identity, present
from meshlab.lab.shown import Shown
from meshlab.mesh.call import Arrival, Call, arrivals
from meshlab.mesh.decision import Aspect, Candidate, Decision, Miss, Reason
from meshlab.mesh.service import ServiceName

Applier = Callable[[tuple[Object, ...]], applying.Receipt]


@dataclass(frozen=True, repr=False)
class Explanation(Shown):
    """The answer to one question. It shows itself; `apply()` makes the change it proposes."""

    call: Call
    arrivals: tuple[Arrival, ...]
    """Where the call may end up, and what is decided there; several where a split shares calls."""
    proposal: Proposal | None = None
    """What would allow it."""
    past: tuple[str, ...] = ()
    """What is known of the call, if it is one that was made."""
    applier: Applier | None = field(default=None, repr=False)

    @property
    def allowed(self) -> bool:
        """Whether the call gets through, wherever it ends up."""
        return bool(self.arrivals) and all(arrival.allowed for arrival in self.arrivals)

    @property
    def decision(self) -> Decision | None:
        """The decision: the first refusal, if there is one."""
        decisions = [arrival.decision for arrival in self.arrivals if arrival.decision]
        return next((item for item in decisions if not item.allowed), decisions[0] if decisions else None)

    @property
    def _nearest_misses(self) -> tuple[Miss, ...]:
        nearest = self.decision.nearest if self.decision else None
        return nearest.misses if nearest and not self.past else ()

    def apply(self) -> applying.Receipt:
        """Make the proposed change in the cluster, and tell which proxies took it."""
        if self.proposal is None:
            hint = "it is allowed already" if self.allowed else "no policy is in the way; see what it says"
            raise LabError("ML512", "there is no change to make", hint=hint)
        if self.applier is None:
            raise LabError("ML512", "there is no cluster to change", hint="write the YAML it shows into the files")
        return self.applier(self.proposal.objects)

    def lines(self) -> Iterator[str]:
        """What it says, line by line."""
        if not self.arrivals:
            yield f"✗ {self.title}"
            yield from (f"  {line}" for line in self.past)
            yield "  there is no such Service in the mesh, or it lacks the port"
            return
        yield f"{'✓' if self.allowed else '✗'} {self.title}"
        yield from (f"  {line}" for line in self.past)
        for arrival in self.arrivals:
            if len(self.arrivals) > 1:
                yield f"  {arrival.share:.0%} of such calls go to {arrival.upstream}:"
            yield f"  {_verdict(arrival)}"
            decision = arrival.decision
            if decision and not decision.allowed and decision is self.decision:
                yield from (f"    {line}" for line in _candidates(decision))
        if any(miss.aspect is Aspect.HEADER and not miss.got for miss in self._nearest_misses):
            yield "  Does it carry the headers that are called absent? Then ask with them (headers=…, -H)."
        if self.proposal:
            yield f"  To allow it: {self.proposal}."

    @property
    def title(self) -> str:
        """The question."""
        call = self.call
        source = str(call.source) if call.source else "a caller without a sidecar"
        return f"{source} → {call.service}:{call.port} {call.method} {call.path}"

    def __str__(self) -> str:
        return super().__str__() + (f"\n{self.proposal.diff}" if self.proposal else "")

    def _repr_html_(self) -> str:
        return super()._repr_html_() + (f"<pre>{escape(self.proposal.diff)}</pre>" if self.proposal else "")


def explain(
    known: Known,
    source: str,
    destination: str,
    request: str = "GET /",
    headers: Mapping[str, str] | None = None,
    applier: Applier | None = None,
) -> Explanation:
    """What would become of a call, in words such as ``bookbuyer``, ``bookstore:14001`` and ``GET /books``."""
    return of_call(known, call_of(known.world, source, destination, request, headers), applier=applier)


def of_call(known: Known, call: Call, past: tuple[str, ...] = (), applier: Applier | None = None) -> Explanation:
    """What would become of this call."""
    found = arrivals(known.world, call)
    refused = next((item.decision for item in found if item.decision and not item.decision.allowed), None)
    return Explanation(call, found, propose(known, refused) if refused else None, past, applier)


def of_request(known: Known, row: Mapping[str, Any], applier: Applier | None = None) -> Explanation:
    """What became of a request on record, a row of `lab.requests()`, and what would become of it now."""
    upstream = row["root"] or row["service"]
    service, _, port = str(upstream).partition("|")
    if "/" not in service or not port.isdecimal():
        raise LabError("ML511", "it was for no Service of the mesh", about=f"request {row['id']}", hint=row["meaning"])
    call = Call(
        source=identity(row["source"]),
        service=ServiceName(*service.split("/")),
        port=int(port),
        method=row["method"] or "GET",
        path=row["path"] or "/",
        headers=present(row["headers"]),
    )
    return of_call(known, call, tuple(_past(row)), applier)


async def write(kube: Kube, objects: tuple[Object, ...]) -> applying.Receipt:
    """Write a proposal's objects. What somebody changed meanwhile is not overwritten: that is ApiError 409."""
    stored = []
    for obj in objects:
        new = "resourceVersion" not in obj["metadata"]
        stored.append((await (kube.create(obj) if new else kube.replace(obj)), "created" if new else "configured"))
    return applying.Receipt(tuple([await applying.receipt(kube, obj, action) for obj, action in stored]))


def _past(row: Mapping[str, Any]) -> Iterator[str]:
    """What the proxies said of a request when it was made."""
    answer = f"answered {row['status']}" if row["status"] else "without an answer" if row["http"] else "a connection"
    when = datetime.fromtimestamp(_seconds(row["time"]), UTC).strftime("%H:%M:%S")
    yield f"It was made at {when} UTC: {answer} after {row['milliseconds']:.1f} ms."
    if not row["arrived"]:
        yield "It never arrived at a server's proxy."
    if row["meaning"]:
        flags = f" ({', '.join(row['flags'])})" if len(row["flags"]) else ""
        yield f"In the proxy's words: {row['meaning']}{flags}."
    if row["allowed_by"]:
        by = row["allowed_by"]
        yield f"Then {by if ' ' in by else f'TrafficTarget {by}'} let it in."
    yield "By the policies of now:"


def _seconds(time: Any) -> float:
    """Seconds since the epoch, from a number or from a table's time."""
    return float(time.timestamp() if hasattr(time, "timestamp") else time)


def _verdict(arrival: Arrival) -> str:
    if arrival.decision is None:
        word = "passes" if arrival.allowed else "refused"
        return f"{word}: {arrival.upstream}: {arrival.obstacle}"
    if arrival.decision.reason is Reason.NOT_ADMITTED:
        return "refused: no rule of a TrafficTarget that names this caller admits it"
    return str(arrival.decision)


def _candidates(decision: Decision) -> Iterator[str]:
    """Every permission that might have allowed it, with its first failed condition; all of them for the nearest."""
    for number, candidate in enumerate(decision.candidates):
        yield f"{'nearest: ' if number == 0 else '         '}{_candidate(candidate, whole=number == 0)}"


def _candidate(candidate: Candidate, *, whole: bool) -> str:
    misses = candidate.misses if whole else candidate.misses[:1]
    more = len(candidate.misses) - len(misses)
    rest = f" (and {more} more)" if more else ""
    return f"{candidate.permission.title}: {'; '.join(map(str, misses))}{rest}"
