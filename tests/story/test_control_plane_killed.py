"""Traffic doesn't need the control plane: it can be killed at any moment, and catches up when it is back."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from typing import TYPE_CHECKING

import psutil
import pytest

from meshlab.kube.objects import POD

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import RunningLab
    from tests.story.conftest import Story

pytestmark = pytest.mark.e2e

CALLS = 300


def kill_control_plane(demo: RunningLab, home: Path) -> None:
    """Kill the processes that the node runs for the control plane: all replicas of it at once."""
    if demo.kind == "kind":
        node = ("docker", "exec", f"meshlab-{demo.name}-control-plane")
        subprocess.run([*node, "pkill", "-KILL", "-f", "^python -m meshlab.controlplane"], check=True)
        return
    found = [process for process in psutil.process_iter() if _is_control_plane(process, home)]
    assert len(found) == 1, found
    os.kill(found[0].pid, signal.SIGKILL)


def _is_control_plane(process: psutil.Process, home: Path) -> bool:
    try:
        runs = process.cmdline()[1:] == ["-m", "meshlab.controlplane"]
        return runs and process.environ().get("MESHLAB_CONTAINER_ROOT", "").startswith(f"{home}/labs/demo/")
    except psutil.Error:
        return False


async def restarts(story: Story) -> dict[str, tuple[int, bool]]:
    """Of each replica how often its container was restarted, and whether it is ready."""
    pods = await story.kube.list(POD, "meshlab-system")
    found = {pod["metadata"]["name"]: pod["status"]["containerStatuses"][0] for pod in pods}
    return {name: (status["restartCount"], status["ready"]) for name, status in found.items()}


async def test_killed_while_traffic_runs_no_request_fails_and_a_later_change_is_enforced(
    story: Story, demo: RunningLab, home: Path
) -> None:
    await story.mode(permissive=False)
    await story.policies()
    before = await restarts(story)

    counting = asyncio.create_task(story.count("bookbuyer", CALLS))
    await asyncio.to_thread(kill_control_plane, demo, home)
    count = await counting
    assert set(count.statuses) == {"200"}, count

    async def back() -> bool:
        return await restarts(story) == {name: (count + 1, True) for name, (count, _) in before.items()}

    await story.until(back, "the control plane is back")
    assert set((await story.count("bookthief", 20)).statuses) == {"403"}
    await story.sources("bookbuyer", "bookthief")
    buyer, thief = await asyncio.gather(story.count("bookbuyer", CALLS), story.count("bookthief", CALLS))
    assert set(buyer.statuses) == {"200"}
    assert set(thief.statuses) == {"200"}
    await story.sources("bookbuyer")
    assert set((await story.count("bookthief", CALLS)).statuses) == {"403"}
