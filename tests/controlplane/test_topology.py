"""Pods and Services are read anew only where they changed, and one that can't be read takes none with it."""

from __future__ import annotations

import sys
from copy import deepcopy
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))

from fleet.mesh import SERVICES, mesh

from meshlab.controlplane.topology import Topology
from meshlab.kube import Kind, Object
from meshlab.kube.objects import ENDPOINT_SLICE, POD, SERVICE

COUNT = 100


@pytest.fixture
def stores() -> dict[str, dict[tuple[str, str], Object]]:
    stores: dict[str, dict[tuple[str, str], Object]] = {}
    for obj in mesh(COUNT):
        metadata = obj["metadata"]
        stores.setdefault(obj["kind"], {})[metadata.get("namespace", ""), metadata["name"]] = obj
    return stores


@pytest.fixture
def topology(stores: dict[str, dict[tuple[str, str], Object]]) -> Topology:
    def store(kind: Kind) -> dict[tuple[str, str], Object]:
        return stores.setdefault(kind.kind, {})

    topology = Topology(store)
    topology.read()
    return topology


def test_nothing_changed_is_the_same_tuples(topology: Topology) -> None:
    workloads, services = topology.workloads, topology.services
    assert (len(workloads), len(services)) == (COUNT, SERVICES)
    topology.read()
    assert topology.workloads is workloads
    assert topology.services is services


def test_a_pod_that_changes_changes_itself_and_the_services_that_lead_to_it(
    topology: Topology, stores: dict[str, dict[tuple[str, str], Object]]
) -> None:
    workloads, services = topology.workloads, topology.services
    pods = stores[POD.kind]
    changed = pods["shop-3", "pod-3"] = deepcopy(pods["shop-3", "pod-3"])
    del changed["metadata"]["labels"]["osm-proxy-uuid"]
    topology.read()
    assert sum(old is not new for old, new in zip(workloads, topology.workloads, strict=True)) == 1
    differing = [new for old, new in zip(services, topology.services, strict=True) if old is not new]
    assert [service.name.name for service in differing] == ["service-3"]
    assert {endpoint.meshed for endpoint in differing[0].ports[0].endpoints} == {True, False}


def test_a_pod_that_comes_after_its_endpoints_is_known_by_them_then(
    topology: Topology, stores: dict[str, dict[tuple[str, str], Object]]
) -> None:
    pod = stores[POD.kind].pop(("shop-3", "pod-3"))
    topology.read()
    unknown = next(service for service in topology.services if service.name.name == "service-3")
    assert not all(endpoint.meshed for endpoint in unknown.ports[0].endpoints)
    stores[POD.kind]["shop-3", "pod-3"] = pod
    topology.read()
    known = next(service for service in topology.services if service.name.name == "service-3")
    assert all(endpoint.meshed for endpoint in known.ports[0].endpoints)


def test_a_status_that_says_nothing_new_is_no_change(
    topology: Topology, stores: dict[str, dict[tuple[str, str], Object]]
) -> None:
    workloads = topology.workloads
    pods = stores[POD.kind]
    pods["shop-3", "pod-3"] = deepcopy(pods["shop-3", "pod-3"]) | {"extra": 1}
    topology.read()
    assert topology.workloads is workloads


@pytest.mark.parametrize("kind", [SERVICE, ENDPOINT_SLICE])
def test_what_can_not_be_read_takes_nothing_from_the_others(
    topology: Topology, stores: dict[str, dict[tuple[str, str], Object]], kind: Kind
) -> None:
    key = next(key for key in stores[kind.kind] if "service-3" in (key[1], key[1].removesuffix("-abc")))
    broken = stores[kind.kind][key] = deepcopy(stores[kind.kind][key])
    broken["spec" if kind is SERVICE else "endpoints"] = 7
    topology.read()
    assert len(topology.services) == SERVICES - 1
