"""Each request is counted once, in bounded memory, and percentiles survive adding up."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import ClassVar

import pytest

from meshlab.mesh.exchange import Exchange, Side
from meshlab.mesh.identity import Identity
from meshlab.mesh.service import Workload
from meshlab.observe import latency, prometheus, windows
from meshlab.observe.entries import failed, place
from meshlab.observe.windows import SLOT_SECONDS, Windows, rows

BUYER, STORE = Identity("bookbuyer", "bookbuyer"), Identity("bookstore", "bookstore")
ASKED = Exchange(
    side=Side.CLIENT,
    time=0.0,
    reporter="bookbuyer/bookbuyer-1",
    source=BUYER,
    destination=STORE,
    source_workload="bookbuyer/bookbuyer-1",
    destination_workload="bookstore/bookstore-v1-1",
    upstream="bookstore/bookstore-v1|14001",
    method="GET",
    path="/books-bought",
    authority="bookstore.bookstore:14001",
    status=200,
    duration_ms=3.0,
    bytes_sent=200,
    bytes_received=10,
    tls_version="TLSv1.3",
)
SERVED = replace(
    ASKED, side=Side.SERVER, reporter="bookstore/bookstore-v1-1", source_workload="", allowed_by="bookstore/bookstore"
)


class People:
    """A directory of two pods."""

    pods: ClassVar = {
        "bookbuyer/bookbuyer-1": Workload("bookbuyer", "bookbuyer-1", BUYER, owner=("Deployment", "bookbuyer")),
        "bookstore/bookstore-v1-1": Workload(
            "bookstore", "bookstore-v1-1", STORE, labels=(("version", "v1"),), owner=("Deployment", "bookstore-v1")
        ),
    }

    def workload(self, name: str) -> Workload | None:
        return self.pods.get(name)

    def root(self, authority: str, caller_namespace: str, upstream: str) -> str:
        return "bookstore/bookstore|14001" if authority.startswith("bookstore.") else upstream


class Clock:
    now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def seen(clock: Clock) -> Windows:
    return Windows(clock)


def note(seen: Windows, *exchanges: Exchange) -> None:
    for exchange in exchanges:
        seen.note(place(exchange, People()))


def test_a_request_reported_by_both_ends_is_counted_once(seen: Windows) -> None:
    note(seen, ASKED, SERVED)
    (row,) = rows(seen.last(10))
    assert row["requests"] == 1
    assert row["allowed_by"] == ["bookstore/bookstore"]


def test_a_caller_without_a_proxy_is_counted_by_the_server(seen: Windows) -> None:
    note(seen, replace(SERVED, source=None, tls_version=""))
    (row,) = rows(seen.last(10))
    assert (row["source"], row["requests"], row["mtls"]) == ("", 1, 0)


def test_an_edge_names_workloads_version_leaf_and_root(seen: Windows) -> None:
    note(seen, ASKED)
    (row,) = rows(seen.last(10))
    assert row["source"] == "bookbuyer/bookbuyer"
    assert row["source_workload"] == "bookbuyer"
    assert row["destination_workload"] == "bookstore-v1"
    assert row["version"] == "v1"
    assert row["service"] == "bookstore/bookstore-v1|14001"
    assert row["root"] == "bookstore/bookstore|14001"
    assert (row["bytes_sent"], row["bytes_received"]) == (10, 200)


def test_a_refusal_is_a_failure_with_the_reason_that_the_servers_proxy_gives(seen: Windows) -> None:
    note(seen, ASKED, replace(ASKED, status=403), replace(SERVED, status=403, details="rbac_access_denied"))
    (row,) = rows(seen.last(10))
    assert (row["requests"], row["failures"]) == (2, 1)
    assert row["statuses"] == {"200": 1, "403": 1}
    assert row["reasons"] == {"rbac_access_denied": 1}


@pytest.mark.parametrize(
    ("exchange", "expected"),
    [
        (ASKED, False),
        (replace(ASKED, status=404), False),
        (replace(ASKED, status=404, flags=("NR",)), True),
        (replace(ASKED, status=0), True),
        (replace(ASKED, status=503), True),
        (replace(ASKED, method="", status=0), False),
        (replace(ASKED, method="", status=0, flags=("UF",)), True),
    ],
)
def test_what_the_mesh_refused_or_nobody_answered_is_a_failure(exchange: Exchange, expected: bool) -> None:
    assert failed(exchange) is expected


def test_slots_that_follow_each_other_hold_every_request_exactly_once(seen: Windows, clock: Clock) -> None:
    chance = random.Random(1)
    first = seen.slot()
    for _ in range(500):
        note(seen, *[ASKED] * chance.randrange(3))
        clock.now += chance.random() * 0.2
    total = seen.between(first, seen.slot())
    apart = [
        figures.requests for slot in range(first, seen.slot() + 1) for figures in seen.between(slot, slot).values()
    ]
    assert sum(apart) == sum(figures.requests for figures in total.values())


def test_a_window_forgets_what_is_older(seen: Windows, clock: Clock) -> None:
    note(seen, ASKED)
    clock.now += 30
    note(seen, ASKED)
    assert [row["requests"] for row in rows(seen.last(10))] == [1]
    assert [row["requests"] for row in rows(seen.last(60))] == [2]


def test_an_edge_that_fell_quiet_is_forgotten(seen: Windows, clock: Clock) -> None:
    note(seen, ASKED)
    clock.now += windows.KEPT_SLOTS * SLOT_SECONDS + 1
    seen.forget_quiet()
    assert not seen.last(120)


def test_more_edges_than_allowed_push_out_the_quietest(seen: Windows, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows, "MAX_EDGES", 3)
    for number in range(5):
        note(seen, replace(ASKED, upstream=f"bookstore/s{number}|1"))
    assert [row["service"] for row in rows(seen.last(10))] == [f"bookstore/s{number}|1" for number in (2, 3, 4)]


def test_percentiles_are_within_a_bucket_of_the_true_ones() -> None:
    chance = random.Random(2)
    values = sorted(chance.lognormvariate(1, 1) for _ in range(10_000))
    histogram = latency.Histogram(latency.bucket(value) for value in values)
    for share in (0.5, 0.9, 0.99):
        found, true = latency.percentile(histogram, share), values[int(share * len(values)) - 1]
        assert found is not None
        assert found == pytest.approx(true, rel=0.2)


def test_percentiles_of_a_sum_are_the_sum_of_the_histograms() -> None:
    one, other = latency.Histogram({4.0: 99}), latency.Histogram({512.0: 1})
    assert latency.percentile(one + other, 0.99) == 4.0
    assert latency.percentile(one + other, 1.0) == 512.0
    assert latency.percentile({}, 0.5) is None


def test_bounds_survive_being_written_and_read() -> None:
    assert [float(f"{bound:g}") for bound in latency.BOUNDS] == list(latency.BOUNDS)


def test_prometheus_reads_counters_by_edge_and_status() -> None:
    totals = prometheus.Totals()
    for exchange in (ASKED, SERVED, replace(ASKED, status=403)):
        totals.note(place(exchange, People()))
    text = "\n".join(totals.text())
    assert 'version="v1",status="200"} 1' in text
    assert 'version="v1",status="403"} 1' in text
    assert 'le="+Inf"} 2' in text
    assert 'le="2"} 0' in text
    assert 'le="5"} 2' in text
