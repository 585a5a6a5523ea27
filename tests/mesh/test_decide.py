"""May this request pass, and why? One test for each rule of access, named after it."""

from __future__ import annotations

import pytest

from meshlab.mesh.decide import decide
from meshlab.mesh.decision import Aspect, Decision, Reason, Request
from meshlab.mesh.identity import Identity
from meshlab.mesh.rules import HttpMatch, HttpRule, Permission, TcpRule
from meshlab.mesh.world import World

BUYER = Identity("bookbuyer", "bookbuyer")
THIEF = Identity("bookthief", "bookthief")
STORE = Identity("bookstore", "bookstore")
READ = HttpMatch("read", "/books(/[0-9]+)?", frozenset({"GET", "HEAD"}))
BUY = HttpMatch("buy", "/buy", frozenset({"POST"}), (("x-role", "cust.*"), ("x-shop", "[0-9]+")))
ANY = HttpMatch("any")


def http(*matches: HttpMatch, dangling: bool = False) -> HttpRule:
    return HttpRule("bookstore/routes", matches, dangling)


def permission(name: str = "target", sources: tuple[Identity, ...] = (BUYER,), **rules) -> Permission:
    return Permission(f"bookstore/{name}", STORE, frozenset(sources), **rules)


def ask(*permissions: Permission, permissive: bool = False, source: Identity | None = BUYER, **request) -> Decision:
    world = World(permissions=permissions, permissive=permissive)
    return decide(world, Request(source, STORE, request.pop("port", 14001), **request))


def test_permissive_mode_allows_whoever_has_an_identity():
    assert ask(permissive=True).reason is Reason.PERMISSIVE
    assert ask(permissive=True, source=None).reason is Reason.NO_IDENTITY


def test_a1_without_a_traffic_target_for_the_destination_everything_is_refused():
    decision = ask()
    assert decision.reason is Reason.NO_TARGET
    assert str(decision) == "refused: no TrafficTarget has bookstore/bookstore as its destination"


def test_a2_what_any_traffic_target_allows_is_allowed_though_another_overlaps_it():
    reading = permission("a", (THIEF,), http_rules=(http(READ),))
    everything = permission("b", (BUYER,), http_rules=(http(ANY),))
    assert ask(reading, everything, method="DELETE", path="/books").allowed
    assert ask(everything, reading, method="GET", path="/books", source=THIEF).allowed


def test_a3_a_request_is_allowed_when_destination_source_and_rule_agree():
    decision = ask(permission(http_rules=(http(BUY, READ),)), path="/books/7")
    assert decision.allowed
    assert (decision.permission.name, decision.route, decision.match) == (
        "bookstore/target",
        "bookstore/routes",
        "read",
    )
    assert str(decision) == (
        "allowed: TrafficTarget bookstore/target lets bookbuyer/bookbuyer in, by match read of bookstore/routes"
    )


def test_a4_a_caller_that_is_not_a_source_is_refused_even_on_a_path_another_may_use():
    decision = ask(permission(http_rules=(http(READ),)), path="/books", source=THIEF)
    assert decision.reason is Reason.NOT_A_SOURCE
    assert [miss.aspect for miss in decision.nearest.misses] == [Aspect.SOURCE]
    assert "bookbuyer/bookbuyer" in str(decision.nearest)


@pytest.mark.parametrize(
    ("request_", "aspect"),
    [
        ({"path": "/admin"}, Aspect.PATH),
        ({"path": "/books", "method": "DELETE"}, Aspect.METHOD),
        ({"path": "/books", "port": 9000}, Aspect.PORT),
    ],
)
def test_a5_a_source_asking_for_another_path_method_or_port_is_refused(request_, aspect):
    target = permission(http_rules=(http(READ),), tcp_rules=(TcpRule("bookstore/port", (14001,)),))
    decision = ask(target, **request_)
    assert decision.reason is Reason.NOT_ADMITTED
    assert [miss.aspect for miss in decision.nearest.misses] == [aspect]


def test_a8_several_matches_are_alternatives():
    target = permission(http_rules=(http(READ, HttpMatch("ping", "/ping")),))
    assert ask(target, path="/ping", method="PATCH").allowed
    assert ask(target, path="/books").allowed


def test_a9_the_identity_is_what_counts_so_another_account_of_the_namespace_is_refused():
    assert not ask(permission(), source=Identity("bookbuyer", "default")).allowed


def test_a11_a_tcp_rule_beside_an_http_rule_asks_for_both():
    target = permission(http_rules=(http(READ),), tcp_rules=(TcpRule("bookstore/port", (14001,)),))
    assert ask(target, path="/books").allowed
    assert not ask(target, path="/books", port=14002).allowed
    assert not ask(target, path="/other").allowed


def test_parts_of_two_traffic_targets_do_not_combine():
    reading = permission("a", http_rules=(http(READ),), tcp_rules=(TcpRule("bookstore/one", (1,)),))
    pinging = permission(
        "b", http_rules=(http(HttpMatch("ping", "/ping")),), tcp_rules=(TcpRule("bookstore/two", (2,)),)
    )
    assert ask(reading, pinging, port=1, path="/books").allowed
    assert not ask(reading, pinging, port=1, path="/ping").allowed


def test_a12_a_tcp_rule_without_ports_admits_every_port_and_any_request_on_it():
    target = permission(tcp_rules=(TcpRule("bookstore/any"),))
    assert ask(target, port=1, path="/whatever", method="PUT").allowed


def test_a13_udp_rules_open_no_tcp_port():
    decision = ask(permission(udp_only=True), is_http=False)
    assert not decision.allowed
    assert str(decision.nearest) == "TrafficTarget bookstore/target: it allows UDP only, and this is TCP"


def test_an_http_rule_admits_nothing_on_a_port_that_carries_plain_tcp():
    decision = ask(permission(http_rules=(http(ANY),)), is_http=False)
    assert [miss.aspect for miss in decision.nearest.misses] == [Aspect.PROTOCOL]


def test_h2_h3_the_whole_path_has_to_match_and_the_query_does_not_count():
    target = permission(http_rules=(http(READ),))
    assert ask(target, path="/books/7?page=2").allowed
    assert not ask(target, path="/books/7/pages").allowed
    assert not ask(target, path="/all/books").allowed


def test_dot_segments_lead_nowhere_that_is_not_allowed():
    target = permission(http_rules=(http(HttpMatch("public", "/public/.*")),))
    assert ask(target, path="/public/page").allowed
    assert not ask(target, path="/public/../admin").allowed
    assert not ask(target, path="/public/%2e%2e/admin").allowed


def test_h5_a_match_without_conditions_admits_every_request():
    assert ask(permission(http_rules=(http(ANY),)), path="/x", method="TRACE").allowed


def test_h7_all_headers_of_a_match_have_to_hold():
    target = permission(http_rules=(http(BUY),))
    both = {"x-role": "customer", "x-shop": "12"}
    assert ask(target, path="/buy", method="POST", headers=both).allowed
    assert not ask(target, path="/buy", method="POST", headers={"x-role": "customer"}).allowed


def test_h8_header_values_are_patterns_for_the_whole_value_and_an_absent_header_does_not_match():
    target = permission(http_rules=(http(HttpMatch("staff", headers=(("x-role", ".*"),))),))
    assert ask(target, headers={"x-role": ""}).allowed
    decision = ask(target)
    assert not decision.allowed
    assert "header x-role is absent" in str(decision)
    assert not ask(permission(http_rules=(http(BUY),)), path="/buy", method="POST",
                   headers={"x-role": "a customer", "x-shop": "1"}).allowed  # fmt: skip


def test_h9_header_names_compare_without_case_and_host_is_the_authority():
    target = permission(http_rules=(http(HttpMatch("here", headers=((":authority", "shop:80"), ("x-role", "staff")))),))
    assert ask(target, headers={"Host": "shop:80", "X-Role": "staff"}).allowed


def test_h10_path_method_and_headers_all_have_to_hold_and_a_refusal_names_each_that_does_not():
    decision = ask(permission(http_rules=(http(BUY),)), path="/sell", headers={"x-role": "thief", "x-shop": "1"})
    assert [miss.aspect for miss in decision.nearest.misses] == [Aspect.PATH, Aspect.METHOD, Aspect.HEADER]


def test_a_dangling_route_admits_nothing_and_is_named():
    decision = ask(permission(http_rules=(http(dangling=True),)))
    assert [miss.aspect for miss in decision.nearest.misses] == [Aspect.ROUTE]
    assert "bookstore/routes" in str(decision)
    missing_port = ask(permission(tcp_rules=(TcpRule("bookstore/port", dangling=True),)))
    assert not missing_port.allowed


def test_what_exists_beside_a_dangling_route_still_admits():
    assert ask(permission(http_rules=(http(READ, dangling=True), http(dangling=True))), path="/books").allowed


def test_the_nearest_miss_comes_first():
    far = permission("a", http_rules=(http(BUY),))
    near = permission("b", http_rules=(http(READ),))
    decision = ask(far, near, path="/books", method="POST")
    assert [candidate.permission.name for candidate in decision.candidates] == ["bookstore/b", "bookstore/a"]
    assert str(decision) == ("refused: TrafficTarget bookstore/b: the method is POST, and read wants GET or HEAD")
