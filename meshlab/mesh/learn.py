"""Which permissions admit exactly these requests, and nothing else?

Callers that ask a destination for the same things share a permission, or else things that the same callers ask for:
whichever takes fewer. Each request is admitted once, so that no part can be left out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import TypeVar

from meshlab.mesh.decision import Request
from meshlab.mesh.identity import Identity
from meshlab.mesh.remedy import match_of
from meshlab.mesh.rules import HttpMatch, HttpRule, Permission, TcpRule

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")
_Port = int
_Wish = HttpMatch | _Port
"""What is asked for: requests of one kind, or connections to a port."""
_Groups = dict[frozenset[Identity], frozenset[_Wish]]
"""Who may ask for what."""


def learn(requests: Iterable[Request]) -> tuple[Permission, ...]:
    """The smallest set of permissions that admits them. A caller that proved no identity can't be admitted."""
    asked: dict[tuple[Identity, bool], dict[Identity, set[_Wish]]] = defaultdict(lambda: defaultdict(set))
    for request in requests:
        if request.source is not None:
            wish = match_of(request) if request.is_http else request.port
            asked[request.destination, request.is_http][request.source].add(wish)
    taken: set[str] = set()
    return tuple(
        _permission(destination, sources, wishes, taken)
        for (destination, _), wishes_of in sorted(asked.items(), key=str)
        for sources, wishes in sorted(_grouped(wishes_of).items(), key=_order)
    )


def _grouped(wishes_of: dict[Identity, set[_Wish]]) -> _Groups:
    callers_of: dict[_Wish, set[Identity]] = defaultdict(set)
    for caller, wishes in wishes_of.items():
        for wish in wishes:
            callers_of[wish].add(caller)
    by_callers: _Groups = {callers: wishes for wishes, callers in _inverted(wishes_of).items()}
    return min(by_callers, _inverted(callers_of), key=len)


def _inverted(relation: dict[_Key, set[_Value]]) -> dict[frozenset[_Value], frozenset[_Key]]:
    """Those with the same values, together."""
    found: dict[frozenset[_Value], set[_Key]] = defaultdict(set)
    for key, values in relation.items():
        found[frozenset(values)].add(key)
    return {values: frozenset(keys) for values, keys in found.items()}


def _permission(
    destination: Identity, sources: frozenset[Identity], wishes: frozenset[_Wish], taken: set[str]
) -> Permission:
    first = min(sources)
    plain = "" if all(isinstance(wish, HttpMatch) for wish in wishes) else "-tcp"
    others = f"-and-{len(sources) - 1}-more" if len(sources) > 1 else ""
    name = _free(
        f"{destination.namespace}/{first.service_account}{others}-to-{destination.service_account}{plain}", taken
    )
    matches = tuple(_merged(wish for wish in wishes if isinstance(wish, HttpMatch)))
    ports = tuple(sorted(wish for wish in wishes if isinstance(wish, int)))
    return Permission(
        name=name,
        destination=destination,
        sources=sources,
        http_rules=(HttpRule(name, matches),) if matches else (),
        tcp_rules=(TcpRule(name, ports),) if ports else (),
    )


def _merged(matches: Iterable[HttpMatch]) -> Iterator[HttpMatch]:
    """One match for each path, with all its methods, each under a name of its own."""
    by_path: dict[str, list[HttpMatch]] = defaultdict(list)
    for match in sorted(matches):
        by_path[match.path_regex or ""].append(match)
    names: set[str] = set()
    for path, alike in sorted(by_path.items()):
        methods = (
            frozenset[str]()
            if any(not one.methods for one in alike)
            else frozenset().union(*(one.methods for one in alike))
        )
        yield HttpMatch(_free(alike[0].name, names), path, methods)


def _free(name: str, taken: set[str]) -> str:
    tried, number = name, 1
    while tried in taken:
        number += 1
        tried = f"{name}-{number}"
    taken.add(tried)
    return tried


def _order(group: tuple[frozenset[Identity], frozenset[_Wish]]) -> list[Identity]:
    return sorted(group[0])
