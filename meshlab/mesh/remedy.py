"""What is the least one would have to change for this request to be allowed?

Edits are facts as policies are: which language they are written in is decided by who applies them. Several ways
are offered, the smallest first; whoever applies one holds the outcome against `decide` once more, because a route
that is wrong in itself, say, can't be cured by adding to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from meshlab.mesh.decision import Aspect, Candidate, Decision, Reason, Request
from meshlab.mesh.identity import Identity
from meshlab.mesh.path import as_matched
from meshlab.mesh.pattern import literal
from meshlab.mesh.rules import HttpMatch

METHODS = frozenset({"GET", "HEAD", "PUT", "POST", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"})
"""The methods that a match can name."""

TRAFFIC_TARGET = "TrafficTarget"
"""The kind of permission that edits are made to."""

_OF_THE_REQUEST = {Aspect.PATH, Aspect.METHOD, Aspect.HEADER, Aspect.ROUTE}
_LONGEST_NAME = 40


@dataclass(frozen=True, slots=True)
class AddSource:
    """One more caller for a permission."""

    permission: str
    source: Identity

    def __str__(self) -> str:
        return f"add {self.source} to the sources of TrafficTarget {self.permission}"


@dataclass(frozen=True, slots=True)
class AddPort:
    """One more port for a TCP route; the route is made where it is missing."""

    route: str
    port: int

    def __str__(self) -> str:
        return f"add port {self.port} to TCPRoute {self.route}"


@dataclass(frozen=True, slots=True)
class AddMethod:
    """One more method for a match."""

    route: str
    match: str
    method: str

    def __str__(self) -> str:
        return f"add method {self.method} to match {self.match} of HTTPRouteGroup {self.route}"


@dataclass(frozen=True, slots=True)
class AddMatch:
    """One more match for a route group, named in the permission's rule where that names matches.

    The group is made where it is missing. The match gets another name where its own is taken.
    """

    permission: str
    route: str
    match: HttpMatch

    def __str__(self) -> str:
        return f"add a match for {_words(self.match)} to HTTPRouteGroup {self.route}"


@dataclass(frozen=True, slots=True)
class NewPermission:
    """A permission of its own for one caller, and for one kind of request or one port."""

    name: str
    destination: Identity
    source: Identity
    match: HttpMatch | None
    """None: connections to `port`, whatever they carry."""
    port: int

    def __str__(self) -> str:
        what = _words(self.match) if self.match else f"connections to port {self.port}"
        return f"make a TrafficTarget that lets {self.source} in to {self.destination} for {what}"


Edit = AddSource | AddPort | AddMethod | AddMatch | NewPermission


def remedies(decision: Decision) -> Iterator[tuple[Edit, ...]]:
    """Ways to have the request allowed, smallest first; none for one that is allowed, or whose caller is nobody.

    What a permission lacks is added to it, the nearest first; a caller only where nothing else is lacking, since it
    gets all that the permission allows. A permission of its own always helps, and comes last.
    """
    request = decision.request
    if decision.allowed or decision.reason is Reason.NO_IDENTITY or request.source is None:
        return
    for candidate in decision.candidates:
        if candidate.permission.kind == TRAFFIC_TARGET and (edits := tuple(_cures(candidate, request, request.source))):
            yield edits
    match = match_of(request) if request.is_http else None
    what = match.name if match else f"port-{request.port}"
    name = f"{request.destination.namespace}/{request.source.service_account}-{what}"
    yield (NewPermission(name, request.destination, request.source, match, request.port),)


def _cures(candidate: Candidate, request: Request, source: Identity) -> Iterator[Edit]:
    """An edit for each condition in the way; none at all if one of them can't be met by adding something."""
    aspects = {miss.aspect for miss in candidate.misses}
    if Aspect.PROTOCOL in aspects or (Aspect.SOURCE in aspects and len(aspects) > 1):
        return
    permission = candidate.permission.name
    if Aspect.SOURCE in aspects:
        yield AddSource(permission, source)
    for miss in candidate.misses:
        if miss.aspect in {Aspect.PORT, Aspect.TCP_ROUTE}:
            yield AddPort(miss.route, request.port)
    about_request = [miss for miss in candidate.misses if miss.aspect in _OF_THE_REQUEST]
    if not about_request:
        return
    route, match = about_request[0].route, about_request[0].match
    if {miss.aspect for miss in about_request} == {Aspect.METHOD} and request.method in METHODS:
        yield AddMethod(route, match, request.method)
    else:
        yield AddMatch(permission, route, match_of(request))


def match_of(request: Request) -> HttpMatch:
    """The match of this kind of request alone: its method, where policies can name it, and its path.

    A slash at the end reads like the beginning of something; the dollar sign says that it is the end.
    """
    path = as_matched(request.path)
    pattern = literal(path) + ("$" if path.endswith("/") else "")
    return HttpMatch(_name(request.method, path), pattern, METHODS & {request.method})


def _name(method: str, path: str) -> str:
    """A name for requests like this: ``get-books-bought``."""
    letters = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in path.lower())
    words = [method.lower(), *filter(None, letters.split("-"))]
    return "-".join(words)[:_LONGEST_NAME].rstrip("-")


def _words(match: HttpMatch) -> str:
    return f"{' or '.join(sorted(match.methods)) or 'any method'} {match.path_regex}"
