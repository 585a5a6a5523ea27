"""A control plane in this process, beside an API server in this process."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from meshlab import manifests
from meshlab.cluster.embedded.apiserver.pki import Pki
from meshlab.cluster.embedded.apiserver.server import ApiServer
from meshlab.controlplane.plane import ControlPlane, Ports
from meshlab.dataplane.installed import data_plane
from meshlab.kube import Kube

sys.path.insert(0, str(Path(__file__).parent))

LIMIT_SECONDS = 20
Running = Callable[..., AbstractAsyncContextManager[ControlPlane]]
Eventually = Callable[[Callable[[], object], str], Awaitable[None]]


@dataclass
class Api:
    """An API server that knows the mesh's kinds and has the demo's objects, but no node: no pod ever runs."""

    kube: Kube
    pki: Pki


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    pki = Pki.open(tmp_path / "pki")
    server = ApiServer(tmp_path, pki)
    await server.start()
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(pki.kubeconfig(server.url, "admin", ("system:masters",))))
    try:
        async with await Kube.connect(kubeconfig) as kube:
            for folder in ("crds", "control-plane", "demo"):
                for obj in manifests.read(folder):
                    for webhook in obj.get("webhooks", ()):
                        webhook["failurePolicy"] = "Ignore"  # without a node no Service leads anywhere
                    if obj["kind"] != "Deployment":
                        await kube.apply(obj)
            yield Api(kube, pki)
    finally:
        await server.stop()


@asynccontextmanager
async def _running(kube: Kube, me: str = "alone") -> AsyncIterator[ControlPlane]:
    """A control plane on free ports, ready."""
    plane = ControlPlane(kube, data_plane("envoy"), me, "127.0.0.1", Ports(0, 0, 0, 0, 0, 0))
    task = asyncio.create_task(plane.run())
    try:
        await _eventually(lambda: task.done() or all(plane.conditions().values()), "the control plane is ready")
        if task.done():
            task.result()
        yield plane
    finally:
        task.cancel()
        await asyncio.wait([task])


@pytest.fixture
async def plane(api: Api) -> AsyncIterator[ControlPlane]:
    async with _running(api.kube) as started:
        yield started


@pytest.fixture
def running() -> Running:
    """`async with running(kube, "its-pod") as plane`: one more control plane."""
    return _running


@pytest.fixture
def eventually() -> Eventually:
    """`await eventually(condition, "what is waited for")`."""
    return _eventually


async def _eventually(condition: Callable[[], object], what: str) -> None:
    """Wait until a condition holds."""
    try:
        async with asyncio.timeout(LIMIT_SECONDS):
            while not condition():  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(f"not within {LIMIT_SECONDS} s: {what}") from None
