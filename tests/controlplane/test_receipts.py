"""A receipt says what became of a change, and waits for those it concerns and nobody else."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from meshlab.controlplane.reader import Seen
from meshlab.controlplane.receipts import Push, Receipts
from meshlab.kube import Ref
from meshlab.xds import Proxies

SPLIT = Ref("TrafficSplit", "bookstore", "bookstore")
NODE = "bookbuyer-1.bookbuyer"


@pytest.fixture
def proxies() -> Proxies:
    known = Proxies()
    known.update(NODE, generation=3, settled=2)
    return known


@pytest.fixture
def receipts(proxies: Proxies) -> Receipts:
    return Receipts(proxies)


def seen(version: str = "41") -> Seen:
    return Seen(SPLIT, version, deleted=False, time=0.0)


async def settle(proxies: Proxies, **changes: Any) -> None:
    await asyncio.sleep(0)
    proxies.update(NODE, **changes)


async def test_it_waits_for_the_proxy_it_concerns(receipts: Receipts, proxies: Proxies) -> None:
    await receipts.record([seen()], Push(7, 1.5, {NODE: 3}))
    waiting = asyncio.create_task(receipts.wait(SPLIT, "41", timeout=5))
    await settle(proxies, settled=3, settled_ms=2.5)
    receipt = await waiting
    assert receipt["complete"]
    assert receipt["generation"] == 7
    assert receipt["proxies"] == [
        {"proxy": "bookbuyer/bookbuyer-1", "acknowledged": True, "milliseconds": 4.0, "refused": ""}
    ]


async def test_a_refusal_is_an_answer_with_its_reason(receipts: Receipts, proxies: Proxies) -> None:
    await receipts.record([seen()], Push(7, 0.0, {NODE: 3}))
    proxies.update(NODE, settled=3, settled_ms=1.0, refusals={3: "no such cluster"})
    proxies.update(NODE, generation=4, settled=4)  # what took the refused away again
    receipt = await receipts.wait(SPLIT, "41", timeout=5)
    assert receipt["complete"]
    assert receipt["proxies"][0]["acknowledged"] is False
    assert receipt["proxies"][0]["refused"] == "no such cluster"


async def test_a_silent_proxy_leaves_it_incomplete(receipts: Receipts) -> None:
    await receipts.record([seen()], Push(7, 0.0, {NODE: 3}))
    receipt = await receipts.wait(SPLIT, "41", timeout=0.01)
    assert receipt["seen"]
    assert not receipt["complete"]


async def test_a_change_not_seen_yet_is_waited_for(receipts: Receipts) -> None:
    await receipts.record([seen("40")], Push(6, 0.0, {}))
    waiting = asyncio.create_task(receipts.wait(SPLIT, "41", timeout=5))
    await asyncio.sleep(0)
    await receipts.record([seen("42")], Push(7, 0.0, {}))
    receipt = await waiting
    assert (receipt["object"]["resourceVersion"], receipt["complete"]) == ("42", True)


async def test_a_change_that_never_comes_is_said_to_be_unseen(receipts: Receipts) -> None:
    receipt = await receipts.wait(SPLIT, "41", timeout=0.01)
    assert not receipt["seen"]
    assert not receipt["complete"]


async def test_a_change_that_concerns_nobody_is_complete_at_once(receipts: Receipts) -> None:
    await receipts.record([seen()], Push(7, 0.0, {}))
    assert (await receipts.wait(SPLIT, "", timeout=0))["complete"]


async def test_a_proxy_whose_pod_is_gone_is_waited_for_no_longer(receipts: Receipts, proxies: Proxies) -> None:
    await receipts.record([seen()], Push(7, 0.0, {NODE: 3}))
    waiting = asyncio.create_task(receipts.wait(SPLIT, "41", timeout=5))
    await asyncio.sleep(0)
    proxies.forget(NODE)
    receipt = await waiting
    assert receipt["complete"]
    assert receipt["proxies"] == []


async def test_a_status_that_is_written_leaves_the_receipt_as_it_was(receipts: Receipts, proxies: Proxies) -> None:
    await receipts.record([Seen(SPLIT, "41", deleted=False, time=0.0, generation=1)], Push(7, 0.0, {NODE: 3}))
    await receipts.record([Seen(SPLIT, "42", deleted=False, time=0.0, generation=1)], Push(8, 0.0, {}))
    proxies.update(NODE, settled=3, settled_ms=1.0)
    receipt = await receipts.wait(SPLIT, "42", timeout=5)
    assert [answer["acknowledged"] for answer in receipt["proxies"]] == [True]


async def test_a_deletion_is_waited_for_by_itself(receipts: Receipts) -> None:
    await receipts.record([seen("41")], Push(6, 0.0, {}))
    waiting = asyncio.create_task(receipts.wait(SPLIT, "", timeout=5, deleted=True))
    await asyncio.sleep(0)
    await receipts.record([Seen(SPLIT, "42", deleted=True, time=0.0)], Push(7, 0.0, {}))
    assert (await waiting)["object"]["resourceVersion"] == "42"


async def test_a_proxy_gone_before_anyone_asked_is_not_waited_for(receipts: Receipts, proxies: Proxies) -> None:
    await receipts.record([seen()], Push(7, 0.0, {NODE: 3}))
    proxies.forget(NODE)
    async with asyncio.timeout(1):
        assert (await receipts.wait(SPLIT, "", timeout=30))["complete"]
