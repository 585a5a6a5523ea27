"""The story of the bookstore, each step as OSM's demo expects it, counted over real requests by the apps themselves."""

from __future__ import annotations

import asyncio
from math import exp, lgamma, log
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.story.conftest import Story

pytestmark = pytest.mark.e2e

CALLS = 100
FALSE_ALARM = 1e-6
"""How often a split that is right may fail its test."""


def bounds(calls: int, share: float) -> tuple[int, int]:
    """Between what counts a backend with this share gets, but for one run in a million.

    Every request is drawn independently by weight, so the count is binomial. The bounds are exact: the widest tail
    on each side whose probability is at most half of FALSE_ALARM is cut off.
    """
    chances = [_binomial(calls, share, hits) for hits in range(calls + 1)]
    return _cut(chances), calls - _cut(chances[::-1])


def _cut(chances: list[float]) -> int:
    total = 0.0
    for hits, chance in enumerate(chances):
        total += chance
        if total > FALSE_ALARM / 2:
            return hits
    return len(chances)


def _binomial(calls: int, share: float, hits: int) -> float:
    ways = lgamma(calls + 1) - lgamma(hits + 1) - lgamma(calls - hits + 1)
    return exp(ways + hits * log(share) + (calls - hits) * log(1 - share))


def test_the_bound_is_the_binomials() -> None:
    low, high = bounds(1000, 0.1)
    assert sum(_binomial(1000, 0.1, hits) for hits in range(low, high + 1)) > 1 - FALSE_ALARM
    assert (low, high) == (57, 149)


async def test_permissive_everybody_buys(story: Story) -> None:
    for client in ("bookbuyer", "bookthief"):
        count = await story.count(client, CALLS)
        assert set(count.statuses) == {"200"}
        assert count.books >= CALLS // 2 - 1
        assert set(count.answers) == {"bookstore-v1", "bookstore-v2"}
    assert (await story.raw("bookwarehouse"))["books"] > 0


async def test_without_a_policy_every_counter_stops(story: Story) -> None:
    await story.mode(permissive=False)
    for client in ("bookbuyer", "bookthief"):
        reached, count = await story.sold("bookstore-v1", story.count(client, CALLS))
        assert set(count.statuses) == {"403"}
        assert (count.books, count.answers, reached) == (0, {}, 0)
    assert "RBAC" in (await story.raw("bookthief"))["last"]["reason"]


async def test_policies_let_the_buyer_in_and_the_thief_stays_out(story: Story) -> None:
    await story.mode(permissive=False)
    await story.policies()
    before = (await story.raw("bookwarehouse"))["books"]
    buyer, thief = await asyncio.gather(story.count("bookbuyer", CALLS), story.count("bookthief", CALLS))
    assert set(buyer.statuses) == {"200"}
    assert set(thief.statuses) == {"403"}
    assert (await story.raw("bookwarehouse"))["books"] - before >= buyer.books


async def test_the_thief_is_let_in_and_put_out_again(story: Story) -> None:
    await story.mode(permissive=False)
    await story.policies()
    await story.sources("bookbuyer", "bookthief")
    assert set((await story.count("bookthief", CALLS)).statuses) == {"200"}
    await story.sources("bookbuyer")
    assert set((await story.count("bookthief", CALLS)).statuses) == {"403"}
    assert set((await story.count("bookbuyer", CALLS)).statuses) == {"200"}


async def test_a_second_version_without_a_split_takes_its_part(story: Story) -> None:
    await story.scale("bookstore-v2", 0)
    assert set((await story.count("bookbuyer", CALLS)).answers) == {"bookstore-v1"}
    await story.scale("bookstore-v2", 1)
    assert set((await story.count("bookbuyer", CALLS)).answers) == {"bookstore-v1", "bookstore-v2"}


@pytest.mark.parametrize(("v1", "v2", "calls"), [(100, 0, 300), (50, 50, 400), (90, 10, 1000), (0, 100, 300)])
async def test_a_split_shares_calls_by_weight(story: Story, v1: int, v2: int, calls: int) -> None:
    await story.split(v1, v2)
    count = await story.count("bookbuyer", calls)
    assert set(count.statuses) == {"200"}
    weights = {"bookstore-v1": v1, "bookstore-v2": v2}
    assert set(count.answers) == {store for store, weight in weights.items() if weight}
    for store, hits in count.answers.items():
        low, high = bounds(count.calls, weights[store] / 100) if weights[store] < 100 else (count.calls, count.calls)
        assert low <= hits <= high, f"{store}: {hits} of {count.calls}, {low} to {high} expected"


async def test_a_split_gives_no_permission(story: Story) -> None:
    await story.mode(permissive=False)
    await story.policies()
    await story.split(50, 50)
    assert set((await story.count("bookthief", CALLS)).statuses) == {"403"}


async def test_what_the_mesh_counts_is_what_the_apps_count(story: Story) -> None:
    await story.split(100, 0)
    count = await story.count("bookbuyer", CALLS)
    edges: list[dict[str, Any]] = []

    async def counted() -> bool:
        edges[:] = [
            edge
            for edge in (await story.observed("edges?window=60"))["edges"]
            if edge["source"] == "bookbuyer/bookbuyer"
            and edge["service"].startswith("bookstore/bookstore-v1|")
            and edge["root"] == "bookstore/bookstore|14001"
        ]
        return sum(edge["requests"] for edge in edges) >= count.calls

    await story.until(counted, "the proxies have told of every call")
    assert all(edge["mtls"] == edge["requests"] for edge in edges)
    assert {edge["version"] for edge in edges} == {"v1"}
