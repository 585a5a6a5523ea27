"""What every data plane must do; `PLANES` lists them. The fake is one to read first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import grpc
import pytest
from envoy.service.accesslog.v3.als_pb2 import StreamAccessLogsMessage
from google.protobuf.struct_pb2 import Struct

from meshlab.dataplane import Credentials, DataPlane, Reporter, SidecarSettings, Sink, WorkloadAt
from meshlab.dataplane.envoy.plane import EnvoyDataPlane
from meshlab.dataplane.raw import Misfit, Overlaid
from meshlab.identity import CertificateAuthority, new_svid
from meshlab.kube import Object
from meshlab.mesh.exchange import Exchange
from meshlab.mesh.identity import Identity
from meshlab.mesh.overlay import Overlay, Patch
from meshlab.mesh.project import project
from meshlab.mesh.service import Workload
from meshlab.mesh.view import ProxyView
from meshlab.mesh.world import World
from meshlab.xds import Resource, Snapshot
from meshlab.xds.resource import type_url

STORE = Identity("bookstore", "bookstore")
POD = Workload("bookstore", "bookstore-1", STORE, address="10.0.0.2", meshed=True)
SETTINGS = SidecarSettings(image="meshlab:1", controller="10.96.0.5", ca_bundle="PEM", explicit=False)


class FakeRaw:
    """Its resources can be looked at, and no overlay fits."""

    def overlay(self, snapshot: Snapshot, overlays: Sequence[Overlay]) -> Overlaid:
        return Overlaid(snapshot, misfits=tuple(Misfit(item, "spec", "one sentence", "-") for item in overlays))

    async def examine(self, resources: Sequence[Resource]) -> str:
        return ""

    def plain(self, reason: str) -> str:
        return reason

    def kind(self, resource: Resource) -> str:
        return "sentence"

    def show(self, resource: Resource) -> dict[str, Any]:
        return {"name": resource.name}

    def blames_filter(self, exchange: Exchange) -> bool:
        return False


class Fake:
    """A proxy that is told one sentence, and reports nothing."""

    stages = ((type_url(Struct),),)
    secrets = type_url(Struct)
    raw = FakeRaw()

    def inject(self, pod: Object, settings: SidecarSettings) -> Object:
        containers = pod["spec"]["containers"]
        if any(container["name"] == "fake" for container in containers):
            return pod
        sidecar = {"name": "fake", "image": settings.image}
        return {**pod, "spec": {**pod["spec"], "containers": [*containers, sidecar]}}

    def compile(self, view: ProxyView, credentials: Credentials) -> Snapshot:
        sentence = Struct()
        sentence.update({"workload": view.workload.name, "calls": [str(item.upstream) for item in view.outbound]})
        return Snapshot.of(view.workload.identity.spiffe_id(view.trust_domain), [Resource.of("sentence", sentence)])

    def read(self, log: Any, reporter: Reporter, workload_at: WorkloadAt) -> Iterable[Exchange]:
        return ()

    def receivers(self, sink: Sink, workload_at: WorkloadAt) -> Sequence[grpc.GenericRpcHandler[Any, Any]]:
        return ()


PLANES: list[type[DataPlane]] = [EnvoyDataPlane, Fake]


@pytest.fixture(params=PLANES, ids=["envoy", "fake"])
def plane(request: pytest.FixtureRequest) -> DataPlane:
    return request.param()


def test_injecting_adds_a_container_once_and_leaves_the_pod_that_came_in(plane: DataPlane):
    pod = {"metadata": {}, "spec": {"containers": [{"name": "app", "image": "meshlab:1"}]}}
    once = plane.inject(pod, SETTINGS)
    assert len(pod["spec"]["containers"]) == 1
    assert len([*once["spec"].get("initContainers", ()), *once["spec"]["containers"]]) > 1
    assert plane.inject(once, SETTINGS) == once


async def test_a_snapshot_is_complete_for_its_owner_and_the_same_for_the_same_view(plane: DataPlane):
    ca = CertificateAuthority.create()
    credentials = Credentials(await new_svid(ca, STORE), await ca.bundle())
    view = project(World(workloads=(POD,)), POD)
    first, second = plane.compile(view, credentials), plane.compile(view, credentials)
    assert first.consistent() == []
    assert first.owner == STORE.spiffe_id()
    assert first.version == second.version


async def test_only_types_with_a_place_in_the_order_are_told(plane: DataPlane):
    ca = CertificateAuthority.create()
    credentials = Credentials(await new_svid(ca, STORE), await ca.bundle())
    snapshot = plane.compile(project(World(workloads=(POD,)), POD), credentials)
    assert set(snapshot.resources) <= {url for stage in plane.stages for url in stage}


async def test_an_overlay_fits_or_is_said_not_to(plane: DataPlane):
    ca = CertificateAuthority.create()
    credentials = Credentials(await new_svid(ca, STORE), await ca.bundle())
    snapshot = plane.compile(project(World(workloads=(POD,)), POD), credentials)
    overlay = Overlay("bookstore", "o", patches=(Patch("Cluster", "nothing-*", ('{"op": "remove", "path": "/x"}',)),))
    laid = plane.raw.overlay(snapshot, [overlay])
    assert laid.snapshot.version == snapshot.version
    assert [misfit.overlay for misfit in laid.misfits] == [overlay]


def test_an_empty_log_says_nothing(plane: DataPlane):
    assert list(plane.read(StreamAccessLogsMessage(), Reporter("a/b", None), lambda _: "")) == []
