"""Which of the calls that were made would fare otherwise under other policies? Replayed on paper, nothing applied."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from meshlab.errors import LabError
from meshlab.kube import Object
from meshlab.lab.judged import judge, not_looked_for
from meshlab.lab.reading import Known, changed
from meshlab.lab.recorded import Recorded
from meshlab.lab.shown import Shown
from meshlab.mesh.decide import decide
from meshlab.mesh.decision import Decision
from meshlab.mesh.finding import Finding
from meshlab.policy.objects import same


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
    undetermined: tuple[Recorded, ...] = ()
    """What depends on headers that were not looked for, since no policy spoke of them at the time."""
    unknown: tuple[str, ...] = ()
    """These headers."""

    def lines(self) -> Iterator[str]:
        """What it says, line by line."""
        count = sum(flip.recorded.count for flip in self.flips)
        mark = "✗" if any(not flip.after.allowed for flip in self.flips) else "✓"
        if not self.recorded:
            yield "… no requests are on record yet: nothing to judge. Nothing was applied"
        elif self.flips:
            kinds = f"{len(self.flips)} of {self.kinds} kinds"
            yield f"{mark} {count} of {self.recorded} recorded requests ({kinds}) would flip. Nothing was applied"
        elif self.undetermined:
            yield f"? of {self.recorded} recorded requests none would surely flip. Nothing was applied"
        else:
            yield f"✓ all {self.recorded} recorded requests would fare as they do now. Nothing was applied"
        yield from (f"  {flip}" for flip in self.flips)
        yield from (f"  ! {finding}" for finding in self.findings)
        if self.undetermined:
            yield f"  ? not to be told, for no policy spoke of {', '.join(self.unknown)} when it was recorded:"
            yield from (f"    {recorded}" for recorded in self.undetermined)


def what_if(
    known: Known, recorded: Iterable[Recorded], objects: Iterable[Object], without: Iterable[str] = ()
) -> WhatIf:
    """What would flip, were these objects applied, and those deleted that `without` names."""
    replayed = list(recorded)
    after = changed(known, [_applied(known, obj) for obj in objects], [_object(known, name) for name in without])
    flips, undetermined, missing = [], [], set[str]()
    for kind in replayed:
        before, then = decide(known.world, kind.request), judge(after.world, kind)
        if then is None and before.allowed:
            undetermined.append(kind)
            missing |= not_looked_for(after.world, kind)
        elif then is not None and before.allowed != then.allowed:
            flips.append(Flip(kind, before, then))
    return WhatIf(
        flips=tuple(sorted(flips, key=lambda flip: (flip.after.allowed, -flip.recorded.count))),
        recorded=sum(kind.count for kind in replayed),
        kinds=len(replayed),
        findings=tuple(finding for finding in after.findings if finding not in known.findings),
        undetermined=tuple(undetermined),
        unknown=tuple(sorted(missing)),
    )


def _applied(known: Known, obj: Object) -> Object:
    """The object as an apply would leave it: what it does not speak of stays as it was, lists are taken whole."""
    before = next((other for other in known.objects if same(other, obj)), None)
    merged: Object = _merge(before, obj) if before else obj
    return merged


def _merge(before: Any, new: Any) -> Any:
    if not isinstance(before, dict) or not isinstance(new, dict):
        return new
    return {**before, **{key: _merge(before.get(key), value) for key, value in new.items()}}


def _object(known: Known, name: str) -> Object:
    """The object called ``TrafficTarget bookstore/bookstore``. Raises LabError ML511 when there is none."""
    kind, _, full = name.strip().partition(" ")
    namespace, _, short = full.strip().rpartition("/")
    found = known.by_name.get(kind, namespace or "default", short)
    if found is None:
        hint = "say kind and name as in without=['TrafficTarget bookstore/bookstore']"
        raise LabError("ML511", "there is none of this name", about=name, hint=hint)
    return found
