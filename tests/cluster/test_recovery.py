"""The daemon is killed with a whole mesh running: the next `up` has it all again, once; `down` leaves nothing."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from meshlab.cluster.embedded import EmbeddedCluster
from meshlab.cluster.embedded.node import networks
from meshlab.kube import Kube
from meshlab.kube.objects import POD
from meshlab.lab import install, ready

pytestmark = pytest.mark.e2e
STREAM = "/apis/observe.meshlab.dev/v1alpha1/stream"
SIDECARS = 6
"""Of the demo: two bookstores, two clients, the warehouse and its stock."""


@pytest.fixture
async def own(home: Path) -> AsyncIterator[EmbeddedCluster]:
    cluster = EmbeddedCluster("recovery")
    try:
        await install.start(cluster.name, network=networks.best())
        yield cluster
    finally:
        await cluster.purge()


def processes(cluster: EmbeddedCluster) -> Counter[str]:
    """What runs for a lab: how often each program."""
    found: Counter[str] = Counter()
    for process in psutil.process_iter():
        try:
            if str(cluster.state.folder) in " ".join([*process.cmdline(), *process.environ().values()]):
                arguments = process.cmdline()
                found[arguments[arguments.index("-m") + 1] if "-m" in arguments else process.name()] += 1
        except psutil.Error:
            continue
    return found


async def a_request_over_mtls(kube: Kube) -> None:
    async for line in kube.lines(STREAM, {}):
        if any(edge["mtls"] and "200" in edge["statuses"] for edge in json.loads(line)["edges"]):
            return


async def test_after_a_kill_up_brings_every_pod_back_once_and_down_leaves_none(own: EmbeddedCluster) -> None:
    before = processes(own)
    assert before["envoy"] == SIDECARS
    for _ in range(2):
        running = own.state.daemon()
        assert running
        running[1].kill()
        running[1].wait(10)
        assert processes(own)["envoy"] == SIDECARS, "pods outlive a daemon that is killed"
        await install.start(own.name)
        assert processes(own) == before
        async with await Kube.connect(own.kubeconfig()) as kube:
            assert all(ready.condition(pod, "Ready") for pod in await kube.list(POD))
            await asyncio.wait_for(a_request_over_mtls(kube), 30)

    running = own.state.daemon()
    assert running
    running[1].kill()
    running[1].wait(10)
    await own.down()
    assert not processes(own), "down ends the pods of a daemon that was killed"
