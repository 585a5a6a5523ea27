"""What the manifests let the control plane do is enough, on our API server and on a real one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
import yaml

from meshlab import manifests
from meshlab.controlplane.badge import LABEL
from meshlab.controlplane.plane import ControlPlane, Ports
from meshlab.dataplane.installed import data_plane
from meshlab.kube import Kube, Object
from meshlab.kube.objects import DEPLOYMENT, MUTATING_WEBHOOK, POD, VALIDATING_WEBHOOK

SYSTEM, ACCOUNT = "meshlab-system", "meshlab-controller"
LIMIT_SECONDS = 30


@pytest.fixture(params=["embedded", "oracle"])
async def admin(request: pytest.FixtureRequest) -> AsyncIterator[Kube]:
    """A server with what an installation applies, but for the pods, which nobody would run."""
    async with await Kube.connect(request.getfixturevalue(request.param)) as kube:
        for obj in [*manifests.read("crds"), *manifests.read("control-plane")]:
            if obj["kind"] not in {DEPLOYMENT.kind, "MeshConfig"}:
                await kube.apply(obj, force=True)
        yield kube
        for name in ("first", "second"):
            await kube.request("DELETE", POD.path(SYSTEM, name), body={"gracePeriodSeconds": 0})
        await kube.delete(MUTATING_WEBHOOK, "meshlab-injector")
        await kube.delete(VALIDATING_WEBHOOK, "meshlab-validator")


@pytest.fixture
async def itself(admin: Kube, request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Kube]:
    """The same server, asked as the control plane asks it."""
    of_admin = yaml.safe_load(request.getfixturevalue(request.node.callspec.params["admin"]).read_text())
    path = f"/api/v1/namespaces/{SYSTEM}/serviceaccounts/{ACCOUNT}/token"
    asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    token = (await admin.request("POST", path, body=asked))["status"]["token"]
    users = [{**user, "user": {"token": token}} for user in of_admin["users"]]
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(yaml.safe_dump({**of_admin, "users": users}))
    async with await Kube.connect(kubeconfig) as kube:
        yield kube


def replica(name: str) -> Object:
    """A pod as the Deployment would make it."""
    deployment = next(obj for obj in manifests.read("control-plane") if obj["kind"] == DEPLOYMENT.kind)
    template = deployment["spec"]["template"]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        **template,
        "metadata": {**template["metadata"], "name": name, "namespace": SYSTEM},
    }


async def test_two_control_planes_need_no_more_than_they_have(admin: Kube, itself: Kube) -> None:
    @asynccontextmanager
    async def running(name: str) -> AsyncIterator[ControlPlane]:
        plane = ControlPlane(itself, data_plane("envoy"), name, "127.0.0.1", Ports(0, 0, 0, 0, 0, 0))
        task = asyncio.create_task(plane.run())
        try:
            while not all(plane.conditions().values()):
                assert not task.done(), task.exception()
                await asyncio.sleep(0.02)
            yield plane
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def wears(name: str) -> None:
        while [pod["metadata"]["name"] for pod in await admin.list(POD, SYSTEM, labels=f"{LABEL}=true")] != [name]:  # noqa: ASYNC110
            await asyncio.sleep(0.02)

    # The namespace demands the restricted Pod Security Standard: a real server takes no pod that doesn't hold to it.
    for name in ("first", "second"):
        await admin.create(replica(name))
    async with asyncio.timeout(LIMIT_SECONDS), AsyncExitStack() as stack:
        first = await stack.enter_async_context(running("first"))
        assert first.leads
        await wears("first")
        async with running("second") as second:
            assert not second.leads
            await stack.aclose()
            await wears("second")
            assert second.leads
