"""SMI TrafficTarget, rule by rule, with real proxies. The numbers are those of docs/smi.md."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.smi.policies import (
    ANYTHING,
    AUDITOR,
    CONNECTIONS,
    EVERY_PORT,
    EVERYBODY,
    TILL,
    group,
    http,
    rule,
    target,
    tcp,
    udp,
)

if TYPE_CHECKING:
    from tests.smi.conftest import Smi

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]

ALLOWED = ("200 v1:7080", "200 v2:7080")
READ = group(
    "routes", read={"pathRegex": "/prices", "methods": ["GET"]}, write={"pathRegex": "/prices", "methods": ["PUT"]}
)
TCP_7090: dict[str, Any] = {"port": 7090, "kind": "tcp"}
NO_BYTE = ("closed", "ConnectionResetError")


async def test_a1_without_a_target_all_traffic_to_it_is_denied(smi: Smi) -> None:
    assert await smi.ask("till") == "403"
    assert await smi.ask("till", **TCP_7090) in NO_BYTE
    assert await smi.ask("till", port=7085, path="/prices.Prices/Read", kind="grpc") == "PERMISSION_DENIED"


async def test_a2_permissions_add_up_whatever_their_order(smi: Smi) -> None:
    # Each is first by name once: no first match decides (osm#5297).
    first = target("a-first", http("anything"), sources=(AUDITOR,))
    last = target("z-last", http("anything"), sources=(AUDITOR,))
    await smi.apply(ANYTHING, READ, first, target("m-middle", http("routes", "read")), last)
    assert await smi.ask("till") in ALLOWED
    assert await smi.ask("auditor", "prices.smi", method="DELETE") in ALLOWED
    assert await smi.ask("till", method="DELETE") == "403"
    await smi.remove(first)
    await smi.remove(last)
    assert await smi.ask("till") in ALLOWED
    assert await smi.ask("auditor", "prices.smi") == "403"


async def test_a2_parts_of_two_targets_do_not_make_a_third(smi: Smi) -> None:
    await smi.apply(
        READ,
        tcp("one", 7080),
        tcp("other", 7081),
        target("one", rule("TCPRoute", "one"), http("routes", "read")),
        target("other", rule("TCPRoute", "other"), http("routes", "write")),
    )
    found = {
        (port, method): (await smi.ask("till", "prices-v1", port, method=method))[:3]
        for port in (7080, 7081)
        for method in ("GET", "PUT")
    }
    assert found == {(7080, "GET"): "200", (7080, "PUT"): "403", (7081, "GET"): "403", (7081, "PUT"): "200"}


async def test_a3_destination_source_and_request_together_are_allowed(smi: Smi) -> None:
    await smi.apply(READ, target("readers", http("routes", "read"), sources=(TILL, AUDITOR)))
    assert await smi.ask("auditor", "prices.smi") in ALLOWED
    assert await smi.ask("auditor", "till.smi") == "403", "another destination"


async def test_a4_a_caller_who_is_not_named_is_denied_what_another_may(smi: Smi) -> None:
    await smi.apply(READ, target("readers", http("routes", "read")))
    assert await smi.ask("till", "prices.smi") in ALLOWED
    assert await smi.ask("auditor", "prices.smi") == "403"


async def test_a5_a_named_caller_is_denied_what_the_rules_do_not_say(smi: Smi) -> None:
    await smi.apply(READ, tcp("port", 7080), target("readers", rule("TCPRoute", "port"), http("routes", "read")))
    assert await smi.ask("till", "prices-v1") == "200 v1:7080"
    assert await smi.ask("till", "prices-v1", path="/orders") == "403"
    assert await smi.ask("till", "prices-v1", method="PUT") == "403"
    assert await smi.ask("till", "prices-v1", port=7081) == "403"


async def test_a6_all_three_parts_are_mandatory(smi: Smi) -> None:
    sound = target("readers", http("routes"))
    for part, code in (("sources", "ML220"), ("rules", "ML221")):
        said = await smi.refused({**sound, "spec": {**sound["spec"], part: []}})
        assert f"{code} TrafficTarget smi/readers: spec.{part}" in said
    assert "destination" in await smi.refused(
        {**sound, "spec": {part: value for part, value in sound["spec"].items() if part != "destination"}}
    )


async def test_a7_a_rule_without_matches_means_every_match_of_its_group(smi: Smi) -> None:
    await smi.apply(READ, target("readers", http("routes")))
    assert await smi.ask("till") in ALLOWED
    assert await smi.ask("till", method="PUT") in ALLOWED
    assert await smi.ask("till", method="DELETE") == "403"


async def test_a8_several_matches_are_alternatives(smi: Smi) -> None:
    routes = group("routes", one={"pathRegex": "/one"}, two={"pathRegex": "/two"}, three={"pathRegex": "/three"})
    await smi.apply(routes, target("readers", http("routes", "one", "three")))
    found = {path: (await smi.ask("till", path=f"/{path}"))[:3] for path in ("one", "two", "three")}
    assert found == {"one": "200", "two": "403", "three": "200"}


async def test_a9_all_pods_of_the_account_are_meant_whatever_service_fronts_them(smi: Smi) -> None:
    await smi.apply(ANYTHING, EVERYBODY)
    assert set(await smi.ask_often("till", 20)) == set(ALLOWED)
    assert await smi.ask("till", "prices-v1") == "200 v1:7080"
    assert await smi.ask("till", "prices-v2") == "200 v2:7180"


async def test_a10_the_server_side_enforces(smi: Smi) -> None:
    await smi.ask("till", "prices-v1")

    def refusals(edges: list[dict[str, Any]]) -> list[str]:
        mine = [edge for edge in edges if (edge["source"], edge["service"]) == ("smi/till", "smi/prices-v1|7080")]
        return [reason for edge in mine if edge["destination_workload"] == "v1" for reason in edge["reasons"]]

    while not (found := refusals((await smi.story.observed("edges?window=60"))["edges"])):
        await smi.ask("till", "prices-v1")
    assert any("rbac" in reason for reason in found), "which the proxy of v1 said"


async def test_a11_port_and_request_must_both_hold(smi: Smi) -> None:
    await smi.apply(READ, tcp("port", 7081), target("readers", rule("TCPRoute", "port"), http("routes", "read")))
    assert await smi.ask("till", "prices-v1", 7081) == "200 v1:7081"
    assert await smi.ask("till", "prices-v1", 7081, method="PUT") == "403"
    assert await smi.ask("till", "prices-v1", 7080) == "403"


async def test_a12_a_tcp_route_without_ports_restricts_none(smi: Smi) -> None:
    await smi.apply(EVERY_PORT, CONNECTIONS)
    assert await smi.ask("till", "prices-v1", 7080) == "200 v1:7080"
    assert await smi.ask("till", "prices-v1", 7081) == "200 v1:7081"
    assert await smi.ask("till", "prices-v1", **TCP_7090) == "v1"


async def test_a13_permissions_for_udp_open_no_tcp_port_and_say_what_they_are_worth(smi: Smi) -> None:
    await smi.apply(udp("port", 7090), target("datagrams", rule("UDPRoute", "port")))
    assert await smi.ask("till", **TCP_7090) in NO_BYTE
    await smi.event("datagrams", "ML241", "UDP is not intercepted")
    await smi.event("port", "ML241", "UDP is not intercepted")


async def test_a14_what_is_outside_of_the_mesh_is_out_of_its_scope(smi: Smi) -> None:
    await smi.apply(ANYTHING, EVERYBODY)
    outside = "stranger.smi-outside"
    await smi.egress(on=True)

    async def reached() -> bool:
        return await smi.ask("till", outside) == "200 stranger:7080"

    await smi.eventually(reached)
    await smi.egress(on=False)
    assert (await smi.ask("till", outside)).endswith(("Error", "Disconnected", "closed"))


async def test_a_route_that_is_deleted_takes_its_permission_along_and_an_event_says_so(smi: Smi) -> None:
    await smi.apply(READ, target("readers", http("routes", "read")))
    assert await smi.ask("till") in ALLOWED
    await smi.remove(READ)
    assert await smi.ask("till") == "403"
    await smi.event("readers", "ML226", "no HTTPRouteGroup 'routes'")


async def test_a_source_whose_namespace_is_deleted_takes_nothing_from_the_others(smi: Smi) -> None:
    kube = smi.kube
    gone = {"kind": "ServiceAccount", "name": "default", "namespace": "smi-gone"}
    await kube.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "smi-gone"}})
    await smi.apply(ANYTHING, target("readers", http("anything"), sources=(gone, TILL)))
    await kube.request("DELETE", "/api/v1/namespaces/smi-gone")
    await smi.event("readers", "ML225", "no ServiceAccount 'default' in namespace smi-gone")
    assert await smi.ask("till") in ALLOWED
