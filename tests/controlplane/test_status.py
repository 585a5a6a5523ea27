"""The leader writes an object's status once, as a whole, and keeps trying while the API server is away."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest

from meshlab.controlplane import status
from meshlab.controlplane.status import StatusWriter
from meshlab.errors import ClusterError
from meshlab.kube.objects import UPSTREAM_TRAFFIC_SETTING
from meshlab.mesh.finding import Finding, Severity


class Cluster:
    """One object; patches land in it at once."""

    def __init__(self) -> None:
        self.objects = {
            ("web", "root"): {"kind": "UpstreamTrafficSetting", "metadata": {"name": "root", "namespace": "web"}}
        }
        self.away = False
        self.writes = 0

    def store(self, kind):
        return self.objects

    async def patch(self, kind, name, body, namespace, **how):
        if self.away:
            self.away = False
            raise ClusterError("ML191", "away")
        self.writes += 1
        self.objects[namespace, name]["status"] = body[0]["value"]


@asynccontextmanager
async def writing(cluster):
    writer = StatusWriter(cluster, cluster.store)
    task = asyncio.create_task(writer.run())
    yield writer
    task.cancel()


async def written(cluster, wanted):
    async with asyncio.timeout(5):
        while cluster.objects["web", "root"].get("status") != wanted:  # noqa: ASYNC110
            await asyncio.sleep(0)


async def test_a_status_is_written_only_where_it_differs():
    cluster = Cluster()
    async with writing(cluster) as writer:
        for state in ("a", "a", "b"):
            writer.want(UPSTREAM_TRAFFIC_SETTING, "web", "root", {"state": state})
            writer.want(UPSTREAM_TRAFFIC_SETTING, "web", "gone", {"state": state})
            await written(cluster, {"state": state})
    assert cluster.writes == 2


async def test_an_object_with_an_error_is_told_the_reason_and_others_that_they_hold():
    cluster = Cluster()
    error = Finding("ML311", "UpstreamTrafficSetting web/root", "spec.backends", "too much", "less")
    async with writing(cluster) as writer:
        writer.judge([error])
        await written(cluster, {"currentStatus": "error", "reason": "ML311 spec.backends: too much"})
        warning = Finding("ML255", "UpstreamTrafficSetting web/root", "", "not yet", "wait", Severity.WARNING)
        writer.judge([warning])
        await written(cluster, {"currentStatus": "committed", "reason": "it holds"})


async def test_a_status_that_can_not_be_written_is_tried_again(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(status, "_RETRY_SECONDS", 0)
    cluster = Cluster()
    cluster.away = True
    async with writing(cluster) as writer:
        writer.want(UPSTREAM_TRAFFIC_SETTING, "web", "root", {"state": "a"})
        await written(cluster, {"state": "a"})
