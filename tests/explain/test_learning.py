"""What was seen, held against policies: what would flip, what nobody needs, and the least that admits all of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from meshlab.kube import Object, load
from meshlab.lab.audit import audit
from meshlab.lab.learned import learn_policies
from meshlab.lab.reading import Known, know
from meshlab.lab.recorded import Recorded, for_targets
from meshlab.lab.what_if import what_if
from meshlab.mesh.decide import decide
from meshlab.mesh.decision import Request
from meshlab.mesh.identity import Identity
from meshlab.mesh.learn import learn
from meshlab.mesh.rules import Permission
from meshlab.policy.smi.written import written

Shop = Callable[..., Known]
BUYER, THIEF, STORE, HOUSE = (Identity(name, name) for name in ("bookbuyer", "bookthief", "bookstore", "bookwarehouse"))
BUYERS = {"client-app": "bookbuyer", "user-agent": "Go-http-client/1.1"}
STRICT = """
apiVersion: config.openservicemesh.io/v1alpha2
kind: MeshConfig
metadata: {name: meshlab-mesh-config, namespace: meshlab-system}
spec: {traffic: {enablePermissiveTrafficPolicyMode: false}}
"""


def seen(source: Identity | None, path: str, method: str = "GET", count: int = 5, headers: dict | None = None, **more):
    request = Request(source, more.pop("to", STORE), 14001, method, path, headers or {}, **more)
    return Recorded(request, "bookstore/bookstore|14001", count, 0, looked_for=frozenset(BUYERS))


TRAFFIC = (
    seen(BUYER, "/books-bought", headers=BUYERS),
    seen(BUYER, "/buy-a-book/new"),
    seen(THIEF, "/books-bought"),
    seen(STORE, "/restock-books", "POST", to=HOUSE),
)


def test_turning_permissive_mode_off_would_refuse_the_thief_alone(shop: Shop):
    found = what_if(shop(permissive=True), TRAFFIC, load(STRICT))
    assert [str(flip.recorded) for flip in found.flips] == [
        "bookthief/bookthief → bookstore/bookstore GET /books-bought (5 times)"
    ]
    assert str(found).startswith("✗ 5 of 20 recorded requests (1 of 4 kinds) would flip. Nothing was applied")


def test_what_would_be_deleted_can_be_asked_about(shop: Shop):
    found = what_if(shop(), TRAFFIC, [], ["TrafficTarget bookstore/bookstore"])
    assert {flip.recorded.request.source for flip in found.flips} == {BUYER}
    assert not what_if(shop(), TRAFFIC, []).flips


def test_what_depends_on_a_header_that_is_not_on_record_is_not_to_be_told(shop: Shop):
    group = deepcopy(next(obj for obj in shop().objects if obj["metadata"]["name"] == "bookstore-routes"))
    group["spec"]["matches"][1]["headers"] = {"x-member": "yes"}
    found = what_if(shop(), TRAFFIC, [group])
    assert (found.flips, found.unknown) == ((), ("x-member",))
    assert [kind.request.path for kind in found.undetermined] == ["/buy-a-book/new"]
    assert "no policy spoke of x-member when it was recorded" in str(found)


def test_what_the_yaml_does_not_speak_of_stays_as_it_is(shop: Shop):
    settings = "metadata: {name: meshlab-mesh-config, namespace: meshlab-system}"
    config = f"apiVersion: config.openservicemesh.io/v1alpha2\nkind: MeshConfig\n{settings}\n"
    logs = load(config + "spec: {sidecar: {logLevel: debug}}")
    assert not what_if(shop(permissive=True), TRAFFIC, logs).flips


def test_a_mistake_in_the_new_yaml_is_found_too(shop: Shop):
    group = deepcopy(next(obj for obj in shop().objects if obj["metadata"]["name"] == "bookstore-routes"))
    group["spec"]["matches"][0]["pathRegex"] = "/(?=x)"
    assert "ML232" in {finding.code for finding in what_if(shop(), TRAFFIC, [group]).findings}


def test_an_audit_tells_what_passed_without_policy_and_what_policy_nobody_needs(shop: Shop):
    found = audit(shop(permissive=True).world, [*TRAFFIC[1:3]])
    assert [str(kind) for kind in found.uncovered] == [
        "bookthief/bookthief → bookstore/bookstore GET /books-bought (5 times)"
    ]
    assert "TrafficTarget bookwarehouse/bookwarehouse" in found.unused
    assert (
        "TrafficTarget bookstore/bookstore: match books-bought of HTTPRouteGroup bookstore/bookstore-routes"
        in found.unused
    )
    assert found.edges["requests"].tolist() == [5, 5]
    assert "no TrafficTarget speaks of it" in str(found)


def test_callers_that_ask_for_the_same_share_a_traffic_target():
    permissions = learn([Request(who, STORE, 14001, path=path) for who in (BUYER, THIEF) for path in ("/a", "/b")])
    assert [(item.sources, len(item.http_rules[0].matches)) for item in permissions] == [({BUYER, THIEF}, 2)]


def test_what_an_ingress_backend_lets_in_needs_no_traffic_target(shop: Shop):
    world = shop().world
    gateway = Identity("meshlab-system", "meshlab-gateway")
    ingress = Permission("bookstore/shop", STORE, frozenset({gateway}), kind="IngressBackend")
    kinds = (*TRAFFIC, seen(gateway, "/books-bought"), seen(BUYER, "/x", to=Identity("gone", "gone")))
    assert for_targets(kinds, replace(world, permissions=(*world.permissions, ingress))) == TRAFFIC


def test_methods_of_one_path_are_one_match():
    (permission,) = learn([Request(BUYER, STORE, 14001, method, "/a.b?x") for method in ("GET", "POST")])
    (match,) = permission.http_rules[0].matches
    assert (match.path_regex, match.methods) == (r"/a\.b", {"GET", "POST"})


def test_what_was_learned_says_what_it_admits():
    learned = learn_policies([*TRAFFIC, seen(None, "/x")])
    assert learned.requests == 20
    assert "! 5 requests came from callers without a sidecar" in str(learned)
    assert load(learned.yaml) == learned.objects


CALLERS, SERVERS = st.sampled_from([BUYER, THIEF, HOUSE]), st.sampled_from([STORE, HOUSE])
REQUESTS = st.builds(
    Request,
    source=CALLERS,
    destination=SERVERS,
    port=st.just(14001),
    method=st.sampled_from(["GET", "POST"]),
    path=st.sampled_from(["/", "/a", "/a.b", "/a-b", "/a/b", "/%20", "/A"]),
) | st.builds(Request, CALLERS, SERVERS, st.sampled_from([3306, 4222]), is_http=st.just(False))


@settings(max_examples=60, deadline=None)
@given(st.lists(REQUESTS, min_size=1, max_size=12))
def test_the_learned_set_admits_all_that_was_seen_and_no_part_of_it_can_be_left_out(requests: list[Request]):
    objects = written(learn(requests))
    assert not know([*objects, *load(STRICT)]).findings
    assert refused(requests, objects) == []
    for fewer in leaving_one_out(objects):
        assert refused(requests, fewer)


def refused(requests: list[Request], objects: list[Object]) -> list[Request]:
    world = know([*objects, *load(STRICT)]).world
    return [request for request in requests if not decide(world, request).allowed]


def leaving_one_out(objects: list[Object]) -> Iterator[list[Object]]:
    """Every way to take away one object, one source, one match, one method or one port."""
    for index, obj in enumerate(objects):
        yield objects[:index] + objects[index + 1 :]
        for path in ("sources", "matches"):
            parts = obj["spec"].get(path, [])
            ways = [parts] if isinstance(parts, list) else [parts["ports"]]
            ways += [match["methods"] for match in parts if "methods" in match] if isinstance(parts, list) else []
            for way in ways:
                for number in range(len(way)):
                    if len(way) == 1:
                        continue  # a list that is empty says something else
                    taken = way.pop(number)
                    yield objects
                    way.insert(number, taken)
