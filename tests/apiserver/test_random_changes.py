"""Ours and a real server, put through the same random applies, patches and updates: object and managers stay equal."""

from __future__ import annotations

import random
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from .conftest import APPLY, JSON, MERGE, STRATEGIC, Server, connected

Object = dict[str, Any]

STEPS = 40
OWN = ("uid", "resourceVersion", "creationTimestamp", "time", "clusterIP", "clusterIPs")


class Chance:
    """Random objects and random ways to write them."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def maybe(self, probability: float) -> bool:
        return self._random.random() < probability

    def some(self, letters: str) -> Object:
        return {key: self._random.choice("12") for key in self._random.sample(letters, self._random.randrange(4))}

    def deployment(self) -> Object:
        containers = [self._container(name) for name in self._random.sample("uvw", self._random.randrange(1, 4))]
        pod: Object = {"containers": containers}
        if self.maybe(0.3):
            pod["tolerations"] = [{"key": self._random.choice("ab"), "operator": "Exists"}]
        if self.maybe(0.3):
            pod["volumes"] = [{"name": "v", **self._random.choice([{"emptyDir": {}}, {"configMap": {"name": "x"}}])}]
        spec: Object = {
            "selector": {"matchLabels": {"app": "d"}},
            "template": {"metadata": {"labels": {"app": "d", **self.some("pqrs")}}, "spec": pod},
        }
        if self.maybe(0.5):
            spec["replicas"] = self._random.randrange(3)
        return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": self._metadata(), "spec": spec}

    def service(self) -> Object:
        ports = [
            {"port": number, "name": f"n{number}", **({"protocol": "UDP"} if self.maybe(0.3) else {})}
            for number in self._random.sample([80, 81, 82, 83], self._random.randrange(1, 4))
        ]
        spec: Object = {"ports": ports, "selector": self.some("pqrs")}
        if self.maybe(0.3):
            spec["sessionAffinity"] = self._random.choice(["ClientIP", "None"])
        return {"apiVersion": "v1", "kind": "Service", "metadata": self._metadata(), "spec": spec}

    def config_map(self) -> Object:
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": self._metadata(), "data": self.some("pqrs")}

    def _metadata(self) -> Object:
        metadata: Object = {"name": "o", "labels": self.some("pqrs")}
        if self.maybe(0.4):
            metadata["annotations"] = self.some("pqrs")
        return metadata

    def _container(self, name: str) -> Object:
        container: Object = {"name": name, "image": self._random.choice(["i:1", "i:2"])}
        if self.maybe(0.6):
            numbers = self._random.sample([80, 81, 82], self._random.randrange(3))
            container["ports"] = [{"containerPort": number} for number in numbers]
        if self.maybe(0.6):
            container["env"] = [{"name": key, "value": value} for key, value in self.some("ABCD").items()]
        if self.maybe(0.2):
            container["securityContext"] = self._random.choice([{"runAsUser": 1}, {"privileged": False}])
        return container

    def way(self, path: str, obj: Object) -> tuple[str, str, Any, str]:
        """A request that writes the object, or a part of it."""
        manager = self._random.choice(["m1", "m2", "m3"])
        force = "&force=true" if self.maybe(0.5) else ""
        part = {key: value for key, value in obj.items() if key not in ("kind", "apiVersion")}
        labels = [{"op": "add", "path": "/metadata/labels", "value": self.some("pqrs")}]
        return self._random.choice(
            [
                *[("PATCH", f"{path}/o?fieldManager={manager}{force}", obj, APPLY)] * 4,
                *[("PATCH", f"{path}/o?fieldManager={manager}", part, STRATEGIC)] * 2,
                ("PATCH", f"{path}/o?fieldManager={manager}", part, MERGE),
                ("PATCH", f"{path}/o?fieldManager={manager}", labels, JSON),
                ("PUT", f"{path}/o?fieldManager={manager}", obj, "application/json"),
            ]
        )


def comparable(value: Any) -> Any:
    """The value without what every server chooses for itself."""
    if isinstance(value, dict):
        kept = {key: comparable(item) for key, item in value.items() if key not in OWN and item is not None}
        if "managedFields" in kept:
            kept["managedFields"].sort(key=lambda row: (row["operation"], row["manager"]))
        return kept
    return [comparable(item) for item in value] if isinstance(value, list) else value


@pytest.fixture
async def both(oracle: Path, embedded: Path) -> AsyncIterator[tuple[Server, Server]]:
    async with AsyncExitStack() as stack:
        real = await stack.enter_async_context(connected("real", oracle))
        ours = await stack.enter_async_context(connected("embedded", embedded))
        yield real, ours


@pytest.mark.parametrize("kind", ["deployment", "service", "config_map"])
@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_random_changes_leave_both_servers_equal(both: tuple[Server, Server], kind: str, seed: int) -> None:
    namespace = f"t-{uuid.uuid4().hex[:10]}"
    group = "apis/apps/v1" if kind == "deployment" else "api/v1"
    path = f"/{group}/namespaces/{namespace}/{kind.replace('_', '')}s"
    for server in both:
        await server.made("/api/v1/namespaces", {"metadata": {"name": namespace}})
    chance = Chance(seed)
    for step in range(STEPS):
        method, where, body, media = chance.way(path, getattr(chance, kind)())
        real, ours = [await server.ask(method, where, body, media) for server in both]
        said = f"step {step}: {method} {where} {body}"
        assert ours.status == real.status, f"{said}: {real.body} but {ours.body}"
        if real.status < 400:
            assert comparable(ours.body) == comparable(real.body), said
    for server in both:
        await server.delete(f"/api/v1/namespaces/{namespace}")
