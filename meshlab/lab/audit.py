"""Who talked to whom, allowed by what, which of it no policy speaks of, and which policies does no traffic need?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import pandas as pd

from meshlab.lab.judged import judge
from meshlab.lab.recorded import Recorded
from meshlab.lab.shown import Shown
from meshlab.mesh.decide import decide, ways_in
from meshlab.mesh.identity import Identity
from meshlab.mesh.rules import Permission
from meshlab.mesh.world import World


@dataclass(frozen=True, order=True)
class Talk:
    """Who talked to whom: the requests of one identity to another through one Service port."""

    source: str
    destination: str
    service: str
    requests: int
    refused: int
    allowed_by: tuple[str, ...]
    """The TrafficTargets that admit them, now."""
    uncovered: int
    """Requests that no TrafficTarget admits: they were refused, or passed in permissive mode alone."""

    def __str__(self) -> str:
        by = f"allowed by {', '.join(self.allowed_by)}" if self.allowed_by else "no TrafficTarget speaks of it"
        proof = "mTLS" if self.source else "caller unproven"
        refused = f", {self.refused} refused" if self.refused else ""
        return f"{self.source or '?'} → {self.service} ({proof}): {self.requests} requests{refused}; {by}"


@dataclass(frozen=True, repr=False)
class Audit(Shown):
    """The traffic on record held against the policies there are."""

    talks: tuple[Talk, ...]
    uncovered: tuple[Recorded, ...]
    """What passed although no TrafficTarget admits it: permissive mode alone let it in."""
    unused: tuple[str, ...]
    """Policies, and parts of policies, that no recorded request needs."""
    permissive: bool

    def lines(self) -> Iterator[str]:
        """What it says, line by line."""
        mode = "permissive: every meshed workload may call every other" if self.permissive else "strict"
        requests = sum(talk.requests for talk in self.talks)
        yield f"{requests} requests on {len(self.talks)} edges are on record; the mode is {mode}"
        yield from (f"  {'✗' if talk.refused else '✓'} {talk}" for talk in self.talks)
        if self.uncovered:
            yield "Passed, but no TrafficTarget admits it:"
            yield from (f"  ! {kind}" for kind in self.uncovered)
        if self.unused:
            yield "Allowed, but never used:"
            yield from (f"  ! {text}" for text in self.unused)

    @property
    def edges(self) -> pd.DataFrame:
        """One row per caller, callee and Service port."""
        columns = list(Talk.__dataclass_fields__)
        return pd.DataFrame.from_records([vars(talk) for talk in self.talks], columns=columns)


def audit(world: World, recorded: Iterable[Recorded]) -> Audit:
    """Hold what was asked against what is allowed."""
    kinds = list(recorded)
    strict = replace(world, permissive=False)
    edges: dict[tuple[str, str, str], list[Recorded]] = defaultdict(list)
    for kind in kinds:
        source = kind.request.source
        edges[str(source) if source else "", str(kind.request.destination), kind.service].append(kind)
    return Audit(
        talks=tuple(_talk(strict, *edge, found) for edge, found in sorted(edges.items())),
        uncovered=tuple(kind for kind in kinds if kind.refused < kind.count and _is_refused(strict, kind)),
        unused=tuple(_unused(world, kinds)),
        permissive=world.permissive,
    )


def _talk(strict: World, source: str, destination: str, service: str, kinds: list[Recorded]) -> Talk:
    decisions = [(kind, decide(strict, kind.request)) for kind in kinds]
    return Talk(
        source=source,
        destination=destination,
        service=service,
        requests=sum(kind.count for kind in kinds),
        refused=sum(kind.refused for kind in kinds),
        allowed_by=tuple(sorted({decision.permission.name for _, decision in decisions if decision.permission})),
        uncovered=sum(kind.count for kind in kinds if _is_refused(strict, kind)),
    )


def _is_refused(world: World, kind: Recorded) -> bool:
    """Whether it would surely be refused."""
    decision = judge(world, kind)
    return decision is not None and not decision.allowed


def _unused(world: World, kinds: Iterable[Recorded]) -> Iterator[str]:
    """Whole TrafficTargets, else the callers and matches of them, that admitted nothing on record."""
    asked: dict[Identity, list[Recorded]] = defaultdict(list)
    for kind in kinds:
        asked[kind.request.destination].append(kind)
    for permission in sorted(world.permissions, key=lambda item: item.name):
        ways = [(kind.request.source, ways_in(permission, kind.request)) for kind in asked[permission.destination]]
        used = {source for source, found in ways if found and source}
        if not used:
            yield permission.title
            continue
        yield from _unused_parts(permission, used, {way for _, found in ways for way in found})


def _unused_parts(permission: Permission, used: set[Identity], ways: set[tuple[str, str]]) -> Iterator[str]:
    for source in sorted(permission.sources - used):
        yield f"{permission.title}: source {source}"
    for rule in permission.http_rules:
        for match in rule.matches:
            if (rule.route, match.name) not in ways:
                yield f"{permission.title}: match {match.name} of HTTPRouteGroup {rule.route}"
