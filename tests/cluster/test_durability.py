"""`kill -9` in the middle of writes, again and again: nothing that was acknowledged may be lost."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from meshlab.cluster.embedded import EmbeddedCluster
from meshlab.errors import ClusterError
from meshlab.kube import Kube
from meshlab.kube.objects import CONFIG_MAP

KILLS = 20
WRITERS = 4


@pytest.fixture
async def own(home: Path) -> AsyncIterator[EmbeddedCluster]:
    cluster = EmbeddedCluster("durable")
    try:
        await cluster.up()
        yield cluster
    finally:
        await cluster.purge()


async def write_until_the_end(kube: Kube, writer: int, acknowledged: dict[str, int], some: asyncio.Event) -> None:
    """Create objects, noting the resource version of each that was acknowledged, until the server is gone."""
    while True:
        name = f"w{writer}-{len(acknowledged)}"
        try:
            made = await kube.create(
                {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"}}
            )
        except ClusterError:
            return
        acknowledged[name] = int(made["metadata"]["resourceVersion"])
        if len(acknowledged) % 25 == 24:
            some.set()


@pytest.mark.timeout(600)
async def test_twenty_kills_lose_no_acknowledged_write_and_versions_never_go_back(own: EmbeddedCluster) -> None:
    acknowledged: dict[str, int] = {}
    newest = 0
    for _ in range(KILLS):
        some = asyncio.Event()
        running = own.state.daemon()
        assert running
        async with await Kube.connect(own.kubeconfig()) as kube:
            writers = [
                asyncio.create_task(write_until_the_end(kube, writer, acknowledged, some)) for writer in range(WRITERS)
            ]
            await asyncio.wait_for(some.wait(), 30)
            running[1].kill()
            await asyncio.gather(*writers)
        running[1].wait(10)
        await own.up()
        async with await Kube.connect(own.kubeconfig()) as kube:
            listed = await kube.request("GET", CONFIG_MAP.path("default"))
        stored = {item["metadata"]["name"]: int(item["metadata"]["resourceVersion"]) for item in listed["items"]}
        lost = {name: version for name, version in acknowledged.items() if stored.get(name) != version}
        assert not lost
        version = int(listed["metadata"]["resourceVersion"])
        assert version >= max(newest, *acknowledged.values())
        newest = version
    assert len(acknowledged) >= KILLS * 20
