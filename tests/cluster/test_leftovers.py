"""Twenty pods with networks of their own, and every way in which what keeps them can die: nothing is left behind."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from meshlab.cluster.embedded import EmbeddedCluster
from meshlab.cluster.embedded.node import networks
from meshlab.kube import Kube, Object, load
from meshlab.kube.objects import POD
from meshlab.lab import ready

PODS = 20
KINDS = ("user", "net", "mnt", "uts", "ipc")
WORK = f"""
apiVersion: apps/v1
kind: Deployment
metadata: {{name: many, namespace: default}}
spec:
  replicas: {PODS}
  selector: {{matchLabels: {{app: many}}}}
  template:
    metadata: {{labels: {{app: many}}}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - name: app
        image: meshlab:latest
        command: [sleep, infinity]
        readinessProbe: {{exec: {{command: ["true"]}}, periodSeconds: 60}}
"""


@pytest.fixture
async def own(home: Path) -> AsyncIterator[EmbeddedCluster]:
    if networks.best() != networks.NAMESPACES:
        pytest.skip("this machine grants no namespaces")
    cluster = EmbeddedCluster("leftovers", networks.NAMESPACES)
    try:
        await cluster.up()
        yield cluster
    finally:
        await cluster.purge()


def of_nodes(node: str = "") -> Iterator[psutil.Process]:
    """The processes of a lab's node, or of all: their pods', and those that hold their namespaces."""
    for process in psutil.process_iter():
        with suppress(OSError):
            variables = Path(f"/proc/{process.pid}/environ").read_bytes()
            if f"MESHLAB_NODE={node}".encode() in variables:
                yield process


def of(cluster: EmbeddedCluster) -> Iterator[psutil.Process]:
    return of_nodes(str(cluster.state.pods))


def namespaces(processes: Iterable[psutil.Process]) -> set[str]:
    """The namespaces they are in or hold, but for those that this test is in."""
    own = {str(Path(f"/proc/self/ns/{kind}").readlink()) for kind in KINDS}
    found = set()
    for process in processes:
        for folder in ("ns", "fd"):
            with suppress(OSError):
                for path in Path(f"/proc/{process.pid}/{folder}").iterdir():
                    with suppress(OSError):
                        found.add(str(path.readlink()))
    return {name for name in found if name.partition(":[")[0] in KINDS} - own


def counted(cluster: EmbeddedCluster) -> dict[str, int]:
    """How much there is of everything that could be left behind."""
    processes = list(of(cluster))
    kinds = [name.partition(":")[0] for name in namespaces(processes)]
    return {"process": len(processes), **{kind: kinds.count(kind) for kind in KINDS}}


async def running(cluster: EmbeddedCluster, restarts: int) -> list[Object]:
    """The pods, as soon as each runs for the time that it is to."""
    async with await Kube.connect(cluster.kubeconfig()) as kube, asyncio.timeout(90):
        while True:
            pods = await kube.list(POD, "default")
            rows = [row for pod in pods for row in (pod.get("status") or {}).get("containerStatuses") or []]
            if len(pods) == PODS and all(ready.condition(pod, "Ready") for pod in pods):  # noqa: SIM102
                if {row["restartCount"] for row in rows} == {restarts}:
                    return pods
            await asyncio.sleep(0.05)


def kill(process: psutil.Process) -> None:
    process.kill()
    process.wait(10)


def daemon_of(cluster: EmbeddedCluster) -> psutil.Process:
    found = cluster.state.daemon()
    assert found
    return found[1]


def interfaces_here() -> set[str]:
    """The machine's own network interfaces, but for those of Docker: tests on kind may run meanwhile."""
    docker = re.compile(r"docker0|br-[0-9a-f]{12}|veth[0-9a-f]{6,7}")
    return {name for _, name in socket.if_nameindex() if not docker.fullmatch(name)}


async def test_whatever_is_killed_every_pod_runs_again_and_nothing_is_left(own: EmbeddedCluster) -> None:
    interfaces = interfaces_here()
    async with await Kube.connect(own.kubeconfig()) as kube:
        await kube.create(load(WORK)[0])
    pods = await running(own, 0)
    addresses = {pod["metadata"]["name"]: pod["status"]["podIP"] for pod in pods}
    full = counted(own)
    # Each pod's app is in a mount namespace of its own; the node has a user and a network namespace besides.
    assert full == {"process": PODS + 1, "user": PODS + 1, "net": PODS + 1, "mnt": PODS, "uts": PODS, "ipc": PODS}
    before = {process.pid for process in of(own)}

    kill(daemon_of(own))
    await own.up()
    again = await running(own, 1)
    assert {pod["metadata"]["name"]: pod["status"]["podIP"] for pod in again} == addresses
    assert counted(own) == full
    assert not before & {process.pid for process in of(own)}, "what an earlier daemon had started is ended"

    (holder,) = (process for process in of(own) if "holder.py" in " ".join(process.cmdline()))
    kill(holder)
    third = await running(own, 2)
    assert {pod["metadata"]["name"]: pod["status"]["podIP"] for pod in third} == addresses
    assert counted(own) == full

    held = namespaces(of(own))
    kill(daemon_of(own))
    await own.down()
    assert not list(of(own))
    others = set(of_nodes())  # of labs that other tests run: the kernel gives numbers out again
    alive = {process for process in psutil.process_iter(["status"]) if process.info["status"] != psutil.STATUS_ZOMBIE}
    assert not held & namespaces(alive - others), "no namespace outlives its lab"
    assert interfaces_here() == interfaces
