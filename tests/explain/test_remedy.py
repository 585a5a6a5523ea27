"""What is the least one would have to change? Every refusal has an edit that allows it, proven by deciding again."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from meshlab.kube import load
from meshlab.lab.proposal import propose
from meshlab.lab.reading import Known, changed, know
from meshlab.mesh.decide import decide
from meshlab.mesh.decision import Reason, Request
from meshlab.mesh.identity import Identity
from meshlab.policy.smi.edit import route_group, tcp_route

BUYER, THIEF, STORE = (Identity(name, name) for name in ("bookbuyer", "bookthief", "bookstore"))
POLICIES = """
apiVersion: specs.smi-spec.io/v1alpha4
kind: HTTPRouteGroup
metadata: {name: routes, namespace: bookstore}
spec:
  matches:
  - {name: read, pathRegex: /books, methods: [GET]}
  - {name: secret, pathRegex: /till, methods: ["*"], headers: [{x-role: clerk}]}
---
apiVersion: specs.smi-spec.io/v1alpha4
kind: TCPRoute
metadata: {name: port, namespace: bookstore}
spec: {matches: {ports: [14001]}}
---
apiVersion: access.smi-spec.io/v1alpha3
kind: TrafficTarget
metadata: {name: target, namespace: bookstore}
spec:
  destination: {kind: ServiceAccount, name: bookstore, namespace: bookstore}
  sources: [{kind: ServiceAccount, name: bookbuyer, namespace: bookbuyer}]
  rules:
  - {kind: HTTPRouteGroup, name: routes, matches: [read, secret]}
  - {kind: TCPRoute, name: port}
"""


def known(yaml: str = POLICIES) -> Known:
    return changed(know(load(yaml)), [STRICT])


STRICT = load("""
apiVersion: config.openservicemesh.io/v1alpha2
kind: MeshConfig
metadata: {name: meshlab-mesh-config, namespace: meshlab-system}
spec: {traffic: {enablePermissiveTrafficPolicyMode: false}}
""")[0]


def ask(what: Known, source: Identity | None = BUYER, path: str = "/books", port: int = 14001, **request):
    return propose(what, decide(what.world, Request(source, STORE, port, path=path, **request)))


def test_what_is_allowed_needs_no_edit():
    assert ask(known()) is None


def test_a_caller_that_is_no_source_is_added_to_the_sources():
    proposal = ask(known(), THIEF)
    assert str(proposal) == "add bookthief/bookthief to the sources of TrafficTarget bookstore/target"
    (target,) = proposal.objects
    assert [source["name"] for source in target["spec"]["sources"]] == ["bookbuyer", "bookthief"]
    assert [line for line in proposal.diff.splitlines() if line.startswith("+ ")] == [
        "+  - kind: ServiceAccount",
        "+    name: bookthief",
        "+    namespace: bookthief",
    ]


def test_a_method_that_is_missing_is_added_to_the_match():
    (group,) = ask(known(), method="POST").objects
    assert group["spec"]["matches"][0]["methods"] == ["GET", "POST"]


def test_a_path_that_is_missing_becomes_a_match_of_its_own_and_the_rule_names_it():
    proposal = ask(known(), path="/new.books?page=2")
    group, target = proposal.objects
    assert group["spec"]["matches"][-1] == {"name": "get-new-books", "pathRegex": r"/new\.books", "methods": ["GET"]}
    assert target["spec"]["rules"][0]["matches"] == ["read", "secret", "get-new-books"]
    assert not decide(changed(known(), proposal.objects).world, Request(BUYER, STORE, 14001, path="/newxbooks")).allowed


def test_a_rule_that_names_no_matches_is_left_as_it_is():
    (group,) = ask(known(POLICIES.replace(", matches: [read, secret]", "")), path="/new").objects
    assert group["kind"] == "HTTPRouteGroup"


def test_a_port_that_is_missing_is_added_to_the_route():
    (route,) = ask(known(), port=9000).objects
    assert route["spec"]["matches"]["ports"] == [14001, 9000]


def test_what_a_rule_lacks_in_several_places_is_added_in_each():
    proposal = ask(known(), path="/new", port=9000)
    assert [obj["kind"] for obj in proposal.objects] == ["HTTPRouteGroup", "TCPRoute", "TrafficTarget"]
    assert len(proposal.edits) == 2


def test_a_caller_that_asks_for_something_new_gets_a_traffic_target_of_its_own():
    assert [obj["metadata"]["name"] for obj in ask(known(), THIEF, path="/new").objects] == ["bookthief-get-new"] * 2


def test_without_any_traffic_target_one_is_made():
    proposal = ask(know([STRICT]), path="/books")
    assert [obj["kind"] for obj in proposal.objects] == ["HTTPRouteGroup", "TrafficTarget"]
    assert proposal.objects[1]["metadata"] == {"name": "bookbuyer-get-books", "namespace": "bookstore"}


def test_a_tcp_port_that_http_rules_guard_gets_a_traffic_target_of_its_own():
    proposal = ask(known(), is_http=False)
    assert [obj["kind"] for obj in proposal.objects] == ["TCPRoute", "TrafficTarget"]


def test_a_route_group_that_was_deleted_is_made_again_with_the_match_that_is_asked_for():
    without_group = "---".join(POLICIES.split("---")[1:])
    group, target = ask(known(without_group), path="/x").objects
    assert [match["name"] for match in group["spec"]["matches"]] == ["get-x"]
    assert "get-x" in target["spec"]["rules"][0]["matches"]


def test_a_route_group_that_is_wrong_in_itself_is_left_alone():
    wrong = POLICIES.replace("pathRegex: /till", 'pathRegex: "/(?=x)"')
    assert [edit.name for edit in ask(known(wrong), path="/x").edits] == ["bookstore/bookbuyer-get-x"]


def test_no_policy_helps_a_caller_that_has_no_sidecar():
    assert ask(known(), None) is None


IDENTITIES = st.sampled_from([BUYER, THIEF])
PATHS = st.sampled_from(["/", "/a", "/a/b", "/a.b", "/b?x=1"])
METHODS = st.sampled_from(["GET", "POST", "PURGE"])
MATCHES = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "pathRegex": st.sampled_from(["/a", "/a.*", ".*", "/b"]),
            "methods": st.sampled_from([["GET"], ["POST", "GET"], ["*"]]),
            "headers": st.just({"x-role": "clerk"}),
        },
    ),
    max_size=3,
)
RULES = st.sampled_from(
    [
        {"kind": "HTTPRouteGroup", "name": "one"},
        {"kind": "HTTPRouteGroup", "name": "one", "matches": ["m0"]},
        {"kind": "HTTPRouteGroup", "name": "two", "matches": ["m1", "lost"]},
        {"kind": "HTTPRouteGroup", "name": "none"},
        {"kind": "TCPRoute", "name": "one"},
        {"kind": "TCPRoute", "name": "two"},
        {"kind": "TCPRoute", "name": "none"},
        {"kind": "UDPRoute", "name": "one"},
    ]
)


@st.composite
def policies(draw) -> list:
    objects = [STRICT]
    for name in ("one", "two"):
        matches = [{**match, "name": f"m{number}"} for number, match in enumerate(draw(MATCHES))]
        group = route_group(f"bookstore/{name}", [])
        group["spec"]["matches"] = matches
        objects += [group, tcp_route(f"bookstore/{name}", draw(st.sets(st.sampled_from([14001, 99]))))]
    for number in range(draw(st.integers(0, 3))):
        sources = draw(st.lists(IDENTITIES, min_size=1, max_size=2, unique=True))
        rules = draw(st.lists(RULES, min_size=1, max_size=3))
        objects.append(
            {
                "apiVersion": "access.smi-spec.io/v1alpha3",
                "kind": "TrafficTarget",
                "metadata": {"name": f"t{number}", "namespace": "bookstore"},
                "spec": {
                    "destination": {"kind": "ServiceAccount", "name": "bookstore", "namespace": "bookstore"},
                    "sources": [
                        {"kind": "ServiceAccount", "name": i.service_account, "namespace": i.namespace} for i in sources
                    ],
                    "rules": rules,
                },
            }
        )
    return objects


@settings(max_examples=150, deadline=None)
@given(policies(), IDENTITIES, st.sampled_from([14001, 99]), METHODS, PATHS, st.booleans())
def test_every_refusal_has_an_edit_that_allows_it_and_takes_nothing_away(objects, source, port, method, path, is_http):
    before = know(objects)
    decision = decide(before.world, Request(source, STORE, port, method, path, is_http=is_http))
    if decision.allowed:
        return
    assert decision.reason is not Reason.NO_IDENTITY
    proposal = propose(before, decision)
    after = changed(before, proposal.objects)
    assert decide(after.world, decision.request).allowed
    errors = [finding for finding in after.findings if finding.severity == "error"]
    assert errors == [finding for finding in before.findings if finding.severity == "error"]
    for other in (BUYER, THIEF):
        for asked in ("GET", "POST"):
            request = Request(other, STORE, port, asked, "/a", is_http=is_http)
            assert decide(after.world, request).allowed or not decide(before.world, request).allowed
