"""SMI TrafficSplit, rule by rule, with real proxies. The numbers are those of docs/smi.md."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from math import sqrt
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from tests.smi.policies import ANYTHING, CONNECTIONS, EVERY_PORT, EVERYBODY, group, http, service, split, target

if TYPE_CHECKING:
    from tests.smi.conftest import Smi

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]

METRICS = "/apis/metrics.smi-spec.io/v1alpha1"
TCP_7090: dict[str, Any] = {"port": 7090, "kind": "tcp"}


@pytest_asyncio.fixture(loop_scope="session")
async def shop(smi: Smi) -> AsyncIterator[Smi]:
    """Everybody may call the prices."""
    await smi.apply(EVERY_PORT, CONNECTIONS)
    return smi


def is_share(count: int, of: int, share: float) -> bool:
    """Whether a count is within five standard deviations of its share."""
    return abs(count - of * share) < 5 * sqrt(of * share * (1 - share))


async def test_s1_the_callers_proxy_chooses(shop: Smi) -> None:
    await shop.apply(split("canary", {"prices-v2": 1, "prices-v1": 0}))
    assert await shop.ask_often("till", 20) == {"200 v2:7180": 20}

    async def chosen() -> list[dict[str, Any]]:
        answer = await shop.kube.request("GET", f"{METRICS}/namespaces/smi/trafficsplits/canary/edges")
        return [item for item in answer["items"] if item["edge"]["resource"]["name"] == "till"]

    found = await shop.eventually(chosen)
    assert found[0]["edge"]["side"] == "client"
    assert found[0]["backend"] == {"apex": "prices", "name": "prices-v2", "weight": 1}


async def test_s2_a_caller_without_a_proxy_sees_the_service_as_it_is(shop: Smi) -> None:
    await shop.apply(split("canary", {"prices-v2": 1}))
    assert await shop.ask_often("till", 20) == {"200 v2:7180": 20}
    assert set(await shop.ask_often("stranger", 30, "prices.smi", port=7082)) == {"200 v1:7082", "200 v2:7082"}


async def test_s3_weights_are_proportions(shop: Smi) -> None:
    await shop.apply(split("canary", {"prices-v1": 1000, "prices-v2": 500}))
    answers = await shop.ask_often("till", 300)
    assert is_share(answers["200 v1:7080"], 300, 2 / 3)
    assert answers["200 v1:7080"] + answers["200 v2:7180"] == 300


async def test_s4_weight_zero_sends_nothing(shop: Smi) -> None:
    await shop.apply(split("canary", {"prices-v1": 1, "prices-v2": 0}))
    assert await shop.ask_often("till", 50) == {"200 v1:7080": 50}


async def test_s5_shares_hold_for_each_caller_and_backends_can_be_called_as_themselves(shop: Smi) -> None:
    await shop.apply(split("canary", {"prices-v1": 4, "prices-v2": 1}))
    for caller in ("till", "auditor"):
        answers = await shop.ask_often(caller, 200, "prices.smi")
        assert is_share(answers["200 v2:7180"], 200, 0.2), caller
    assert await shop.ask_often("till", 10, "prices-v2") == {"200 v2:7180": 10}


async def test_s6_a_backend_may_come_later(shop: Smi) -> None:
    await shop.apply(split("canary", {"prices-v1": 1, "prices-v9": 1}))
    assert await shop.ask_often("till", 20) == {"200 v1:7080": 20}
    await shop.event("canary", "ML255", "no Service 'prices-v9'")
    await shop.apply(service("prices-v9", {"version": "v2"}, {"name": "http", "port": 7080, "targetPort": 7081}))

    async def has_come() -> int:
        return (await shop.ask_often("till", 20))["200 v2:7081"]

    await shop.eventually(has_come)


async def test_s7_a_backend_without_the_port_is_left_out_and_an_event_says_so(shop: Smi) -> None:
    await shop.apply(split("canary", {"prices-v1": 1, "prices-v2": 1}))
    assert await shop.ask_often("till", 20, port=7081) == {"200 v1:7081": 20}
    await shop.event("canary", "ML256", "prices-v2 lacks port 7081")


async def test_s8_each_backend_has_its_own_target_port(shop: Smi) -> None:
    await shop.apply(split("canary", {"prices-v1": 1, "prices-v2": 1}))
    assert set(await shop.ask_often("till", 30)) == {"200 v1:7080", "200 v2:7180"}


async def test_s9_a_backend_that_is_a_root_is_not_split_again(shop: Smi) -> None:
    await shop.apply(split("outer", {"prices-v1": 1}), split("inner", {"prices-v2": 1}, root="prices-v1"))
    assert await shop.ask_often("till", 20) == {"200 v1:7080": 20}
    assert await shop.ask_often("till", 20, "prices-v1") == {"200 v2:7180": 20}


async def test_s10_a_root_among_its_backends_is_refused(smi: Smi) -> None:
    said = await smi.refused(split("canary", {"prices": 1, "prices-v1": 1}))
    assert "ML253 TrafficSplit smi/canary: spec.backends[0].service" in said


async def test_s11_with_matches_only_those_requests_are_split(shop: Smi) -> None:
    await shop.apply(group("staff", staff={"headers": {"x-staff": "yes"}}), split("canary", {"prices-v2": 1}, "staff"))
    assert await shop.ask_often("till", 20, headers={"x-staff": "yes"}) == {"200 v2:7180": 20}
    assert set(await shop.ask_often("till", 30)) == {"200 v1:7080", "200 v2:7080"}, "the root"


async def test_s12_several_groups_are_one(shop: Smi) -> None:
    await shop.apply(
        group("staff", staff={"headers": {"x-staff": "yes"}}),
        group("writers", put={"methods": ["PUT"]}),
        split("canary", {"prices-v2": 1}, "staff", "writers"),
    )
    for more in ({"headers": {"x-staff": "yes"}}, {"method": "PUT"}):
        assert await shop.ask_often("till", 10, **more) == {"200 v2:7180": 10}
    assert "200 v1:7080" in await shop.ask_often("till", 30)


async def test_s13_a_split_gives_no_permission(smi: Smi) -> None:
    await smi.apply(ANYTHING, EVERYBODY, split("canary", {"prices-v1": 1, "till": 1}))
    found = await smi.ask_often("auditor", 40, "prices.smi")
    assert set(found) == {"200 v1:7080", "403"}, "the till's own identity decides for what is sent there"
    await smi.apply(target("tills", http("anything"), sources=EVERYBODY["spec"]["sources"], destination="till"))
    assert set(await smi.ask_often("auditor", 40, "prices.smi")) == {"200 v1:7080", "200 till:7080"}


async def test_s14_what_no_schema_can_say_is_checked_all_the_same(smi: Smi) -> None:
    assert "spec.service" in await smi.refused(split("canary", {"prices-v1": 1}, root=""))


async def test_s15_root_and_backends_are_of_the_splits_own_namespace(smi: Smi) -> None:
    said = await smi.refused(split("canary", {"prices-v1": 1, "auditor.smi-far": 1}))
    assert "ML257 TrafficSplit smi/canary: spec.backends[1].service" in said
    await smi.apply(EVERY_PORT, CONNECTIONS)
    full = {"prices-v2.smi": 1, "prices-v1.smi.svc.cluster.local": 0}
    await smi.apply(split("canary", full, root="prices.smi.svc.cluster.local"))
    assert await smi.ask_often("till", 10) == {"200 v2:7180": 10}


@pytest.mark.parametrize(
    ("weights", "code", "field"),
    [
        ({"prices-v1": 0, "prices-v2": 0}, "ML251", "spec.backends"),
        ({"prices-v1": 2, "prices-v2": -1}, "ML250", "spec.backends[1].weight"),
    ],
)
async def test_s16_weights_that_share_nothing_are_refused(
    smi: Smi, weights: dict[str, int], code: str, field: str
) -> None:
    assert f"{code} TrafficSplit smi/canary: {field}" in await smi.refused(split("canary", weights))


async def test_s17_a_second_split_of_one_root_is_refused_unless_their_matches_exclude_each_other(shop: Smi) -> None:
    routes = (group("get", get={"methods": ["GET"]}), group("put", put={"methods": ["PUT"]}))
    await shop.apply(*routes, split("first", {"prices-v1": 1}, "get"))
    said = await shop.refused(split("second", {"prices-v2": 1}))
    assert "ML252 TrafficSplit smi/second: spec.service: TrafficSplit smi/first already splits smi/prices" in said
    await shop.apply(split("second", {"prices-v2": 1}, "put"))
    assert await shop.ask_often("till", 10) == {"200 v1:7080": 10}
    assert await shop.ask_often("till", 10, method="PUT") == {"200 v2:7180": 10}


async def test_connections_without_http_are_split_too(shop: Smi) -> None:
    await shop.apply(split("canary", {"prices-v1": 0, "prices-v2": 1}))
    assert await shop.ask_often("till", 20, **TCP_7090) == {"v2": 20}
    await shop.apply(split("canary", {"prices-v1": 1, "prices-v2": 1}))
    assert set(await shop.ask_often("till", 40, **TCP_7090)) == {"v1", "v2"}
    await shop.apply(group("staff", staff={"methods": ["GET"]}), split("canary", {"prices-v2": 1}, "staff"))
    assert set(await shop.ask_often("till", 40, **TCP_7090)) == {"v1", "v2"}, "no connection satisfies matches"


async def test_a_split_leaves_its_leaves_as_they_were(shop: Smi) -> None:
    before = Counter(await shop.ask_often("till", 5, "prices-v2"))
    await shop.apply(split("canary", {"prices-v1": 1}))
    assert await shop.ask_often("till", 5, "prices-v2") == before, "osm#1798"
    assert await shop.ask_often("till", 20) == {"200 v1:7080": 20}, "though the root selects both (osm#4296)"


async def test_kubectl_takes_trafficsplits_for_the_policies_and_not_for_their_metrics(shop: Smi, demo: Any) -> None:
    await shop.apply(split("canary", {"prices-v1": 1}))
    assert demo.kubectl("get", "trafficsplits", "-n", "smi").split()[:2] == ["NAME", "SERVICE"]


async def test_metrics_count_what_was_called(shop: Smi) -> None:
    async def metrics(path: str) -> dict[str, Any]:
        return dict(await shop.kube.request("GET", f"{METRICS}/{path}"))

    def successes(item: dict[str, Any]) -> int:
        return next(int(one["value"]) for one in item["metrics"] if one["name"] == "success_count")

    ports = {"name": "http", "port": 7080}, {"name": "tcp", "port": 7090, "appProtocol": "tcp-server-first"}
    await shop.apply(service("metered", {"app": "prices"}, *ports))
    await shop.apply(split("metered", {"prices-v1": 3, "prices-v2": 1}, root="metered"))
    answers = await shop.ask_often("till", 80, "metered")
    greetings = await shop.ask_often("till", 20, "metered", **TCP_7090)
    expected = {
        "prices-v1": answers["200 v1:7080"] + greetings["v1"],
        "prices-v2": answers["200 v2:7180"] + greetings["v2"],
    }
    assert sum(expected.values()) == 100

    async def agree() -> bool:
        items = (await metrics("namespaces/smi/trafficsplits/metered"))["items"]
        return {item["backend"]["name"]: successes(item) for item in items} == expected

    await shop.eventually(agree)
    edges = (await metrics("namespaces/smi/pods/till/edges"))["items"]
    assert {"v1", "v2"} <= {item["edge"]["resource"]["name"] for item in edges}
