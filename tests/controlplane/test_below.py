"""Overlays from the API server to what proxies are meant to know, and what the API says about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from envoy.config.cluster.v3.cluster_pb2 import Cluster

from meshlab.controlplane.plane import ControlPlane
from meshlab.dataplane.envoy import names
from meshlab.injector.decision import PROXY_UUID
from meshlab.kube import Object
from meshlab.kube.objects import CONFIG_MAP, POD, PROXY_OVERLAY
from meshlab.lab.xds import xds
from meshlab.policy.overlay import CODE_LABEL

from .test_plane import observe

if TYPE_CHECKING:
    from tests.controlplane.conftest import Api, Eventually, Running

NODE, CLUSTER = "store-1.bookstore", "bookstore/bookstore|14001"


def overlay(name: str, *operations: dict[str, Any], **spec: Any) -> Object:
    patches = [{"kind": "Cluster", "name": CLUSTER, "operations": list(operations)}] if operations else []
    return {
        "apiVersion": PROXY_OVERLAY.api_version,
        "kind": PROXY_OVERLAY.kind,
        "metadata": {"name": name, "namespace": "bookstore"},
        "spec": {"patches": patches, **spec},
    }


def timeout(seconds: int) -> dict[str, Any]:
    return {"op": "replace", "path": "/connect_timeout", "value": f"{seconds}s"}


def seconds(plane: ControlPlane) -> int:
    """The connect timeout that the proxy is meant to have."""
    snapshot, cluster = plane.ads.snapshot(NODE), Cluster()
    found = snapshot and snapshot.get(names.CLUSTER, CLUSTER)
    if not found:
        return 0
    found.message().Unpack(cluster)
    return int(cluster.connect_timeout.seconds)


@pytest.fixture
async def store(api: Api) -> None:
    """A pod with a sidecar, that nobody runs."""
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "store-1", "namespace": "bookstore", "labels": {PROXY_UUID: "1", "app": "bookstore"}},
        "spec": {"serviceAccountName": "bookstore", "containers": [{"name": "app", "image": "meshlab:latest"}]},
    }
    await api.kube.create(pod)
    await api.kube.patch(POD, "store-1", {"status": {"podIP": "127.77.0.2"}}, "bookstore", subresource="status")


async def test_a_control_plane_that_starts_tells_nothing_before_overlays_are_tried(
    api: Api, store: None, running: Running, eventually: Eventually
) -> None:
    await api.kube.create(overlay("slow", timeout(9)))
    told: list[int] = []
    async with running(api.kube) as plane:
        told = [entry.generation for entry in plane._below._pusher.history.of(NODE)]
        assert seconds(plane) == 9
        assert told == [1]
        await api.kube.delete(PROXY_OVERLAY, "slow", "bookstore")
        await eventually(lambda: seconds(plane) == 5, "the overlay is gone")


async def test_code_that_comes_later_and_a_wrong_patch_are_told_in_the_status(
    api: Api, store: None, plane: ControlPlane, eventually: Eventually
) -> None:
    async def state(name: str) -> dict[str, Any]:
        return dict((await api.kube.get(PROXY_OVERLAY, name, "bookstore")).get("status") or {})

    lua = {"name": "hello", "direction": "outbound", "lua": {"configMap": "code", "key": "hello.lua"}}
    await api.kube.create(overlay("hello", filters=[lua]))
    await api.kube.create(overlay("wrong", {"op": "remove", "path": "/nothing"}))
    objects = plane.reader.store(PROXY_OVERLAY)

    def says(name: str, word: str) -> bool:
        return word in (objects.get(("bookstore", name), {}).get("status") or {}).get("reason", "")

    await eventually(
        lambda: says("wrong", "ML601 spec.patches[0].operations[0]: remove /nothing"), "the patch is wrong"
    )
    await eventually(lambda: says("hello", "ML602"), "the code is missing")
    assert (await state("hello"))["state"] == "Pending"
    code = {"apiVersion": "v1", "kind": CONFIG_MAP.kind, "data": {"hello.lua": "function envoy_on_request(handle) end"}}
    metadata = {"name": "code", "namespace": "bookstore", "labels": {CODE_LABEL: "true"}}
    await api.kube.create({**code, "metadata": metadata})
    await eventually(lambda: says("hello", "0 of 1 proxies have it"), "it waits for the proxy, which nobody runs")
    listener = plane.ads.snapshot(NODE).get(names.LISTENER, names.OUTBOUND_LISTENER)  # type: ignore[union-attr]
    assert b"bookstore/hello/hello" in listener.body  # type: ignore[union-attr]


async def test_the_api_shows_what_a_proxy_is_told_and_why(
    api: Api, store: None, plane: ControlPlane, eventually: Eventually
) -> None:
    await api.kube.create(overlay("slow", timeout(9)))
    await eventually(lambda: seconds(plane) == 9, "the overlay is in force")

    class Asked:
        """The control plane's API as the API server would pass it on."""

        async def request(self, _method: str, path: str, query: dict[str, Any] | None = None) -> Any:
            asked = "&".join(f"{key}={value}" for key, value in (query or {}).items())
            return await observe(api, plane, f"/{path.rpartition('/')[2]}?{asked}")

    shown = await xds(Asked(), "bookstore/store-1")  # type: ignore[arg-type]
    assert shown[CLUSTER]["connect_timeout"] == "9s"
    ((name, change),) = shown.overlays
    assert name == "bookstore/slow"
    assert list(change.lines())[-3:] != []
    assert shown.told[-1].because == ("ProxyOverlay bookstore/slow",)
    assert [item.name for item in shown.told[-1].changes] == [CLUSTER]
    assert shown.resources["Secret"]["svid"]["tls_certificate"]["private_key"] == "(not shown)"
    assert "not acknowledged" in str(shown)
    assert "connect_timeout" in shown._repr_html_()
