"""Services that proxies call are found by their address, an UpstreamTrafficSetting is told whether it holds, and a
limit on proxies that is too low is told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.controlplane.helpers import reachable, too_many_proxies
from meshlab.controlplane.plane import ControlPlane
from meshlab.kube import load
from meshlab.kube.objects import UPSTREAM_TRAFFIC_SETTING
from meshlab.mesh.identity import Identity
from meshlab.mesh.proxy_settings import Collector, ExternalAuthorization, ProxySettings
from meshlab.mesh.service import Workload
from meshlab.mesh.settings import Settings
from meshlab.mesh.world import World

if TYPE_CHECKING:
    from tests.controlplane.conftest import Api, Eventually

SERVICES = {
    ("opa", "opa"): {"spec": {"clusterIP": "10.0.0.9"}},
    ("tracing", "jaeger"): {"spec": {"clusterIP": "None"}},
}


def test_a_service_that_proxies_call_is_known_by_its_address():
    asked = ExternalAuthorization("opa.opa.svc.cluster.local", 9191)
    found = reachable(ProxySettings(authorization=asked, tracing=Collector("jaeger.tracing")), SERVICES)
    assert found.authorization == ExternalAuthorization("10.0.0.9", 9191)
    assert found.tracing == Collector("jaeger.tracing")


def test_any_other_host_stays_as_it_is_written():
    elsewhere = ProxySettings(tracing=Collector("opa.example.org"))
    assert reachable(elsewhere, SERVICES) == elsewhere
    assert reachable(ProxySettings(), SERVICES) == ProxySettings()


def test_a_limit_below_the_number_of_proxies_is_told():
    pods = tuple(Workload("shop", f"till-{n}", Identity("shop", "till"), meshed=n < 2) for n in range(3))
    world = World(workloads=pods)
    assert [finding.code for finding in too_many_proxies(Settings(most_proxies=1), world)] == ["ML318"]
    assert list(too_many_proxies(Settings(most_proxies=2), world)) == []
    assert list(too_many_proxies(Settings(), world)) == []


async def test_a_setting_is_told_whether_it_holds(api: Api, plane: ControlPlane, eventually: Eventually):
    manifest = """
apiVersion: policy.openservicemesh.io/v1alpha1
kind: UpstreamTrafficSetting
metadata: {name: NAME, namespace: bookstore}
spec: {host: bookstore, rateLimit: {local: {http: {requests: 3, unit: minute}}}}
"""
    for name in ("first", "second"):
        for obj in load(manifest.replace("NAME", name)):
            await api.kube.apply(obj)
        store = plane.reader.store(UPSTREAM_TRAFFIC_SETTING)
        await eventually(lambda: "status" in store.get(("bookstore", name), {}), f"{name} has a status")  # noqa: B023
    told = {name: obj["status"] for (_, name), obj in store.items()}
    assert told["first"] == {"currentStatus": "committed", "reason": "it holds"}
    assert told["second"]["currentStatus"] == "error"
    assert told["second"]["reason"].startswith("ML310 spec.host: UpstreamTrafficSetting bookstore/first already")
