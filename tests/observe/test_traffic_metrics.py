"""What SMI's TrafficMetrics says of calls between pods."""

from __future__ import annotations

from typing import Any

import pytest

from meshlab.mesh.exchange import Exchange, Side
from meshlab.mesh.identity import Identity
from meshlab.mesh.rules import Backend, Split
from meshlab.mesh.service import Protocol, Service, ServiceName, ServicePort, Workload
from meshlab.mesh.world import World
from meshlab.observe import traffic as module
from meshlab.observe.entries import place
from meshlab.observe.subjects import Subject
from meshlab.observe.traffic import Traffic
from meshlab.observe.traffic_metrics import Measured, quantity

PRICES = ServiceName("catalogue", "prices")
NEW = ServiceName("catalogue", "prices-new")


def workload(full_name: str, owner: tuple[str, str], *, meshed: bool = True) -> Workload:
    namespace, name = full_name.split("/")
    labels = (("pod-template-hash", "5c8"),) if owner[0] == "Deployment" else ()
    return Workload(namespace, name, Identity(namespace, "default"), owner=owner, labels=labels, meshed=meshed)


WORKLOADS = {
    f"{item.namespace}/{item.name}": item
    for item in (
        workload("shopfront/till-1", ("Deployment", "till")),
        workload("shopfront/till-2", ("Deployment", "till")),
        workload("shopfront/report-x", ("Job", "report")),
        workload("catalogue/prices-5c8-a", ("Deployment", "prices")),
        workload("catalogue/shelf-0", ("StatefulSet", "shelf")),
        workload("outside/stranger", ("Pod", "stranger"), meshed=False),
    )
}


class Directory:
    def workload(self, name: str) -> Workload | None:
        return WORKLOADS.get(name)

    def root(self, authority: str, caller_namespace: str, upstream: str) -> str:
        return authority or upstream


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def traffic(clock: Clock) -> Traffic:
    return Traffic(clock)


def call(traffic: Traffic, source: str, destination: str, **more: Any) -> None:
    meshed = source in WORKLOADS and WORKLOADS[source].meshed
    known: dict[str, Any] = {"method": "GET", "status": 200, "duration_ms": 2.0, "upstream": "catalogue/prices|7080"}
    exchange = Exchange(
        side=Side.CLIENT if meshed else Side.SERVER,
        time=0,
        reporter=source,
        source=WORKLOADS[source].identity if meshed else None,
        destination=None,
        source_workload=source,
        destination_workload=destination,
        **{**known, **more},
    )
    traffic.note(place(exchange, Directory()), Directory().workload)


def measured(traffic: Traffic, clock: Clock, splits: tuple[Split, ...] = ()) -> Measured:
    services = tuple(Service(name, (), (ServicePort(7080, "", Protocol.HTTP),)) for name in (PRICES, NEW))
    world = World(services=services, workloads=tuple(WORKLOADS.values()), splits=splits)
    return Measured(world, traffic.last(30), traffic.pods, clock(), 30)


def counts(item: dict[str, Any]) -> tuple[int, int]:
    values = {metric["name"]: metric["value"] for metric in item["metrics"]}
    return int(values["success_count"]), int(values["failure_count"])


def edges(found: Measured, subject: Subject) -> dict[tuple[str, str, str], tuple[int, int]]:
    return {
        (item["edge"]["direction"], item["edge"]["side"], item["edge"]["resource"]["name"]): counts(item)
        for item in found.edges(subject)
    }


def test_a_deployment_adds_up_what_its_pods_received(traffic: Traffic, clock: Clock) -> None:
    call(traffic, "shopfront/till-1", "catalogue/prices-5c8-a")
    call(traffic, "shopfront/till-2", "catalogue/prices-5c8-a", status=403)
    (item,) = measured(traffic, clock).totals(Subject("Deployment", "catalogue", "prices"))
    assert counts(item) == (1, 1)
    assert item["edge"] == {"direction": "from", "side": "client", "resource": {}}
    assert item["resource"] == {
        "kind": "Deployment",
        "namespace": "catalogue",
        "name": "prices",
        "apiVersion": "apps/v1",
    }
    assert (item["timestamp"], item["window"]) == ("1970-01-01T00:16:40Z", "30s")
    assert [(metric["name"], metric.get("unit")) for metric in item["metrics"]] == [
        ("p50_response_latency", "ms"),
        ("p90_response_latency", "ms"),
        ("p99_response_latency", "ms"),
        ("success_count", None),
        ("failure_count", None),
    ]


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        (Subject("Pod", "shopfront", "till-1"), {("to", "client", "prices-5c8-a"): (2, 0)}),
        (Subject("Deployment", "shopfront", "till"), {("to", "client", "prices"): (2, 0)}),
        (
            Subject("ReplicaSet", "catalogue", "prices-5c8"),
            {("from", "client", "till-5c8"): (2, 0), ("from", "server", "stranger"): (1, 0)},
        ),
        (Subject("StatefulSet", "catalogue", "shelf"), {("from", "client", "report"): (1, 0)}),
        (Subject("Job", "shopfront", "report"), {("to", "client", "shelf"): (1, 0)}),
        (
            Subject("Namespace", "", "catalogue"),
            {("from", "client", "shopfront"): (3, 0), ("from", "server", "outside"): (1, 0)},
        ),
        (
            Subject("Service", "catalogue", "prices"),
            {
                ("from", "client", "till"): (2, 0),
                ("from", "client", "report"): (1, 0),
                ("from", "server", "stranger"): (1, 0),
            },
        ),
    ],
)
def test_edges_are_between_things_that_exchanged_traffic(
    traffic: Traffic, clock: Clock, subject: Subject, expected: dict[tuple[str, str, str], tuple[int, int]]
) -> None:
    call(traffic, "shopfront/till-1", "catalogue/prices-5c8-a")
    call(traffic, "shopfront/till-1", "catalogue/prices-5c8-a")
    call(traffic, "shopfront/report-x", "catalogue/shelf-0")
    call(traffic, "outside/stranger", "catalogue/prices-5c8-a")
    assert edges(measured(traffic, clock), subject) == expected


def test_a_call_that_reached_no_pod_was_made_to_a_service(traffic: Traffic, clock: Clock) -> None:
    call(traffic, "shopfront/till-1", "", status=503, flags=("UH",))
    found = measured(traffic, clock)
    assert edges(found, Subject("Deployment", "shopfront", "till")) == {("to", "client", "prices"): (0, 1)}


def test_a_split_has_an_item_for_each_backend_of_what_was_sent_to_its_root(traffic: Traffic, clock: Clock) -> None:
    new, root = f"{NEW}|7080", f"{PRICES}|7080"
    call(traffic, "shopfront/till-1", "catalogue/prices-5c8-a", upstream=new, authority=root)
    call(traffic, "shopfront/till-1", "catalogue/prices-5c8-a", upstream=new, authority=new)
    old = ServiceName("catalogue", "prices-old")
    split = Split("catalogue/canary", PRICES, (Backend(old, 9), Backend(NEW, 1)))
    found = measured(traffic, clock, (split,))
    assert [
        (item["backend"], counts(item)) for item in found.totals(Subject("TrafficSplit", "catalogue", "canary"))
    ] == [
        ({"apex": "prices", "name": "prices-old", "weight": 9}, (0, 0)),
        ({"apex": "prices", "name": "prices-new", "weight": 1}, (1, 0)),
    ]


def test_what_has_a_proxy_is_listed_before_it_has_traffic(traffic: Traffic, clock: Clock) -> None:
    found = measured(traffic, clock)
    assert [subject.name for subject in found.subjects("Deployment")] == ["prices", "till"]
    assert "outside" not in [subject.name for subject in found.subjects("Namespace")]
    (item,) = found.totals(Subject("Deployment", "shopfront", "till"))
    assert counts(item) == (0, 0)


def test_a_connection_counts_as_one_call_and_has_no_latency(traffic: Traffic, clock: Clock) -> None:
    call(traffic, "shopfront/till-1", "catalogue/shelf-0", method="", status=0, duration_ms=60_000.0)
    (item,) = measured(traffic, clock).totals(Subject("StatefulSet", "catalogue", "shelf"))
    assert counts(item) == (1, 0)
    assert item["metrics"][2]["value"] == "0"


def test_a_window_holds_thirty_seconds(traffic: Traffic, clock: Clock) -> None:
    call(traffic, "shopfront/till-1", "catalogue/shelf-0")
    clock.now += 29
    assert measured(traffic, clock).flows
    clock.now += 1
    assert not measured(traffic, clock).flows


def test_memory_is_given_back(traffic: Traffic, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_FLOWS", 2)
    for destination in ("catalogue/shelf-0", "catalogue/prices-5c8-a", "catalogue/shelf-0", "shopfront/report-x"):
        call(traffic, "shopfront/till-1", destination)
    assert {flow.destination for flow in traffic.last(30)} == {"catalogue/shelf-0", "shopfront/report-x"}
    clock.now += 200
    traffic.forget_quiet()
    assert not traffic.pods


@pytest.mark.parametrize(
    ("value", "text"), [(1.8, "1800m"), (11.0, "11"), (0.0, "0"), (0.0004, "0"), (4.2345, "4234m")]
)
def test_values_are_quantities_of_kubernetes(value: float, text: str) -> None:
    assert quantity(value) == text
