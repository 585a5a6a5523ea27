"""What becomes wrong later is told on the object that it makes wrong."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from meshlab import manifests
from meshlab.controlplane import events as module
from meshlab.controlplane.events import Events
from meshlab.kube import Object
from meshlab.kube.objects import EVENT, HTTP_ROUTE_GROUP, NAMESPACE, TRAFFIC_SPLIT
from meshlab.mesh.finding import Finding

if TYPE_CHECKING:
    from meshlab.controlplane.plane import ControlPlane
    from tests.controlplane.conftest import Api


async def told(api: Api, name: str, reason: str, at_least: int = 1) -> Object:
    """The Event that says so of an object in namespace bookstore, once it has been said so often."""
    fields = f"involvedObject.name={name},reason={reason}"
    async with asyncio.timeout(20):
        while True:
            found = await api.kube.list(EVENT, "bookstore", fields=fields)
            if found and found[0]["count"] >= at_least:
                return found[0]
            await asyncio.sleep(0.02)


def split(name: str, *backends: str) -> Object:
    return {
        "apiVersion": TRAFFIC_SPLIT.api_version,
        "kind": "TrafficSplit",
        "metadata": {"name": name, "namespace": "bookstore"},
        "spec": {"service": "bookstore", "backends": [{"service": one, "weight": 1} for one in backends]},
    }


@pytest.mark.usefixtures("plane")
async def test_a_deleted_route_group_is_told_on_the_target_that_needs_it(api: Api) -> None:
    for obj in manifests.read("demo/policies"):
        await api.kube.apply(obj)
    await api.kube.apply(split("early", "bookstore-v9"))
    assert "no Service 'bookstore-v9'" in (await told(api, "early", "ML255"))["message"]
    assert not await api.kube.list(EVENT, "bookstore", fields="involvedObject.name=bookstore,reason=ML226")
    await api.kube.delete(HTTP_ROUTE_GROUP, "bookstore-routes", "bookstore")
    event = await told(api, "bookstore", "ML226")
    assert event["type"] == "Warning"
    assert event["involvedObject"]["kind"] == "TrafficTarget"
    assert "Hint: " in event["message"]


@pytest.mark.usefixtures("plane")
async def test_what_stays_wrong_is_told_again_and_counted(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_AGAIN_SECONDS", 0.01)
    await api.kube.apply(split("early", "bookstore-v9"))
    event = await told(api, "early", "ML255")
    again = await told(api, "early", "ML255", at_least=2)
    assert again["metadata"]["name"] == event["metadata"]["name"]


async def test_a_namespace_that_ends_and_a_flood_harm_nobody(api: Api, plane: ControlPlane) -> None:
    await api.kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "ending"}})
    for namespace in ("ending", "bookstore"):
        await api.kube.apply({**split("one", "a"), "metadata": {"name": "one", "namespace": namespace}})
    await api.kube.request("DELETE", NAMESPACE.path(None, "ending"))
    events = Events(api.kube, [TRAFFIC_SPLIT], plane.reader.store)
    flood = [Finding("ML256", "TrafficSplit bookstore/one", f"spec.backends[{n}]", "w", "c") for n in range(1000)]
    others = [Finding("ML256", about, "spec", "w", "c") for about in ("TrafficSplit ending/one", "proxy x", "X y/z")]
    events.want([*others, *flood])
    task = asyncio.create_task(events.run())
    await told(api, "one", "ML256")
    while len(events._told) < 11:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    task.cancel()
    assert len(await api.kube.list(EVENT, "bookstore", fields="involvedObject.name=one,reason=ML256")) == 10
