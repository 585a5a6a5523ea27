"""Containers that are added to a pod that runs, as `kubectl debug` does."""

from __future__ import annotations

import asyncio
import subprocess

import pytest

from meshlab.kube import ApiError
from meshlab.kube.client import STRATEGIC_PATCH
from meshlab.kube.objects import POD
from meshlab.lab.kubectl import find_kubectl

WEB = """
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  terminationGracePeriodSeconds: 1
  containers: [{name: web, image: "meshlab:latest", command: [sleep, "600"]}]
"""


async def add(corner, **container):
    body = {"spec": {"ephemeralContainers": [{"image": "meshlab:latest", **container}]}}
    return await corner.kube.patch(
        POD, "web", body, corner.namespace, content_type=STRATEGIC_PATCH, subresource="ephemeralcontainers"
    )


async def running(corner):
    async def check():
        return (await corner.get(POD, "web"))["status"].get("phase") == "Running"

    await corner.eventually(check)


async def test_kubectl_debug_adds_a_container_whose_log_and_end_are_seen(corner, ground):
    await corner.apply(WEB)
    await running(corner)
    command = [str(find_kubectl()), "--kubeconfig", str(ground), "-n", corner.namespace, "debug", "web", "-c", "look"]
    command += ["--image=meshlab:latest", "--profile=general", "--", "sh", "-c", "echo here is $HOSTNAME; exit 3"]
    await asyncio.to_thread(subprocess.run, command, check=True, capture_output=True, timeout=60)

    async def ended():
        status = (await corner.get(POD, "web"))["status"]
        [row] = status.get("ephemeralContainerStatuses") or [{"state": {}}]
        return row["state"].get("terminated") and status

    status = await corner.eventually(ended)
    assert status["ephemeralContainerStatuses"][0]["state"]["terminated"]["exitCode"] == 3
    assert status["phase"] == "Running"
    path = POD.path(corner.namespace, "web", "log")
    assert await corner.kube.text(path, {"container": "look"}) == "here is web\n"

    async def told():
        return (await corner.events("web")).get("Started") == "Started container look"

    await corner.eventually(told)


async def test_it_ends_with_its_pod(corner):
    await corner.apply(WEB)
    await running(corner)
    await add(corner, name="look", command=["sleep", "600"])

    async def started():
        rows = (await corner.get(POD, "web"))["status"].get("ephemeralContainerStatuses") or []
        return rows and "running" in rows[0]["state"]

    await corner.eventually(started)
    await corner.kube.delete(POD, "web", corner.namespace)

    async def gone():
        return await corner.kube.find(POD, "web", corner.namespace) is None

    await corner.eventually(gone)


@pytest.mark.parametrize(
    ("container", "why"),
    [
        ({"name": "web"}, 'Duplicate value: "web"'),
        ({"name": "b", "targetContainerName": "c"}, 'targetContainerName: Not found: "c"'),
        ({"name": "b", "ports": [{"containerPort": 1}]}, "ports: Forbidden: cannot be set for an Ephemeral Container"),
    ],
)
async def test_what_it_may_not_have_is_refused(corner, container, why):
    await corner.apply(WEB)
    with pytest.raises(ApiError, match="is invalid") as refused:
        await add(corner, **container)
    assert why in refused.value.message


async def test_it_can_be_added_but_neither_changed_nor_removed_and_in_no_other_way(corner):
    await corner.apply(WEB)
    stored = await add(corner, name="look", command=["true"])
    with pytest.raises(ApiError, match="may not be changed"):
        await add(corner, name="look", command=["false"])
    without = {"spec": {"ephemeralContainers": []}}
    with pytest.raises(ApiError, match="may not be removed"):
        await corner.kube.patch(POD, "web", without, corner.namespace, subresource="ephemeralcontainers")
    with pytest.raises(ApiError, match="pod updates may not change fields"):
        await corner.patch(POD, "web", without)
    with pytest.raises(ApiError, match="cannot be set on create"):
        await corner.kube.create(
            {"apiVersion": "v1", "kind": "Pod", "spec": stored["spec"]}
            | {"metadata": {"name": "other", "namespace": corner.namespace}}
        )
