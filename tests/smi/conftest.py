"""Pods of a mesh whose every call a test can ask for, and the policies that it makes for them."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import aiohttp
import pytest
import pytest_asyncio

from meshlab.cluster.tunnel import Tunnels
from meshlab.controlplane.facts import is_ready
from meshlab.kube import ApiError, Kube, Object, load
from meshlab.kube.objects import EVENT, MESH_CONFIG, NAMESPACE, POD
from tests.story.conftest import Story

if TYPE_CHECKING:
    from tests.conftest import RunningLab

HERE = Path(__file__).parent
NAMESPACES = ("smi", "smi-far", "smi-outside")
LIMIT_SECONDS = 90
DRIVER = 9000

T = TypeVar("T")


@dataclass
class Smi:
    """The lab with these pods, in which nothing is allowed but what a test allows."""

    kube: Kube
    story: Story
    session: aiohttp.ClientSession
    drivers: dict[str, tuple[str, int]]
    _made: list[Object] = field(default_factory=list)

    async def apply(self, *policies: Object) -> None:
        """Apply policies in namespace smi, each until the proxies it concerns have it."""
        for policy in policies:
            self._made.append(policy)
            await self.story.apply(policy)

    async def remove(self, policy: Object) -> None:
        """Delete one of them, until the proxies have heard."""
        self._made.remove(policy)
        await self.story.delete(policy)

    async def forget(self) -> None:
        """Delete what the test made."""
        while self._made:
            await self.remove(self._made[-1])

    async def refused(self, policy: Object) -> str:
        """What the admission webhook says of a policy that it does not let in."""
        with pytest.raises(ApiError) as caught:
            await self.kube.apply(policy, manager="story", force=True, dry_run=True)
        return caught.value.message

    async def ask(
        self,
        caller: str,
        host: str = "prices",
        port: int = 7080,
        path: str = "/prices",
        *,
        method: str = "GET",
        headers: dict[str, str] | None = None,
        kind: str = "http",
    ) -> str:
        """What a pod gets when it makes one call: status and who answered, or an error's name."""
        (answer,) = await self._ask(
            caller,
            [{"host": host, "port": port, "path": path, "method": method, "headers": headers or {}, "kind": kind}],
        )
        return answer

    async def ask_often(self, caller: str, times: int, host: str = "prices", **more: Any) -> Counter[str]:
        """What it gets for many calls."""
        one = {"host": host, "port": 7080, "path": "/prices", "method": "GET", "headers": {}, "kind": "http", **more}
        return Counter(await self._ask(caller, [one] * times))

    async def _ask(self, caller: str, calls: list[dict[str, Any]]) -> list[str]:
        host, port = self.drivers[caller]
        async with self.session.post(f"http://{host}:{port}/", json=calls) as response:
            return list(await response.json(content_type=None))

    async def eventually(self, check: Callable[[], Awaitable[T]]) -> T:
        """The first true answer of a check."""
        async with asyncio.timeout(LIMIT_SECONDS):
            while not (answer := await check()):  # noqa: ASYNC110  # the other end is another process
                await asyncio.sleep(0.05)
        return answer

    async def event(self, name: str, reason: str, words: str) -> None:
        """An Event says this of an object in namespace smi."""
        fields = f"involvedObject.name={name},reason={reason}"

        async def said() -> bool:
            return any(words in event["message"] for event in await self.kube.list(EVENT, "smi", fields=fields))

        await self.eventually(said)

    async def egress(self, *, on: bool) -> None:
        """Let calls leave the mesh, or not."""
        body = {"spec": {"traffic": {"enableEgress": on}}}
        await self.story.told(await self.kube.patch(MESH_CONFIG, "meshlab-mesh-config", body, "meshlab-system"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start no lab for tests that could not run on it."""
    skip = pytest.mark.skip(reason="pods that share the machine's addresses speak no TCP through the mesh")
    for item in items:
        if item.path.parent == HERE and "embedded-loopback" in item.name:
            item.add_marker(skip)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def pods(demo: RunningLab) -> AsyncIterator[Smi]:
    """The pods of ``pods.yaml``, ready."""
    program = json.dumps((HERE / "pod.py").read_text())
    text = (HERE / "pods.yaml").read_text().replace("meshlab:latest", demo.image).replace("PROGRAM", program)
    tunnels = Tunnels(lambda: demo.kubeconfig)
    async with await demo.kube() as kube, aiohttp.ClientSession() as session:
        try:
            for obj in load(text):
                await kube.apply(obj, manager="smi", force=True)
            callers = {"till": "smi", "auditor": "smi-far", "stranger": "smi-outside"}
            for name, namespace in {**callers, "v1": "smi", "v2": "smi"}.items():
                await _is_ready(kube, name, namespace)
            drivers = {name: await tunnels.open(space, f"pod/{name}", DRIVER) for name, space in callers.items()}
            yield Smi(kube, Story(kube), session, drivers)
        finally:
            await tunnels.close()
            for name in NAMESPACES:
                await kube.delete(NAMESPACE, name)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def strict(pods: Smi) -> AsyncIterator[Smi]:
    """The pods, while nothing is allowed that no policy allows. Whoever has the lab next finds it permissive."""
    await pods.story.mode(permissive=False)
    yield pods
    await pods.story.mode(permissive=True)


@pytest_asyncio.fixture(loop_scope="session")
async def smi(strict: Smi) -> AsyncIterator[Smi]:
    """The pods, without any policy, and again afterwards."""
    yield strict
    await strict.forget()


async def _is_ready(kube: Kube, name: str, namespace: str) -> None:
    async with asyncio.timeout(LIMIT_SECONDS):
        while not is_ready(await kube.get(POD, name, namespace)):  # noqa: ASYNC110  # the other end is another process
            await asyncio.sleep(0.1)
