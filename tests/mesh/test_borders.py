"""Who comes in from outside the mesh, and what may leave it: the rules, without a process."""

from __future__ import annotations

from dataclasses import replace

import pytest

from meshlab.mesh.decide import decide
from meshlab.mesh.decision import Reason, Request
from meshlab.mesh.egress import EgressPort, EgressProtocol, EgressRule
from meshlab.mesh.identity import Identity
from meshlab.mesh.ingress import Door, GatewayRoute, IngressRule
from meshlab.mesh.project import project
from meshlab.mesh.rules import HttpMatch
from meshlab.mesh.service import Endpoint, Protocol, Service, ServiceName, ServicePort, Workload
from meshlab.mesh.world import World

TILL, GATEWAY, NGINX = (
    Identity("shop", "till"),
    Identity("meshlab-system", "meshlab-gateway"),
    Identity("edge", "nginx"),
)
SHOP, OWN, DOOR = (
    ServiceName("shop", "shop"),
    ServiceName("meshlab-system", "meshlab-gateway"),
    ServiceName("edge", "door"),
)
POD = Endpoint("10.0.0.1", 8080, TILL, True, "shop/till")
READ = HttpMatch("read", "/read")
RULE = IngressRule("shop/in", SHOP, 8080)
GATEWAY_POD = Workload("meshlab-system", "gateway", GATEWAY, meshed=True, gateway=True)


def world(*rules: IngressRule, **more) -> World:
    return World(
        services=(Service(SHOP, ("10.1.0.1",), (ServicePort(80, "http", Protocol.HTTP, (POD,)),)),),
        workloads=(Workload("shop", "till", TILL, meshed=True), GATEWAY_POD),
        permissive=False,
        ingress_rules=rules,
        callers=(
            (OWN, (Endpoint("10.0.0.9", 8080, GATEWAY, True),)),
            (DOOR, (Endpoint("10.0.0.5", 80, None, False), Endpoint("10.0.0.6", 80, NGINX, False))),
        ),
        **more,
    )


def doors(*rules: IngressRule) -> tuple[Door, ...]:
    made = world(*rules)
    (port,) = project(made, made.workloads[0]).inbound
    return port.doors


def test_the_gateway_comes_in_as_who_it_is_and_finds_no_door():
    rule = replace(RULE, services=(OWN,), matches=(READ,))
    assert doors(rule) == ()
    decision = decide(world(rule), Request(GATEWAY, TILL, 8080, path="/read"))
    assert decision.allowed
    assert str(decision) == (
        "allowed: IngressBackend shop/in lets meshlab-system/meshlab-gateway in, by match read of shop/in"
    )
    refused = decide(world(rule), Request(GATEWAY, TILL, 8080, path="/other"))
    assert refused.reason is Reason.NOT_ADMITTED
    assert str(refused).startswith("refused: IngressBackend shop/in: the path is /other")
    assert not decide(world(rule), Request(GATEWAY, TILL, 9090, path="/read")).allowed
    assert not decide(world(rule), Request(NGINX, TILL, 8080, path="/read")).allowed


def test_pods_outside_the_mesh_come_in_by_their_addresses():
    assert doors(replace(RULE, services=(DOOR,), ranges=("192.0.2.0/24",))) == (
        Door("shop/in", ("10.0.0.5/32", "10.0.0.6/32", "192.0.2.0/24")),
    )
    assert not decide(world(replace(RULE, services=(DOOR,))), Request(NGINX, TILL, 8080)).allowed


@pytest.mark.parametrize(
    ("rule", "opened"),
    [
        (replace(RULE, services=(ServiceName("edge", "gone"),)), None),
        (replace(RULE, principals=(NGINX.spiffe_id(),)), None),
        (
            replace(RULE, principals=(NGINX.spiffe_id(),), tls=True, sni_hosts=("a",)),
            Door("shop/in", None, True, (NGINX.spiffe_id(),), ("a",)),
        ),
        (replace(RULE, ranges=("192.0.2.0/24",), tls=True), None),
        (
            replace(RULE, ranges=("192.0.2.0/24",), tls=True, asks_client=False),
            Door("shop/in", ("192.0.2.0/24",), True),
        ),
        (replace(RULE, principals=(NGINX.spiffe_id(),), tls=True, asks_client=False), None),
        (replace(RULE, port=80, ranges=("192.0.2.0/24",)), None),
        (replace(RULE, service=DOOR, ranges=("192.0.2.0/24",)), None),
    ],
)
def test_a_rule_opens_a_door_only_to_callers_that_can_be_told(rule, opened):
    assert doors(rule) == ((opened,) if opened else ())


def test_a_principal_may_come_in_as_a_proxy_of_the_mesh_too():
    assert decide(world(replace(RULE, principals=(NGINX.spiffe_id(),))), Request(NGINX, TILL, 8080)).allowed


def test_the_gateway_is_told_of_what_ingresses_name_and_of_nothing_else():
    routes = (GatewayRoute("shop/in", "a", "/", False, SHOP, 80),)
    assert [str(cluster.upstream) for cluster in project(world(), GATEWAY_POD).clusters] == []
    view = project(world(gateway_routes=routes), GATEWAY_POD)
    assert [str(cluster.upstream) for cluster in view.clusters] == ["shop/shop|80"]
    assert view.gateway == routes
    assert project(world(gateway_routes=routes), world().workloads[0]).gateway is None


def test_each_identity_is_told_of_its_own_egress_and_of_none_where_all_may_leave():
    rule = EgressRule("shop/out", frozenset({TILL}), (EgressPort(80, EgressProtocol.HTTP),), ("a.example",))
    made = world(egress_rules=(rule,))
    assert project(made, made.workloads[0]).outside == (rule,)
    assert project(made, replace(GATEWAY_POD, gateway=False)).outside == ()
    assert project(replace(made, egress=True), made.workloads[0]).outside == ()
