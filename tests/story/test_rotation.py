"""Certificates and roots are replaced while the bookstore is busy, and not one call fails.

The buyer and the thief make some 160 calls a second, the stores 80 more, and each is on a connection of its own.
Which certificate was shown is told by the proxy at the other end, of every single call.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from meshlab.kube.objects import MESH_CONFIG
from meshlab.lab.rotate_root import rotate_root

if TYPE_CHECKING:
    from meshlab.kube import Object
    from tests.story.conftest import Story

pytestmark = pytest.mark.e2e

CLIENTS = ("bookbuyer", "bookthief")
ENOUGH_CALLS = 100
"""Of each client; a machine that is not overloaded makes them in a second or two."""
ONE_CALL_PER_CONNECTION = {"http": {"maxRequestsPerConnection": 1}}


class OnTheWire:
    """The serial numbers that servers' proxies have seen, by the identity that was proven."""

    def __init__(self, story: Story) -> None:
        self._story = story
        self.seen: dict[str, set[str]] = defaultdict(set)

    async def watch(self) -> None:
        while True:
            for request in (await self._story.observed("exchanges?recent=1000"))["recent"]:
                if request["arrived"]:
                    self.seen[request["source"]].add(request["certificate"])
            await asyncio.sleep(0.5)

    async def until_seen(self, serials: dict[str, str]) -> None:
        async def all_seen() -> bool:
            return all(serial in self.seen[identity] for identity, serial in serials.items())

        await self._story.until(all_seen, f"callers show {serials}")


async def issued(story: Story) -> dict[str, str]:
    """The serial number of each caller's certificate, as the control plane has it."""
    items = (await story.observed("proxies"))["items"]
    found = {item["identity"].rpartition("/ns/")[2].replace("/sa/", "/"): item["certificate"] for item in items}
    return {identity: found[identity]["serial"] for identity in ("bookbuyer/bookbuyer", "bookstore/bookstore")}


def setting(service: str) -> Object:
    return {
        "apiVersion": "policy.openservicemesh.io/v1alpha1",
        "kind": "UpstreamTrafficSetting",
        "metadata": {"name": "new-connections", "namespace": service},
        "spec": {"host": f"{service}.{service}.svc.cluster.local", "connectionSettings": ONE_CALL_PER_CONNECTION},
    }


async def validity(story: Story, duration: str | None) -> None:
    body = {"spec": {"certificate": {"serviceCertValidityDuration": duration}}}
    await story.told(await story.kube.patch(MESH_CONFIG, "meshlab-mesh-config", body, "meshlab-system"))


@pytest.fixture
async def wire(story: Story) -> AsyncIterator[OnTheWire]:
    wire = OnTheWire(story)
    for service in ("bookstore", "bookwarehouse"):
        await story.apply(setting(service))
    watching = asyncio.create_task(wire.watch())
    yield wire
    watching.cancel()
    for service in ("bookstore", "bookwarehouse"):
        await story.delete(setting(service))
    await validity(story, None)


@asynccontextmanager
async def no_call_fails(story: Story) -> AsyncIterator[None]:
    for client in CLIENTS:
        await story.page(client, "/reset")
    yield
    for client in CLIENTS:

        async def enough(client: str = client) -> bool:
            return bool((await story.raw(client))["calls"] >= ENOUGH_CALLS)

        await story.until(enough, f"{client} makes {ENOUGH_CALLS} calls")
        raw = await story.raw(client)
        assert set(raw["statuses"]) == {"200"}, raw


async def test_root_and_certificates_are_replaced_under_load_and_no_call_fails(story: Story, wire: OnTheWire) -> None:
    serials = [await issued(story)]
    async with no_call_fails(story):
        await wire.until_seen(serials[0])
        rotated = await rotate_root(story.kube)
        serials.append(await issued(story))
        await wire.until_seen(serials[1])
        await validity(story, "12h")
        serials.append(await issued(story))
        await wire.until_seen(serials[2])
    assert all(len({shown[identity] for shown in serials}) == 3 for identity in serials[0])
    trust = await story.observed("trust")
    assert [authority["name"] for authority in trust["authorities"]] == [rotated.new]
    assert trust["behind"] == []
