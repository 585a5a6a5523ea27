"""Kubernetes objects are read into the mesh's words, and one that can't be read takes nothing else away."""

from __future__ import annotations

from typing import Any

import pytest

from meshlab.controlplane import facts
from meshlab.controlplane.directory import WorldDirectory
from meshlab.controlplane.world import WorldReader
from meshlab.kube import Kind, Object
from meshlab.kube.objects import ENDPOINT_SLICE, NAMESPACE, POD, SERVICE
from meshlab.mesh.finding import Finding
from meshlab.mesh.identity import Identity
from meshlab.mesh.rules import Permission
from meshlab.mesh.service import Protocol
from meshlab.policy.base import Facts


def pod(name: str = "bookstore-v1-7d9f-abcde", **changes: Any) -> Object:
    metadata = {
        "namespace": "bookstore",
        "name": name,
        "uid": "u-1",
        "resourceVersion": "1",
        "labels": {"app": "bookstore", "version": "v1", "pod-template-hash": "7d9f", "osm-proxy-uuid": "p-1"},
        "annotations": {"meshlab.dev/interception": "explicit"},
        "ownerReferences": [{"controller": True, "kind": "ReplicaSet", "name": "bookstore-v1-7d9f"}],
    }
    spec = {
        "serviceAccountName": "bookstore",
        "containers": [
            {"name": "bookstore", "ports": [{"containerPort": 14001}, {"containerPort": 53, "protocol": "UDP"}]},
            {"name": "envoy", "ports": [{"containerPort": 15003}]},
        ],
    }
    return {"metadata": {**metadata, **changes}, "spec": spec, "status": {"phase": "Running", "podIP": "127.64.0.7"}}


def service(name: str = "bookstore", **spec: Any) -> Object:
    ports = [{"name": "http", "port": 80, "targetPort": "http"}]
    return {
        "metadata": {"namespace": "bookstore", "name": name, "resourceVersion": "1"},
        "spec": {"clusterIPs": ["127.64.128.9"], "ports": ports, **spec},
    }


def endpoint_slice(*, service: str = "bookstore", ready: bool | None = True) -> Object:
    return {
        "metadata": {
            "namespace": "bookstore",
            "name": f"{service}-x",
            "resourceVersion": "1",
            "labels": {"kubernetes.io/service-name": service},
        },
        "ports": [{"name": "http", "port": 14001}],
        "endpoints": [
            {
                "addresses": ["127.64.0.7"],
                "conditions": {} if ready is None else {"ready": ready},
                "targetRef": {"kind": "Pod", "name": "bookstore-v1-7d9f-abcde"},
            }
        ],
    }


def namespace(name: str = "bookstore", **labels: str) -> Object:
    joined = {"openservicemesh.io/monitored-by": "meshlab", **labels}
    return {"metadata": {"name": name, "labels": joined, "resourceVersion": "1"}}


def test_a_pod_is_its_account_its_address_and_what_runs_it() -> None:
    read = facts.workload(pod())
    assert read.identity == Identity("bookstore", "bookstore")
    assert read.owner == ("Deployment", "bookstore-v1")
    assert read.address == "127.64.0.7"
    assert read.ports == (14001,)
    assert read.meshed
    assert read.explicit_proxy


def test_a_pod_without_a_sidecar_or_an_owner_stands_for_itself() -> None:
    read = facts.workload(pod(labels={}, annotations=None, ownerReferences=None))
    assert (read.meshed, read.explicit_proxy) == (False, False)
    assert read.owner == ("Pod", "bookstore-v1-7d9f-abcde")


def test_a_service_has_the_ready_endpoints_of_its_slices_by_port_name() -> None:
    workloads = {"bookstore/bookstore-v1-7d9f-abcde": facts.workload(pod())}
    (port,) = facts.service(service(), [endpoint_slice()], workloads).ports
    (endpoint,) = port.endpoints
    assert (port.number, port.protocol, endpoint.port, endpoint.meshed) == (80, Protocol.HTTP, 14001, True)
    assert endpoint.identity == Identity("bookstore", "bookstore")


@pytest.mark.parametrize(("ready", "count"), [(True, 1), (None, 1), (False, 0)])
def test_an_endpoint_counts_unless_it_says_it_is_not_ready(ready: bool | None, count: int) -> None:
    (port,) = facts.service(service(), [endpoint_slice(ready=ready)], {}).ports
    assert len(port.endpoints) == count


def test_an_address_without_a_pod_has_no_identity() -> None:
    piece = endpoint_slice()
    del piece["endpoints"][0]["targetRef"]
    (port,) = facts.service(service(), [piece], {}).ports
    assert port.endpoints[0].identity is None
    assert not port.endpoints[0].meshed


@pytest.mark.parametrize(
    ("port", "protocol"),
    [
        ({"port": 1}, Protocol.HTTP),
        ({"port": 1, "appProtocol": "tcp"}, Protocol.TCP),
        ({"port": 1, "appProtocol": "kubernetes.io/h2c"}, Protocol.GRPC),
        ({"port": 1, "appProtocol": "tcp-server-first"}, Protocol.TCP_SERVER_FIRST),
        ({"port": 1, "name": "tcp-mysql"}, Protocol.TCP),
        ({"port": 1, "name": "web"}, Protocol.HTTP),
        ({"port": 1, "name": "tcp-web", "appProtocol": "http"}, Protocol.HTTP),
    ],
)
def test_a_port_carries_what_it_says_and_http_when_it_says_nothing(port: dict[str, Any], protocol: Protocol) -> None:
    assert facts.service(service(ports=[port]), [], {}).ports[0].protocol is protocol


def test_udp_ports_and_headless_addresses_are_left_out() -> None:
    read = facts.service(service(clusterIPs=["None"], ports=[{"port": 53, "protocol": "UDP"}]), [], {})
    assert (read.cluster_ips, read.ports) == ((), ())


class Language:
    """A policy language that says one thing, until it is told to fail."""

    kinds: tuple[Kind, ...] = ()
    refers_to: tuple[Kind, ...] = ()
    fails = False

    def crds(self) -> list[Object]:
        return []

    def read(self, objects: Any) -> Facts:
        if self.fails:
            raise RuntimeError("no idea")
        return Facts(permissions=(Permission("a/b", Identity("a", "b"), frozenset()),))

    def validate(self, obj: Object, others: Any) -> list[Finding]:
        return []


class Cluster:
    """Stores by kind, as a Reader has them."""

    def __init__(self, *objects: tuple[Kind, Object]) -> None:
        self.stores: dict[Kind, dict[tuple[str, str], Object]] = {}
        for kind, obj in objects:
            self.put(kind, obj)

    def put(self, kind: Kind, obj: Object) -> None:
        key = obj["metadata"].get("namespace", ""), obj["metadata"]["name"]
        self.stores.setdefault(kind, {})[key] = obj

    def __call__(self, kind: Kind) -> dict[tuple[str, str], Object]:
        return self.stores.get(kind, {})


@pytest.fixture
def cluster() -> Cluster:
    return Cluster((NAMESPACE, namespace()), (SERVICE, service()), (POD, pod()), (ENDPOINT_SLICE, endpoint_slice()))


def read_all(reader: WorldReader) -> Any:
    return reader.read({kind.kind for kind in (NAMESPACE, SERVICE, ENDPOINT_SLICE, POD)})


def test_services_outside_the_mesh_are_not_the_meshs(cluster: Cluster) -> None:
    foreign = service("kubernetes")
    foreign["metadata"]["namespace"] = "default"
    cluster.put(SERVICE, foreign)
    cluster.put(NAMESPACE, {"metadata": {"name": "default", "resourceVersion": "1"}})
    world = read_all(WorldReader(cluster, [], "cluster.local")).world
    assert [str(item.name) for item in world.services] == ["bookstore/bookstore"]


def test_pods_that_are_over_are_no_workloads(cluster: Cluster) -> None:
    done = pod("done")
    done["status"]["phase"] = "Succeeded"
    cluster.put(POD, done)
    assert len(read_all(WorldReader(cluster, [], "cluster.local")).world.workloads) == 1


def test_an_object_that_cannot_be_read_is_left_out(cluster: Cluster, caplog: pytest.LogCaptureFixture) -> None:
    broken = service("broken", ports=[{"port": 1, "appProtocol": 7}])
    cluster.put(SERVICE, broken)
    world = read_all(WorldReader(cluster, [], "cluster.local")).world
    assert [str(item.name) for item in world.services] == ["bookstore/bookstore"]
    assert "bookstore/broken left out" in caplog.text


def test_a_language_that_fails_keeps_what_it_said(cluster: Cluster) -> None:
    language = Language()
    reader = WorldReader(cluster, [language], "cluster.local")
    before = reader.read({"Service"}).world.permissions
    language.fails = True
    assert reader.read({"Service"}).world.permissions == before != ()


def test_what_has_not_changed_stays_the_same_object(cluster: Cluster) -> None:
    reader = WorldReader(cluster, [], "cluster.local")
    before = read_all(reader).world
    cluster.put(POD, pod(resourceVersion="2"))
    after = read_all(reader).world
    assert after.workloads[0] is before.workloads[0]
    assert after.services[0] is before.services[0]


@pytest.mark.parametrize(
    ("authority", "caller", "root"),
    [
        ("bookstore.bookstore:80", "bookbuyer", "bookstore/bookstore|80"),
        ("bookstore.bookstore.svc.cluster.local", "bookbuyer", "bookstore/bookstore|80"),
        ("bookstore:80", "bookstore", "bookstore/bookstore|80"),
        ("bookstore:80", "bookbuyer", "bookstore/leaf|80"),
        ("127.64.128.9:80", "bookbuyer", "bookstore/bookstore|80"),
        ("elsewhere.example", "bookbuyer", "bookstore/leaf|80"),
    ],
)
def test_the_authority_tells_which_service_was_asked_for(
    cluster: Cluster, authority: str, caller: str, root: str
) -> None:
    directory = WorldDirectory(read_all(WorldReader(cluster, [], "cluster.local")).world)
    assert directory.root(authority, caller, "bookstore/leaf|80") == root


def test_addresses_lead_to_pods(cluster: Cluster) -> None:
    directory = WorldDirectory(read_all(WorldReader(cluster, [], "cluster.local")).world)
    assert directory.workload_at("127.64.0.7") == "bookstore/bookstore-v1-7d9f-abcde"
    assert directory.workload_at("127.64.0.8") == ""
