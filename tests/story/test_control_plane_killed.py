"""Traffic doesn't need the control plane: it can be killed at any moment, and catches up when it is back."""

from __future__ import annotations

import asyncio
import subprocess
import time
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from meshlab.kube import ApiError
from meshlab.kube.objects import DEPLOYMENT, LEASE, POD
from meshlab.lab.ready import condition

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.conftest import RunningLab
    from tests.story.conftest import Story

pytestmark = pytest.mark.e2e

SYSTEM, CONTROLLER = "meshlab-system", "meshlab-controller"
CALLS = 300
WRONG = '{"spec":{"traffic":{"outboundIPRangeExclusionList":["10.0.0.1/8"]}}}'
ON_THE_NODE = """
for pid in $(pgrep -f '^python -m meshlab.controlplane'); do
  if grep -qzx "POD_NAME=$1" /proc/$pid/environ; then kill -KILL $pid; fi
done
"""


def kill(demo: RunningLab, pod: str) -> None:
    """Kill the process that the node runs for a pod of the control plane."""
    if demo.kind == "kind":
        node = ("docker", "exec", f"meshlab-{demo.name}-control-plane")
        subprocess.run([*node, "sh", "-c", ON_THE_NODE, "kill", pod], check=True)
        return
    (process,) = [process for process in psutil.process_iter() if _runs_for(process, pod)]
    process.kill()


def _runs_for(process: psutil.Process, pod: str) -> bool:
    try:
        return process.cmdline()[1:] == ["-m", "meshlab.controlplane"] and process.environ().get("POD_NAME") == pod
    except psutil.Error:
        return False


async def leader(story: Story) -> str:
    lease = await story.kube.get(LEASE, CONTROLLER, SYSTEM)
    return str(lease["spec"]["holderIdentity"])


async def container(story: Story, pod: str) -> dict[str, Any]:
    found = await story.kube.get(POD, pod, SYSTEM)
    return dict(found["status"]["containerStatuses"][0])


async def scale(story: Story, replicas: int) -> None:
    """Have so many control planes, all ready, and no other that is still ending."""
    await story.kube.patch(DEPLOYMENT, CONTROLLER, {"spec": {"replicas": replicas}}, SYSTEM)

    async def done() -> bool:
        pods = await story.kube.list(POD, SYSTEM, labels=f"app={CONTROLLER}")
        return len(pods) == replicas and all(condition(pod, "Ready") for pod in pods)

    await story.until(done, f"{replicas} control planes are ready")
    if replicas:
        await story.until(lambda: proxies_are_told(story), "the proxies are told by one of them")


async def proxies_are_told(story: Story) -> bool:
    """Whether the API server passes questions on to the leader, and all proxies have found it."""
    with suppress(ApiError):
        mesh = await story.observed("mesh")
        return bool(mesh["connected"] == mesh["proxies"])
    return False


@asynccontextmanager
async def replicas(story: Story, wanted: int) -> AsyncIterator[None]:
    """So many control planes, and as many as before afterwards."""
    before: int = (await story.kube.get(DEPLOYMENT, CONTROLLER, SYSTEM))["spec"]["replicas"]
    await scale(story, wanted)
    try:
        yield
    finally:
        await scale(story, before)


@asynccontextmanager
async def no_request_failing(story: Story) -> AsyncIterator[None]:
    """The buyer's calls from here to there, however many."""
    await story.count("bookbuyer", 2)
    yield
    counted = await story.raw("bookbuyer")
    assert counted["calls"] > 2
    assert set(counted["statuses"]) == {"200"}, counted


async def followed(story: Story, last: str) -> float:
    """Wait until another leads and all proxies have found it; the moment when it had the lease."""

    async def another() -> bool:
        return await leader(story) not in {"", last}

    await story.until(another, f"another leads than {last}")
    moment = time.monotonic()
    await story.until(lambda: proxies_are_told(story), "the proxies are told by the new leader")
    return moment


async def test_killed_while_traffic_runs_no_request_fails_and_a_later_change_is_enforced(
    story: Story, demo: RunningLab
) -> None:
    await story.mode(permissive=False)
    await story.policies()
    killed = await leader(story)
    before = await container(story, killed)

    counting = asyncio.create_task(story.count("bookbuyer", CALLS))
    await asyncio.to_thread(kill, demo, killed)
    count = await counting
    assert set(count.statuses) == {"200"}, count

    async def back() -> bool:
        now = await container(story, killed)
        return bool(now["restartCount"] == before["restartCount"] + 1 and now["ready"])

    await story.until(back, "the control plane is back")
    assert set((await story.count("bookthief", 20)).statuses) == {"403"}
    await story.sources("bookbuyer", "bookthief")
    buyer, thief = await asyncio.gather(story.count("bookbuyer", CALLS), story.count("bookthief", CALLS))
    assert set(buyer.statuses) == {"200"}
    assert set(thief.statuses) == {"200"}
    await story.sources("bookbuyer")
    assert set((await story.count("bookthief", CALLS)).statuses) == {"403"}


async def test_when_the_leader_goes_another_has_its_place_and_no_request_fails(story: Story, demo: RunningLab) -> None:
    await story.mode(permissive=False)
    await story.policies()
    async with replicas(story, 2), no_request_failing(story):
        # Ended well: it gives its place away. Deleted by force: its place is taken when its lease is over; but a real
        # kubelet lets it end well then, too.
        lease_ends = 0 if demo.kind == "kind" else 5
        for grace, at_least, at_most, callers, then in (
            (10, 0, 5, ("bookbuyer", "bookthief"), "200"),
            (0, lease_ends, 30, ("bookbuyer",), "403"),
        ):
            first, began = await leader(story), time.monotonic()
            path = POD.path(SYSTEM, first)
            await story.kube.request("DELETE", path, body={"gracePeriodSeconds": grace})
            assert at_least <= await followed(story, first) - began < at_most
            await story.sources(*callers)
            assert set((await story.count("bookthief", 20)).statuses) == {then}
            await scale(story, 2)


async def test_while_none_runs_only_meshed_pods_have_to_wait(story: Story, demo: RunningLab) -> None:
    def run(namespace: str) -> str:
        pod = ("run", "newcomer", f"--image={demo.image}", f"--namespace={namespace}", "--command", "--", "sleep", "9")
        return demo.kubectl(*pod, check=False)

    async with replicas(story, 0), no_request_failing(story):
        refused = await asyncio.to_thread(run, "bookbuyer")
        assert 'failed calling webhook "injector.meshlab.dev"' in refused
        assert "meshlab-webhooks" in refused, "who is missing, and where to look"
        assert await asyncio.to_thread(run, "default") == "pod/newcomer created\n"
        await asyncio.to_thread(
            demo.kubectl, "delete", "pod", "newcomer", "--namespace=default", "--now", "--wait=false"
        )
        settings = ("patch", "meshconfig", "meshlab-mesh-config", f"--namespace={SYSTEM}", "--type=merge")
        await asyncio.to_thread(demo.kubectl, *settings, "--patch", '{"spec":{"traffic":{"enableEgress":false}}}')

    async def asked_again() -> bool:  # a little after it is ready: the way to its Service has to be known first
        return "ML273" in await asyncio.to_thread(
            demo.kubectl, *settings, "--dry-run=server", "--patch", WRONG, check=False
        )

    await story.until(asked_again, "what is wrong in the settings is refused again")
