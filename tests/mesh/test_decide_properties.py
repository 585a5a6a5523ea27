"""What holds of decide() for all policies and requests: hypothesis looks for a counterexample."""

from __future__ import annotations

import re
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from meshlab.mesh.decide import decide
from meshlab.mesh.decision import Aspect, Reason, Request
from meshlab.mesh.identity import Identity
from meshlab.mesh.rules import HttpMatch, HttpRule, Permission, TcpRule
from meshlab.mesh.world import World

IDENTITIES = [Identity(name, name) for name in ("buyer", "thief", "store", "warehouse")]
PATTERNS = ["/", "/a", "/a/.*", ".*", "/(a|b)", "/b[0-9]+"]
PATHS = ["/", "/a", "/a/x", "/b", "/b7", "/c"]
METHODS = ["GET", "POST", "DELETE"]
VALUES = {"x": "x", "y+": "yy", ".*": "z"}

matches = st.builds(
    HttpMatch,
    name=st.sampled_from("klmn"),
    path_regex=st.none() | st.sampled_from(PATTERNS),
    methods=st.frozensets(st.sampled_from(METHODS), max_size=2),
    headers=st.lists(st.tuples(st.sampled_from(["x-one", "x-two"]), st.sampled_from(list(VALUES))), max_size=2).map(
        lambda pairs: tuple(sorted(dict(pairs).items()))
    ),
)
http_rules = st.builds(
    HttpRule, route=st.sampled_from(["s/r1", "s/r2"]), matches=st.lists(matches, max_size=3).map(tuple)
)
tcp_rules = st.builds(
    TcpRule,
    route=st.just("s/t"),
    ports=st.lists(st.integers(1, 3), max_size=2, unique=True).map(tuple),
    dangling=st.booleans(),
)
permissions = st.builds(
    Permission,
    name=st.sampled_from([f"s/{letter}" for letter in "abcdef"]),
    destination=st.sampled_from(IDENTITIES[2:]),
    sources=st.frozensets(st.sampled_from(IDENTITIES), min_size=1, max_size=3),
    http_rules=st.lists(http_rules, max_size=2).map(tuple),
    tcp_rules=st.lists(tcp_rules, max_size=2).map(tuple),
    udp_only=st.just(value=False),
)
policies = st.lists(permissions, max_size=5, unique_by=lambda permission: permission.name).map(tuple)
requests = st.builds(
    Request,
    source=st.sampled_from(IDENTITIES),
    destination=st.sampled_from(IDENTITIES[2:]),
    port=st.integers(1, 3),
    method=st.sampled_from(METHODS),
    path=st.sampled_from(PATHS) | st.sampled_from(PATHS).map(lambda path: f"{path}?q=/a"),
    headers=st.dictionaries(st.sampled_from(["x-one", "X-Two"]), st.sampled_from(["x", "yy", "z", ""]), max_size=2),
    is_http=st.booleans(),
)


def strict(policy: tuple[Permission, ...]) -> World:
    return World(permissions=policy, permissive=False)


def reference(policy: tuple[Permission, ...], request: Request) -> bool:
    """The rules read off SMI once more, in one sentence and with another engine for the patterns."""
    headers = {name.lower(): value for name, value in request.headers.items()}
    return any(
        target.destination == request.destination
        and request.source in target.sources
        and (
            not target.tcp_rules
            or any(not rule.dangling and request.port in (rule.ports or [request.port]) for rule in target.tcp_rules)
        )
        and (
            not target.http_rules
            or any(
                request.is_http
                and re.fullmatch(match.path_regex or ".*", request.path.split("?")[0])
                and request.method in (match.methods or [request.method])
                and all(name in headers and re.fullmatch(value, headers[name]) for name, value in match.headers)
                for rule in target.http_rules
                for match in rule.matches
            )
        )
        for target in policy
    )


@given(policies, requests)
def test_decide_agrees_with_a_second_reading_of_the_rules(policy, request):
    assert decide(strict(policy), request).allowed == reference(policy, request)


@given(policies, permissions, requests)
def test_a2_adding_a_permission_never_refuses_what_was_allowed(policy, more, request):
    if decide(strict(policy), request).allowed:
        assert decide(strict((*policy, more)), request).allowed


@given(policies, policies, requests)
def test_a2_the_effect_of_two_policies_is_their_union(one, other, request):
    either = decide(strict(one), request).allowed or decide(strict(other), request).allowed
    assert decide(strict((*one, *other)), request).allowed == either


@given(policies.flatmap(lambda policy: st.tuples(st.just(policy), st.permutations(policy))), requests)
def test_a2_the_order_of_permissions_changes_nothing_of_the_answer(both, request):
    policy, shuffled = both
    assert decide(strict(policy), request) == decide(strict(tuple(shuffled)), request)


@given(policies, requests)
def test_permissive_mode_allows_every_identity(policy, request):
    assert decide(World(permissions=policy, permissive=True), request).reason is Reason.PERMISSIVE


@given(policies, requests)
def test_meeting_the_conditions_a_refusal_names_gets_the_request_allowed(policy, request):
    decision = decide(strict(policy), request)
    for candidate in decision.candidates:
        assert candidate.misses
        changed, target = meet(request, candidate.misses), candidate.permission
        if changed is not None:
            assert decide(strict((target,)), changed).allowed, str(candidate)


def meet(request: Request, misses) -> Request | None:
    """The request changed so that each condition holds; None where only the policy could change."""
    for miss in misses:
        match miss.aspect:
            case Aspect.SOURCE:
                namespace, _, account = miss.wanted.split(", ")[0].partition("/")
                request = replace(request, source=Identity(namespace, account))
            case Aspect.PORT:
                request = replace(request, port=int(miss.wanted.split(", ")[0]))
            case Aspect.PATH:
                request = replace(request, path=next(path for path in [*PATHS, "/"] if re.fullmatch(miss.wanted, path)))
            case Aspect.METHOD:
                request = replace(request, method=miss.wanted.split(" or ")[0])
            case Aspect.HEADER:
                kept = {name: value for name, value in request.headers.items() if name.lower() != miss.header}
                request = replace(request, headers={**kept, miss.header: VALUES[miss.wanted]})
            case _:
                return None
    return request
