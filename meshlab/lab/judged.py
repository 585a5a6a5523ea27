"""What would be decided about a recorded request, as far as the record tells?

A condition on a header that nobody looked for, when the request was made, can't be judged: then there is no answer,
unless it is the same whatever the header was.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import replace

from meshlab.lab.recorded import Recorded
from meshlab.mesh.decide import AUTHORITY, decide
from meshlab.mesh.decision import Decision
from meshlab.mesh.identity import Identity
from meshlab.mesh.rules import HttpMatch, Permission
from meshlab.mesh.world import World


def judge(world: World, recorded: Recorded) -> Decision | None:
    """What is decided by the rules of this world; None where it depends on headers that are not on record."""
    decision = decide(world, recorded.request)
    unknown = not_looked_for(world, recorded)
    if decision.allowed or not unknown:
        return decision
    lenient = _without_headers(world, recorded.request.destination, unknown)
    return None if decide(lenient, recorded.request).allowed else decision


def not_looked_for(world: World, recorded: Recorded) -> set[str]:
    """The headers that the rules speak of and the record does not."""
    spoken = {*world.headers_by_destination.get(recorded.request.destination, ())}
    return spoken - recorded.looked_for - {AUTHORITY}


def _without_headers(world: World, destination: Identity, headers: Container[str]) -> World:
    """The rules for a destination without any condition on these headers. They admit whatever the true ones might."""
    concerned = world.permissions_by_destination.get(destination, ())
    return replace(world, permissions=tuple(_lenient(permission, headers) for permission in concerned))


def _lenient(permission: Permission, headers: Container[str]) -> Permission:
    def match(strict: HttpMatch) -> HttpMatch:
        return replace(strict, headers=tuple(pair for pair in strict.headers if pair[0] not in headers))

    rules = (replace(rule, matches=tuple(map(match, rule.matches))) for rule in permission.http_rules)
    return replace(permission, http_rules=tuple(rules))
