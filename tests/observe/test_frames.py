"""What the lab shows is a tidy table."""

from __future__ import annotations

from meshlab.observe import frames

ROW = {
    "source": "bookbuyer/bookbuyer",
    "source_workload": "bookbuyer",
    "destination": "bookstore/bookstore",
    "destination_workload": "bookstore-v1",
    "service": "bookstore/bookstore-v1|14001",
    "root": "bookstore/bookstore|14001",
    "version": "v1",
    "requests": 20,
    "failures": 5,
    "mtls": 20,
    "tls": "TLSv1.3",
    "statuses": {"200": 15, "403": 5},
    "p50": 1.0,
    "p90": 2.0,
    "p99": 3.0,
    "bytes_sent": 1,
    "bytes_received": 2,
}


def test_an_edge_becomes_a_row_with_rate_and_success() -> None:
    frame = frames.edges([ROW], window=10)
    assert frame["rate"].tolist() == [2.0]
    assert frame["success"].tolist() == [0.75]


def test_no_edges_make_an_empty_table_with_the_same_columns() -> None:
    assert list(frames.edges([], window=10).columns) == list(frames.edges([ROW], window=10).columns)


def test_statuses_are_counted_one_row_each() -> None:
    frame = frames.statuses([ROW])
    assert frame[["status", "count"]].to_numpy().tolist() == [[200, 15], [403, 5]]
