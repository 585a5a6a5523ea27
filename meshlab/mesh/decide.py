"""May this request pass, and why?

One evaluator for every face: explanations, the access matrix, what-if, and the tests that hold the proxies to it.
All permissions are looked at, never only the first that matches (SMI A2).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from meshlab.mesh.decision import Aspect, Candidate, Decision, Miss, Reason, Request
from meshlab.mesh.path import as_matched
from meshlab.mesh.pattern import full_match
from meshlab.mesh.rules import HttpMatch, HttpRule, Permission
from meshlab.mesh.world import World

AUTHORITY = ":authority"
_MISSING = {Aspect.ROUTE, Aspect.TCP_ROUTE}


def decide(world: World, request: Request) -> Decision:
    """Allowed or refused, with the reason (SMI A1-A13). A refusal names what was nearest to allowing it."""
    if request.source is None:
        return Decision(request, Reason.NO_IDENTITY)
    if world.permissive:
        return Decision(request, Reason.PERMISSIVE)
    permissions = world.permissions_by_destination.get(request.destination, ())
    for permission in permissions:
        trial = _try(permission, request)
        if not trial.misses:
            return Decision(request, Reason.PERMITTED, permission, trial.route, trial.match)
    mine = [permission for permission in permissions if request.source in permission.sources]
    candidates = (Candidate(permission, _try(permission, request).misses) for permission in mine or permissions)
    return Decision(
        request,
        Reason.NOT_ADMITTED if mine else Reason.NOT_A_SOURCE if permissions else Reason.NO_TARGET,
        candidates=tuple(sorted(candidates, key=lambda item: (_distance(item.misses), item.permission.name))),
    )


def ways_in(permission: Permission, request: Request) -> tuple[tuple[str, str], ...]:
    """Every way a permission admits a request by: route group and match, two empty words where none is asked for."""
    if any(_source(permission, request)) or any(_port(permission, request)):
        return ()
    return tuple((trial.route, trial.match) for trial in _alternatives(permission, request) if not trial.misses)


def satisfies(request: Request, match: HttpMatch) -> bool:
    """Whether every condition of a match holds for a request (H7, H10)."""
    return not any(_misses(match, "", request))


@dataclass(frozen=True, slots=True)
class _Trial:
    """How a request fares against one alternative: what is in the way, and by which match it was tried."""

    misses: tuple[Miss, ...] = ()
    route: str = ""
    match: str = ""


def _try(permission: Permission, request: Request) -> _Trial:
    """Source, port and request must all be admitted (A3, A11); of the requests' alternatives the nearest counts."""
    outer = (*_source(permission, request), *_port(permission, request))
    inner = min(_alternatives(permission, request), key=lambda trial: _distance(trial.misses))
    return _Trial((*outer, *inner.misses), inner.route, inner.match)


def _source(permission: Permission, request: Request) -> Iterator[Miss]:
    if request.source not in permission.sources:
        yield Miss(Aspect.SOURCE, ", ".join(map(str, sorted(permission.sources))), str(request.source))


def _port(permission: Permission, request: Request) -> Iterator[Miss]:
    """TCP rules are alternatives; one without ports admits every port (A12), and UDP rules open none (A13)."""
    if permission.udp_only:
        yield Miss(Aspect.PROTOCOL, "UDP", "TCP")
        return
    rules = [rule for rule in permission.tcp_rules if not rule.dangling]
    if not permission.tcp_rules or any(not rule.ports or request.port in rule.ports for rule in rules):
        return
    if rules:
        ports = sorted({port for rule in rules for port in rule.ports})
        yield Miss(Aspect.PORT, ", ".join(map(str, ports)), str(request.port), route=rules[0].route)
    else:
        route = permission.tcp_rules[0].route
        yield Miss(Aspect.TCP_ROUTE, f"TCPRoute {route}", route=route)


def _alternatives(permission: Permission, request: Request) -> Iterator[_Trial]:
    """Every match of every HTTP rule is one way in (A7, A8). Without HTTP rules no request is asked about."""
    if not permission.http_rules:
        yield _Trial()
    elif not request.is_http:
        yield _Trial((Miss(Aspect.PROTOCOL, "HTTP", "a port that carries plain TCP"),))
    for rule in permission.http_rules if request.is_http else ():
        yield from _matches(rule, request)


def _matches(rule: HttpRule, request: Request) -> Iterator[_Trial]:
    for match in rule.matches:
        yield _Trial(tuple(_misses(match, rule.route, request)), rule.route, match.name)
    if not rule.matches:
        yield _Trial(
            (Miss(Aspect.ROUTE, f"HTTPRouteGroup {rule.route}, or a match it needs,", route=rule.route),), rule.route
        )


def _misses(match: HttpMatch, route: str, request: Request) -> Iterator[Miss]:
    """The conditions of one match that do not hold; all of them must (H7, H10)."""
    path = as_matched(request.path)
    if match.path_regex is not None and not full_match(match.path_regex, path):
        yield Miss(Aspect.PATH, match.path_regex, path, route=route, match=match.name)
    if match.methods and request.method not in match.methods:
        yield Miss(Aspect.METHOD, " or ".join(sorted(match.methods)), request.method, route=route, match=match.name)
    headers = {_header_name(name): value for name, value in request.headers.items()}
    for name, pattern in match.headers:
        value = headers.get(_header_name(name))
        if value is None or not full_match(pattern, value):
            yield Miss(Aspect.HEADER, pattern, value or "", header=name, route=route, match=match.name)


def _header_name(name: str) -> str:
    """Names compare without case, and HTTP/2 calls the host its authority (H9)."""
    lower = name.lower()
    return AUTHORITY if lower == "host" else lower


def _distance(misses: tuple[Miss, ...]) -> tuple[int, int, int]:
    """How far from being allowed. A missing route comes after any number of conditions: it says nothing to meet.

    Of two matches a person means the one for the path that was asked for, though a header or two be wrong.
    """
    aspects = [miss.aspect for miss in misses]
    return sum(aspect in _MISSING for aspect in aspects), Aspect.PATH in aspects, len(misses)
