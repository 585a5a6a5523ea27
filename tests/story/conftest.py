"""The bookstore, as a person at a terminal sees it: change a policy, then count what the apps themselves count."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest

from meshlab import manifests
from meshlab.cluster.tunnel import Tunnels
from meshlab.kube import Kube, Object
from meshlab.kube.objects import DEPLOYMENT, MESH_CONFIG, POD, TRAFFIC_SPLIT, TRAFFIC_TARGET

if TYPE_CHECKING:
    from tests.conftest import RunningLab

LIMIT_SECONDS = 90
OBSERVE = "/apis/observe.meshlab.dev/v1alpha1"


@dataclass(frozen=True)
class Count:
    """What one client counted over a stretch of real calls: by status, and by the store that answered."""

    statuses: dict[str, int]
    answers: dict[str, int]
    books: int

    @property
    def calls(self) -> int:
        return sum(self.statuses.values())


@dataclass
class Story:
    """The demo, with the verbs of the story."""

    kube: Kube
    tunnels: Tunnels | None = None
    """Where this machine does not see the addresses of pods and Services."""
    _pods: dict[str, tuple[str, int]] = field(default_factory=dict)

    async def mode(self, *, permissive: bool) -> None:
        body = {"spec": {"traffic": {"enablePermissiveTrafficPolicyMode": permissive}}}
        await self.told(await self.kube.patch(MESH_CONFIG, "meshlab-mesh-config", body, "meshlab-system"))

    async def policies(self) -> None:
        for obj in manifests.read("demo/policies"):
            await self.apply(obj)

    async def no_policies(self) -> None:
        for obj in manifests.read("demo/policies"):
            await self.delete(obj)

    async def sources(self, *names: str) -> None:
        """Who may call the bookstore."""
        accounts = [{"kind": "ServiceAccount", "name": name, "namespace": name} for name in names]
        patch = {"spec": {"sources": accounts}}
        await self.told(await self.kube.patch(TRAFFIC_TARGET, "bookstore", patch, "bookstore"))

    async def split(self, v1: int, v2: int) -> None:
        backends = [{"service": "bookstore-v1", "weight": v1}, {"service": "bookstore-v2", "weight": v2}]
        await self.apply(
            {
                "apiVersion": TRAFFIC_SPLIT.api_version,
                "kind": TRAFFIC_SPLIT.kind,
                "metadata": {"name": "bookstore", "namespace": "bookstore"},
                "spec": {"service": "bookstore", "backends": backends},
            }
        )

    async def no_split(self) -> None:
        split = await self.kube.find(TRAFFIC_SPLIT, "bookstore", "bookstore")
        if split:
            await self.delete(split)

    async def apply(self, obj: Object) -> None:
        """Apply, and wait until every proxy it concerns has acknowledged."""
        await self.told(await self.kube.apply(obj, manager="story", force=True))

    async def delete(self, obj: Object) -> None:
        kind, metadata = await self.kube.kind_of(obj), obj["metadata"]
        if await self.kube.find(kind, metadata["name"], metadata["namespace"]) is None:
            return
        await self.kube.delete(kind, metadata["name"], metadata["namespace"])
        self._require(await self._receipt(obj, deleted="true"))

    async def told(self, obj: Object) -> None:
        """Wait until every proxy that a change concerns has acknowledged it."""
        self._require(await self._receipt(obj, resourceVersion=obj["metadata"]["resourceVersion"]))

    async def _receipt(self, obj: Object, **more: str) -> dict[str, Any]:
        metadata = obj["metadata"]
        about = {"kind": obj["kind"], "namespace": metadata["namespace"], "name": metadata["name"], "wait": 20}
        return dict(await self.kube.request("GET", f"{OBSERVE}/receipts?{urlencode({**about, **more})}"))

    @staticmethod
    def _require(receipt: dict[str, Any]) -> None:
        assert receipt["complete"], receipt
        assert all(answer["acknowledged"] for answer in receipt["proxies"]), receipt

    async def observed(self, path: str) -> dict[str, Any]:
        return dict(await self.kube.request("GET", f"{OBSERVE}/{path}"))

    async def scale(self, deployment: str, replicas: int) -> None:
        namespace = deployment.partition("-")[0]
        await self.kube.patch(DEPLOYMENT, deployment, {"spec": {"replicas": replicas}}, namespace)
        await self.rolled_out(deployment, replicas)

    async def rolled_out(self, deployment: str, replicas: int = 1) -> None:
        """Exactly so many pods, of the newest template, all ready; and no older one left."""
        namespace = deployment.partition("-")[0]

        async def done() -> bool:
            obj = await self.kube.get(DEPLOYMENT, deployment, namespace)
            status = obj.get("status") or {}
            newest = status.get("observedGeneration") == obj["metadata"]["generation"]
            counts = [status.get(key, 0) for key in ("replicas", "updatedReplicas", "readyReplicas")]
            pods = [pod for pod in await self.kube.list(POD, namespace) if _is_of(pod, deployment)]
            return newest and counts == [replicas] * 3 and len(pods) == replicas

        await self.until(done, f"{deployment} has {replicas} pods")
        self._pods.clear()

    async def until(self, condition: Callable[[], Awaitable[bool]], what: str) -> None:
        deadline = time.monotonic() + LIMIT_SECONDS
        while not await condition():
            assert time.monotonic() < deadline, f"not within {LIMIT_SECONDS} s: {what}"
            await asyncio.sleep(0.05)

    async def pod(self, deployment: str) -> Object:
        namespace = deployment.partition("-")[0]
        pods = [pod for pod in await self.kube.list(POD, namespace) if _is_of(pod, deployment)]
        assert len(pods) == 1, [pod["metadata"]["name"] for pod in pods]
        return pods[0]

    async def page(self, deployment: str, path: str) -> str:
        """An app's own page, read where it listens: the counting is the app's, not the mesh's."""
        if deployment not in self._pods:
            self._pods[deployment] = await self.address(await self.pod(deployment), 14001)
        host, port = self._pods[deployment]
        return await asyncio.to_thread(_get, f"http://{host}:{port}{path}")

    async def address(self, obj: Object, port: int) -> tuple[str, int]:
        """Where this machine reaches a port of a pod or Service."""
        if self.tunnels:
            metadata = obj["metadata"]
            return await self.tunnels.open(metadata["namespace"], f"{obj['kind'].lower()}/{metadata['name']}", port)
        return obj["spec"]["clusterIP"] if obj["kind"] == "Service" else obj["status"]["podIP"], port

    async def raw(self, deployment: str) -> dict[str, Any]:
        return dict(json.loads(await self.page(deployment, "/raw")))

    async def count(self, client: str, calls: int) -> Count:
        """What a client counts over its next `calls` calls, and not one before: the call under way is let pass."""
        await self._calls_more(client, 2)
        await self.page(client, "/reset")
        await self._calls_more(client, calls, since=0)
        raw = await self.raw(client)
        return Count(raw["statuses"], raw["answers"], raw["books"])

    async def sold(self, store: str, while_: Awaitable[Count]) -> tuple[int, Count]:
        """How many requests reach a store while a client is counted."""
        before = await self.raw(store)
        count = await while_
        after = await self.raw(store)
        return after["books"] + after["asked"] - before["books"] - before["asked"], count

    async def _calls_more(self, client: str, more: int, since: int | None = None) -> None:
        start = (await self.raw(client))["calls"] if since is None else since

        async def reached() -> bool:
            return bool((await self.raw(client))["calls"] >= start + more)

        await self.until(reached, f"{client} makes {more} calls")


@pytest.fixture(scope="module")
def busy(demo: RunningLab) -> Iterator[None]:
    """The clients call often while the story is told, so that counting is soon done."""

    def rate(rounds_per_second: str) -> None:
        for client in ("bookbuyer", "bookthief"):
            demo.kubectl("set", "env", f"deployment/{client}", "-n", client, f"REQUESTS_PER_SECOND={rounds_per_second}")

    rate("40")
    yield
    rate("5")


@pytest.fixture
async def story(demo: RunningLab, busy: None) -> AsyncIterator[Story]:
    """The demo in its first state: permissive, no policies, no split, both versions, a busy buyer."""
    async with await demo.kube() as kube:
        told = Story(kube, Tunnels(lambda: demo.kubeconfig) if demo.network != "loopback" else None)
        await told.mode(permissive=True)
        await told.no_policies()
        await told.no_split()
        for deployment in ("bookbuyer", "bookthief", "bookstore-v1", "bookstore-v2"):
            await told.rolled_out(deployment)
        yield told
        if told.tunnels:
            await told.tunnels.close()


@pytest.fixture
async def calm(demo: RunningLab) -> AsyncIterator[Story]:
    """The demo in permissive mode, for what needs neither busy clients nor their counts."""
    async with await demo.kube() as kube:
        told = Story(kube)
        await told.mode(permissive=True)
        yield told


def _is_of(pod: Object, deployment: str) -> bool:
    return bool(pod["metadata"]["name"].startswith(f"{deployment}-"))


def _get(url: str) -> str:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=10) as response:
        return str(response.read().decode())
