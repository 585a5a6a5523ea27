"""Is the chain from one workload to a Service whole, and which link is broken?"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace

import pytest

from meshlab.kube import Object
from meshlab.lab.reading import Known, know
from meshlab.lab.seen import Seen
from meshlab.lab.verify import verify

Shop = Callable[..., Known]
NOW = 1_800_000_000.0
PROXY = {
    "identity": "spiffe://cluster.local/ns/x/sa/x",
    "certificate": {"not_after": NOW + 3600},
    "connected": True,
    "refused": None,
    "generation": 3,
    "settled": 3,
    "milliseconds": 4.0,
}
RUNNING = {"containerStatuses": [{"name": "envoy", "state": {"running": {}}}]}
CONTROLLER = {
    "metadata": {"generation": 1},
    "spec": {"replicas": 1},
    "status": {
        "observedGeneration": 1,
        "replicas": 1,
        "updatedReplicas": 1,
        "readyReplicas": 1,
        "availableReplicas": 1,
    },
}
MESH = {"connected": 6, "proxies": 6}


@pytest.fixture
def seen(shop: Shop) -> Seen:
    """Everything is well."""
    objects = deepcopy(list(shop().objects))
    for obj in objects:
        if obj["kind"] == "Pod":
            obj["status"] |= RUNNING
    pods = {f"{obj['metadata']['namespace']}/{obj['metadata']['name']}" for obj in objects if obj["kind"] == "Pod"}
    return Seen(know(objects), CONTROLLER, MESH, dict.fromkeys(pods, PROXY), NOW)


def without(seen: Seen, change: Callable[[Object], None]) -> Seen:
    """The same after a change of each object."""
    objects = deepcopy(list(seen.known.objects))
    for obj in objects:
        change(obj)
    return replace(seen, known=know([obj for obj in objects if obj]))


def ask(seen: Seen, request: str = "GET /buy-a-book/new"):
    return verify(seen, "bookbuyer", "bookstore", request)


def test_a_whole_chain_is_whole_from_end_to_end(seen: Seen):
    found = ask(seen)
    assert found.ok
    assert list(found.broken()) == []
    assert [part.name for part in found.parts] == [
        "control plane",
        "caller bookbuyer/bookbuyer",
        "Service bookstore/bookstore",
        "server bookstore/bookstore-v1",
        "server bookstore/bookstore-v2",
        "policy",
    ]
    assert str(found).startswith("✓ bookbuyer → bookstore/bookstore:14001\n  ✓ control plane: ready, 6 of 6")


def test_a_control_plane_that_is_silent_is_the_broken_link_and_what_only_it_knows_is_unknown(seen: Seen):
    found = ask(replace(seen, mesh=None, proxies={}, trouble="503"))
    assert list(found.broken()) == ["control plane"]
    assert "? certificate: not known while the control plane is silent" in str(found)


def test_a_pod_that_was_made_before_its_namespace_joined_the_mesh_is_told_to_restart(seen: Seen):
    def strip(obj: Object) -> None:
        if obj["kind"] == "Pod" and obj["metadata"]["name"] == "bookstore-v2":
            del obj["metadata"]["labels"]["osm-proxy-uuid"]

    found = ask(without(seen, strip))
    assert list(found.broken()) == ["server bookstore/bookstore-v2: sidecar"]
    assert "kubectl rollout restart deployment/bookstore-v2 -n bookstore" in str(found)


def test_a_namespace_outside_the_mesh_is_named(seen: Seen):
    def leave(obj: Object) -> None:
        if obj["kind"] == "Namespace" and obj["metadata"]["name"] == "bookbuyer":
            obj["metadata"]["labels"] = {}
        if obj["kind"] == "Pod" and obj["metadata"]["namespace"] == "bookbuyer":
            del obj["metadata"]["labels"]["osm-proxy-uuid"]

    found = ask(without(seen, leave))
    assert next(found.broken()) == "caller bookbuyer/bookbuyer: sidecar"
    assert "kubectl label namespace bookbuyer openservicemesh.io/monitored-by=meshlab" in str(found)


@pytest.mark.parametrize(
    ("change", "link", "said"),
    [
        ({"certificate": {"not_after": NOW - 1}}, "certificate", "it expired"),
        ({"certificate": None}, "certificate", "none was issued"),
        ({"connected": False}, "configuration", "not connected"),
        ({"refused": {"type_url": "x", "reason": "bad regex"}}, "configuration", "keeps what it had: bad regex"),
        ({"settled": 2}, "configuration", "has not acknowledged the newest yet"),
    ],
)
def test_what_a_proxy_lacks_is_named(seen: Seen, change: dict, link: str, said: str):
    found = ask(replace(seen, proxies={**seen.proxies, "bookstore/bookstore-v1": {**PROXY, **change}}))
    assert list(found.broken()) == [f"server bookstore/bookstore-v1: {link}"]
    assert said in str(found)


def test_a_sidecar_that_does_not_run_is_named(seen: Seen):
    def stop(obj: Object) -> None:
        if obj["kind"] == "Pod" and obj["metadata"]["name"] == "bookbuyer":
            del obj["status"]["containerStatuses"]

    assert list(ask(without(seen, stop)).broken()) == ["caller bookbuyer/bookbuyer: sidecar"]


@pytest.mark.parametrize(
    ("annotation", "value", "said"),
    [
        ("outbound-port-exclusion-list", "3306, 14001", "port 14001 is excluded"),
        ("outbound-ip-range-exclusion-list", "10.9.0.0/16", "in the excluded range 10.9.0.0/16"),
        ("outbound-ip-range-inclusion-list", "192.168.0.0/16", "in none of the included ranges"),
    ],
)
def test_calls_that_an_exclusion_sends_past_the_proxy_are_named(seen: Seen, annotation: str, value: str, said: str):
    def exclude(obj: Object) -> None:
        if obj["kind"] == "Pod" and obj["metadata"]["name"] == "bookbuyer":
            obj["metadata"].setdefault("annotations", {})[f"openservicemesh.io/{annotation}"] = value
        if obj["kind"] == "Service":
            obj["spec"]["clusterIPs"] = ["10.9.0.7"]

    found = ask(without(seen, exclude))
    assert list(found.broken()) == ["caller bookbuyer/bookbuyer: interception"]
    assert said in str(found)


def test_a_service_without_pods_is_named(seen: Seen):
    def empty(obj: Object) -> None:
        if obj["kind"] == "EndpointSlice":
            obj["endpoints"] = []

    found = ask(without(seen, empty))
    assert list(found.broken()) == ["Service bookstore/bookstore"]
    assert found.parts[-1].ok is None


def test_a_policy_that_refuses_is_the_last_link(seen: Seen):
    assert list(ask(seen, "DELETE /x").broken()) == ["policy"]
    assert list(verify(seen, "bookthief", "bookstore").broken()) == ["policy"]
    assert 'meshlab explain bookthief/bookthief bookstore/bookstore:14001 "GET /"' in str(
        verify(seen, "bookthief", "bookstore")
    )


def test_without_a_request_a_policy_that_admits_some_is_enough(seen: Seen):
    found = ask(seen, "")
    assert found.ok
    assert "TrafficTarget bookstore/bookstore admits some requests, not GET /" in str(found)
