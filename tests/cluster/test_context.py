"""A mesh on a cluster that is there already, which is left as it was found."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import yaml

from meshlab import manifests
from meshlab.cluster.context import ContextCluster
from meshlab.cluster.embedded import EmbeddedCluster
from meshlab.cluster.labs import cluster_of
from meshlab.errors import ClusterError
from meshlab.kube import Kube
from meshlab.kube.objects import CRD, NAMESPACE
from meshlab.lab import install


@pytest.fixture
async def context(home: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    """A context of the user's kubeconfig; behind it is an embedded cluster."""
    host = EmbeddedCluster("host")
    await host.up()
    monkeypatch.setenv("KUBECONFIG", str(host.kubeconfig()))
    yield yaml.safe_load(host.kubeconfig().read_text())["current-context"]
    await host.purge()


async def test_the_mesh_comes_and_goes_and_what_was_there_stays(context: str) -> None:
    image = EmbeddedCluster("host").image
    split = next(crd for crd in manifests.read("crds") if crd["spec"]["names"]["kind"] == "TrafficSplit")
    async with await Kube.connect(EmbeddedCluster("host").kubeconfig()) as kube:
        await kube.create(split)
        started = await install.start("guest", demo=False, context=context, image=image)
        assert (started.cluster, started.image) == ("context", image)
        assert isinstance(cluster_of("guest"), ContextCluster)
        await install.start("guest", demo=False)  # again, and nobody has to say where
        assert await kube.find(NAMESPACE, "meshlab-system")

        assert await install.stop("guest")

        async def gone() -> bool:
            left = {crd["metadata"]["name"] for crd in await kube.list(CRD)}
            return left == {split["metadata"]["name"]} and not await kube.find(NAMESPACE, "meshlab-system")

        async with asyncio.timeout(60):
            while not await gone():  # noqa: ASYNC110  # the other end is another process
                await asyncio.sleep(0.1)
    assert isinstance(cluster_of("guest"), EmbeddedCluster)


async def test_an_unknown_context_is_named(context: str) -> None:
    with pytest.raises(ClusterError, match=r"ML154 context nowhere"):
        await ContextCluster("guest", "nowhere", "meshlab:1").up()


async def test_without_an_image_nothing_is_begun(context: str) -> None:
    with pytest.raises(ClusterError, match="ML161"):
        await ContextCluster("guest", context).up()


async def test_a_lab_stays_on_its_context(context: str) -> None:
    guest = ContextCluster("guest", context, "meshlab:1")
    await guest.up()
    with pytest.raises(ClusterError, match="ML159"):
        await ContextCluster("guest", "another", "meshlab:1").up()
    await guest.down()


def test_an_image_goes_with_a_context_only(home: Path) -> None:
    with pytest.raises(ClusterError, match="ML101"):
        cluster_of("one", image="meshlab:1")
