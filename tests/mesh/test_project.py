"""What each proxy is told: project() and the shared parts behind it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from meshlab.mesh.identity import Identity
from meshlab.mesh.project import project
from meshlab.mesh.rules import HttpMatch, Permission
from meshlab.mesh.service import Protocol, Service, ServiceName, ServicePort, Workload
from meshlab.mesh.view import OutboundService, Upstream, WeightedRoute
from meshlab.mesh.world import World

BUYER = Identity("bookbuyer", "bookbuyer")
STORE = Identity("bookstore", "bookstore")
STAFF = (HttpMatch("staff", headers=(("x-role", "staff"),)),)


def upstream(name: str, port: int = 14001) -> Upstream:
    return Upstream(ServiceName("bookstore", name), port)


def caller(world: World, name: str = "buyer-a", namespace: str = "bookbuyer") -> Workload:
    return world.workload_by_name[namespace, name]


def outbound(world: World, name: str = "bookstore") -> OutboundService:
    view = project(world, caller(world))
    return next(item for item in view.outbound if item.upstream == upstream(name))


def backends(world: World, name: str = "bookstore") -> tuple[tuple[str, int], ...]:
    (route,) = outbound(world, name).routes
    return tuple((place.service.name, weight) for place, weight in route.backends)


def test_a1_with_permissive_mode_off_and_no_traffic_target_nobody_may_come_in(world):
    strict = replace(world, permissive=False)
    assert project(strict, caller(strict, "v1-a", "bookstore")).permissions == ()


def test_permissive_mode_asks_for_no_permission(world):
    assert project(world, caller(world, "v1-a", "bookstore")).permissions is None


def test_a2_all_permissions_of_a_destination_are_handed_over_whatever_their_order(world):
    one = Permission("bookstore/one", STORE, frozenset({BUYER}))
    two = Permission("bookstore/two", STORE, frozenset({BUYER}))
    for permissions in ((one, two), (two, one)):
        strict = replace(world, permissive=False, permissions=permissions)
        assert project(strict, caller(strict, "v1-a", "bookstore")).permissions == (one, two)


def test_a9_a_permission_concerns_every_pod_of_the_service_account_and_no_other(world):
    permission = Permission("bookstore/one", STORE, frozenset({BUYER}))
    strict = replace(world, permissive=False, permissions=(permission,))
    assert project(strict, caller(strict, "v1-a", "bookstore")).permissions == (permission,)
    assert project(strict, caller(strict, "v2-a", "bookstore")).permissions == (permission,)
    assert project(strict, caller(strict)).permissions == ()


@pytest.mark.parametrize("permissive", [True, False])
def test_a10_a_client_may_call_every_service_because_the_server_decides(world, permissive):
    view = project(replace(world, permissive=permissive), caller(world, "thief-a", "bookthief"))
    assert [item.upstream.service.name for item in view.outbound] == ["bookstore", "bookstore-v1", "bookstore-v2"]
    assert [len(cluster.endpoints) for cluster in view.clusters] == [2, 1, 1]


def test_an_endpoint_without_a_sidecar_is_outside_the_mesh_when_permissions_count(world, service, endpoint):
    plain = endpoint("127.64.0.13", 14001, "old", meshed=False)
    mixed = replace(world, services=(service("bookstore", plain),), permissive=False)
    assert project(mixed, caller(world)).clusters[0].endpoints == ()
    for lenient in (replace(mixed, permissive=True), replace(mixed, egress=True)):
        assert project(lenient, caller(world)).clusters[0].endpoints == (plain,)
        assert project(lenient, caller(world)).clusters[0].identities == ()


def test_a_cluster_expects_the_identities_of_its_endpoints(world):
    assert {cluster.identities for cluster in project(world, caller(world)).clusters} == {(STORE,)}


def test_without_a_split_calls_go_to_the_service_itself(world):
    assert backends(world) == (("bookstore", 1),)


def test_s1_a_split_changes_what_clients_of_the_root_are_told(world, split):
    splitting = replace(world, splits=(split(("bookstore-v1", 90), ("bookstore-v2", 10)),))
    assert backends(splitting) == (("bookstore-v1", 90), ("bookstore-v2", 10))


def test_s3_weights_need_not_sum_to_a_hundred(world, split):
    splitting = replace(world, splits=(split(("bookstore-v1", 1000), ("bookstore-v2", 500)),))
    assert backends(splitting) == (("bookstore-v1", 1000), ("bookstore-v2", 500))


def test_s4_weight_zero_sends_nothing(world, split):
    splitting = replace(world, splits=(split(("bookstore-v1", 0), ("bookstore-v2", 10)),))
    assert backends(splitting) == (("bookstore-v2", 10),)


def test_s5_and_osm_1798_leaves_stay_directly_callable_under_a_split(world, split):
    splitting = replace(world, splits=(split(("bookstore-v1", 0), ("bookstore-v2", 10)),))
    assert backends(splitting, "bookstore-v1") == (("bookstore-v1", 1),)


def test_s6_a_backend_that_does_not_exist_yet_gets_nothing(world, split):
    splitting = replace(world, splits=(split(("bookstore-v1", 100), ("bookstore-v3", 50)),))
    assert backends(splitting) == (("bookstore-v1", 100),)


def test_s6_when_no_backend_exists_the_root_answers_as_without_a_split(world, split):
    splitting = replace(world, splits=(split(("bookstore-v3", 50)),))
    assert backends(splitting) == (("bookstore", 1),)


def test_s7_a_backend_without_the_port_is_left_out(world, split, service):
    elsewhere = service("bookstore-v2", number=15000)
    services = (*(s for s in world.services if s.name.name != "bookstore-v2"), elsewhere)
    splitting = replace(world, services=services, splits=(split(("bookstore-v1", 1), ("bookstore-v2", 1)),))
    assert backends(splitting) == (("bookstore-v1", 1),)


def test_s8_each_backend_has_its_own_target_port(world):
    clusters = {c.upstream.service.name: c for c in project(world, caller(world)).clusters}
    assert [e.port for e in clusters["bookstore-v1"].endpoints] == [14001]
    assert [e.port for e in clusters["bookstore-v2"].endpoints] == [8080]
    (inbound,) = project(world, caller(world, "v2-a", "bookstore")).inbound
    assert inbound.port == 8080
    assert inbound.upstreams == (upstream("bookstore"), upstream("bookstore-v2"))


def test_s9_a_backend_that_is_a_root_itself_is_not_expanded(world, split):
    outer = split(("bookstore-v1", 1))
    inner = split(("bookstore-v2", 1), root="bookstore-v1")
    assert backends(replace(world, splits=(outer, inner))) == (("bookstore-v1", 1),)


def test_s11_matching_requests_are_split_and_all_others_go_to_the_root(world, split):
    splitting = replace(world, splits=(split(("bookstore-v2", 1), matches=STAFF),))
    assert outbound(splitting).routes == (
        WeightedRoute(STAFF, ((upstream("bookstore-v2"), 1),)),
        WeightedRoute(None, ((upstream("bookstore"), 1),)),
    )


def test_s11_a_split_whose_route_groups_are_gone_splits_nothing(world, split):
    splitting = replace(world, splits=(split(("bookstore-v2", 1), matches=()),))
    assert backends(splitting) == (("bookstore", 1),)


def test_s11_matches_mean_nothing_on_a_tcp_port(world, split, service):
    services = tuple(service(s.name.name, protocol=Protocol.TCP) for s in world.services)
    splitting = replace(world, services=services, splits=(split(("bookstore-v2", 1), matches=STAFF),))
    assert backends(splitting) == (("bookstore", 1),)


def test_s13_a_split_gives_no_permission(world, split):
    strict = replace(world, permissive=False, splits=(split(("bookstore-v1", 1)),))
    assert project(strict, caller(strict, "v1-a", "bookstore")).permissions == ()


def test_s17_of_two_splits_of_everything_one_wins_and_those_with_matches_come_first(world, split):
    everything = split(("bookstore-v1", 1))
    late = replace(split(("bookstore-v2", 1)), name="bookstore/z")
    staff = replace(split(("bookstore-v2", 1), matches=STAFF), name="bookstore/zz")
    assert outbound(replace(world, splits=(late, staff, everything))).routes == (
        WeightedRoute(STAFF, ((upstream("bookstore-v2"), 1),)),
        WeightedRoute(None, ((upstream("bookstore-v1"), 1),)),
    )


def test_osm_4296_the_root_keeps_its_own_endpoints_although_the_leaves_have_them_too(world, split):
    splitting = replace(world, splits=(split(("bookstore-v2", 1)),))
    clusters = {c.upstream.service.name: c for c in project(splitting, caller(world)).clusters}
    assert len(clusters["bookstore"].endpoints) == 2


def test_redirected_clients_of_all_namespaces_share_one_list(world):
    views = [project(world, workload) for workload in world.workloads]
    assert len({id(view.outbound) for view in views}) == 1
    assert len({id(view.clusters) for view in views}) == 1


def test_the_bare_name_is_valid_in_its_own_namespace_only(world):
    here = replace(caller(world, "v1-a", "bookstore"), explicit_proxy=True)
    there = replace(caller(world), explicit_proxy=True)
    assert project(world, here).outbound[0].hosts[0] == "bookstore"
    assert "bookstore" not in project(world, there).outbound[0].hosts
    assert project(world, there).outbound[0].hosts[0] == "bookstore.bookstore"


def test_a_change_of_one_split_leaves_every_other_part_the_same_object(world, split):
    before = project(world, caller(world))
    after = project(replace(world, services=tuple(world.services), splits=(split(("bookstore-v1", 1)),)), caller(world))
    changed = [old.upstream for old, new in zip(before.outbound, after.outbound, strict=True) if old is not new]
    assert changed == [upstream("bookstore")]
    assert all(old is new for old, new in zip(before.clusters, after.clusters, strict=True))


def test_a_headless_service_is_called_at_the_addresses_of_its_endpoints(world, endpoint):
    port = ServicePort(3306, "mysql", Protocol.TCP, (endpoint("127.64.0.20", 3306, "mysql-0"),))
    mysql = Service(ServiceName("bookstore", "mysql"), (), (port,))
    view = project(replace(world, services=(mysql,)), caller(world))
    assert view.outbound[0].cluster_ips == ("127.64.0.20",)


def test_a_port_that_one_service_calls_http_and_another_tcp_is_listed_as_both(world, service, endpoint):
    pod = endpoint("127.64.0.11", 14001, "v1-a")
    services = (service("web", pod), service("raw", pod, protocol=Protocol.TCP), service("rpc", pod))
    view = project(replace(world, services=services), caller(world, "v1-a", "bookstore"))
    assert [(port.protocol, [u.service.name for u in port.upstreams]) for port in view.inbound] == [
        (Protocol.TCP, ["raw"]),
        (Protocol.HTTP, ["rpc", "web"]),
    ]
