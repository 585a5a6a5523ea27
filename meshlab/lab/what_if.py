"""Which of the calls that were made would fare otherwise under other policies? Replayed on paper, nothing applied."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from meshlab.errors import LabError
from meshlab.kube import Object
from meshlab.lab.reading import Known, changed
from meshlab.lab.recorded import Recorded
from meshlab.lab.shown import Shown
from meshlab.mesh.decide import decide
from meshlab.mesh.decision import Decision
from meshlab.mesh.finding import Finding


@dataclass(frozen=True)
class Flip:
    """A kind of request that would fare otherwise."""

    recorded: Recorded
    before: Decision
    after: Decision

    def __str__(self) -> str:
        word = "✓ would be allowed" if self.after.allowed else "✗ would be refused"
        return f"{word}: {self.recorded}: {str(self.after).partition(': ')[2]}"


@dataclass(frozen=True, repr=False)
class WhatIf(Shown):
    """What a change of policy would mean for the traffic on record."""

    flips: tuple[Flip, ...]
    recorded: int
    """How many requests were judged."""
    kinds: int
    findings: tuple[Finding, ...] = ()
    """What would be wrong that is not now."""
    unknown: tuple[str, ...] = ()
    """Headers that only the changed policies speak of, so that they are not on record."""

    def lines(self) -> Iterator[str]:
        """What it says, line by line."""
        count = sum(flip.recorded.count for flip in self.flips)
        mark = "✗" if any(not flip.after.allowed for flip in self.flips) else "✓"
        if not self.recorded:
            yield "… no requests are on record yet: nothing to judge. Nothing was applied"
        elif self.flips:
            kinds = f"{len(self.flips)} of {self.kinds} kinds"
            yield f"{mark} {count} of {self.recorded} recorded requests ({kinds}) would flip. Nothing was applied"
        else:
            yield f"✓ all {self.recorded} recorded requests would fare as they do now. Nothing was applied"
        yield from (f"  {flip}" for flip in self.flips)
        yield from (f"  ! {finding}" for finding in self.findings)
        if self.unknown:
            names = ", ".join(self.unknown)
            yield f"  ! not on record, since no policy spoke of it until now, and taken as absent: {names}"


def what_if(
    known: Known, recorded: Iterable[Recorded], objects: Iterable[Object], without: Iterable[str] = ()
) -> WhatIf:
    """What would flip, were these objects applied, and those deleted that `without` names."""
    replayed = list(recorded)
    after = changed(known, objects, [_object(known, name) for name in without])
    flips = []
    for kind in replayed:
        decisions = decide(known.world, kind.request), decide(after.world, kind.request)
        if decisions[0].allowed != decisions[1].allowed:
            flips.append(Flip(kind, *decisions))
    flips.sort(key=lambda flip: (flip.after.allowed, -flip.recorded.count))
    asked = {kind.request.destination for kind in replayed}
    spoken = {header for place in asked for header in after.world.headers_by_destination.get(place, ())}
    recorded_names = {header for place in asked for header in known.world.headers_by_destination.get(place, ())}
    return WhatIf(
        flips=tuple(flips),
        recorded=sum(kind.count for kind in replayed),
        kinds=len(replayed),
        findings=tuple(finding for finding in after.findings if finding not in known.findings),
        unknown=tuple(sorted(spoken - recorded_names - {":authority"})),
    )


def _object(known: Known, name: str) -> Object:
    """The object called ``TrafficTarget bookstore/bookstore``. Raises LabError ML511 when there is none."""
    kind, _, full = name.strip().partition(" ")
    namespace, _, short = full.strip().rpartition("/")
    found = known.by_name.get(kind, namespace or "default", short)
    if found is None:
        hint = "say kind and name as in without=['TrafficTarget bookstore/bookstore']"
        raise LabError("ML511", "there is none of this name", about=name, hint=hint)
    return found
