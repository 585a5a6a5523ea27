"""A node whose daemon was killed: nothing is left running by itself, and every pod runs again."""

from __future__ import annotations

import asyncio
import signal

import psutil
import pytest

from meshlab.cluster.embedded import EmbeddedCluster
from meshlab.kube import Kube, load
from meshlab.kube.objects import DEPLOYMENT, POD

WEB = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: default}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      initContainers: [{name: first, image: meshlab:latest, command: ["true"]}]
      containers:
      - name: web
        image: meshlab:latest
        command: [sh, -c, "setsid sleep 701 & exec sleep 702"]
---
apiVersion: v1
kind: Pod
metadata: {name: done, namespace: default}
spec:
  restartPolicy: Never
  containers: [{name: c, image: "meshlab:latest", command: ["true"]}]
---
apiVersion: v1
kind: Pod
metadata: {name: once, namespace: default}
spec:
  restartPolicy: Never
  containers: [{name: c, image: "meshlab:latest", command: [sleep, "703"]}]
"""


@pytest.fixture
async def own(home):
    """A cluster of this test's own, which it may kill."""
    made = EmbeddedCluster("node-restart")
    try:
        yield made
    finally:
        await made.purge()


def of_the_node(cluster):
    """The processes of the pods, by id, with the moment each began."""
    mark = str(cluster.state.folder / "pods")
    return {
        process.info["pid"]: process.info["create_time"]
        for process in psutil.process_iter(["pid", "environ", "create_time"])
        if (process.info["environ"] or {}).get("MESHLAB_NODE") == mark and "MESHLAB_POD_UID" in process.info["environ"]
    }


async def until(check, seconds=60):
    async with asyncio.timeout(seconds):
        while not (answer := await check()):  # noqa: ASYNC110  # the other end is another process
            await asyncio.sleep(0.05)
    return answer


async def test_after_kill_9_leftovers_are_ended_and_pods_run_again(own):
    await own.up()
    async with await Kube.connect(own.kubeconfig()) as kube:
        for obj in load(WEB):
            await kube.create(obj)

        def available(restarts):
            async def check():
                pods = [pod for pod in await kube.list(POD, "default", labels="app=web") if "status" in pod]
                rows = [pod["status"].get("containerStatuses", [{}])[0] for pod in pods]
                return len(pods) == 3 and all(row.get("ready") and row["restartCount"] == restarts for row in rows)

            return check

        async def settled():
            phases = {pod["metadata"]["name"]: pod["status"].get("phase") for pod in await kube.list(POD, "default")}
            return (phases["done"], phases["once"]) == ("Succeeded", "Running")

        await until(available(0))
        await until(settled)
        addresses = {pod["metadata"]["name"]: pod["status"]["podIP"] for pod in await kube.list(POD, "default")}
    before = of_the_node(own)
    assert len(before) == 7
    _, daemon = own.state.daemon()
    daemon.send_signal(signal.SIGKILL)
    await asyncio.to_thread(psutil.wait_procs, [daemon], 10)
    assert of_the_node(own).keys() == before.keys()

    await own.up()
    async with await Kube.connect(own.kubeconfig()) as kube:
        await until(available(1))

        async def failed():
            return (await kube.get(POD, "once", "default"))["status"]["phase"] == "Failed"

        await until(failed)
        assert (await kube.get(POD, "done", "default"))["status"]["phase"] == "Succeeded"
        after = of_the_node(own)
        assert len(after) == 6
        assert not after.items() & before.items()
        found = await kube.list(POD, "default", labels="app=web")
        assert {pod["metadata"]["name"]: pod["status"]["podIP"] for pod in found}.items() <= addresses.items()
        (first,) = found[0]["status"]["initContainerStatuses"]
        assert (first["restartCount"], first["state"]["terminated"]["exitCode"]) == (1, 0), "it prepares the pod anew"
        last = found[0]["status"]["containerStatuses"][0]["lastState"]["terminated"]
        assert last["exitCode"] == 137
        await kube.delete(DEPLOYMENT, "web", "default")

        async def gone():
            return not of_the_node(own)

        await until(gone)
    await own.down()
    assert of_the_node(own) == {}
