"""decide() and real Envoys give the same answer to random calls under random policies, and refusals can be cured."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from agreement import Shop, shop
from hypothesis import HealthCheck, Phase, given, settings
from loopback_mesh import Mesh
from situations import Situation, situations

SITUATIONS, CALLS = 60, 40
"""Besides the calls, eight TCP connections in each: 2,880 pairs in all."""

asked: list[Shop] = []


@pytest.fixture
async def open_shop(mesh: Mesh) -> AsyncIterator[Shop]:
    async with shop(mesh) as opened:
        asked.append(opened)
        yield opened


@settings(
    max_examples=SITUATIONS,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],  # a failure names the one call
    suppress_health_check=list(HealthCheck),
)
@given(situation=situations(CALLS))
async def test_decide_and_envoy_agree_on_random_calls_under_random_policies(open_shop: Shop, situation: Situation):
    await open_shop.check(situation)


def test_both_answers_were_given_often_enough():
    if not asked:
        pytest.skip("nothing was asked")
    (opened,) = asked
    counted = opened.asked
    assert sum(counted[answer] for answer in ("allowed", "refused", "tcp allowed", "tcp refused")) >= 2000
    assert min(counted["allowed"], counted["refused"]) > SITUATIONS * CALLS / 5
    assert min(counted["cured by a request"], counted["cured by a policy"]) > SITUATIONS / 5
