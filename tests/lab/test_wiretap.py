"""What a wiretap shows, and which edges can be named."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from meshlab.errors import LabError
from meshlab.lab.tap_target import Target, ends_of
from meshlab.lab.tapped import INSIDE, WIRE, Heard, Wiretap
from meshlab.lab.wiretap import wiretap

if TYPE_CHECKING:
    from tests.conftest import RunningLab

TARGET = Target({}, 14001, frozenset({"10.0.0.2"}), "bookbuyer", "bookstore-v1", "bookstore")


def line(source, destination, interface="eth0", start=b"GET / HTTP/1.1\r\n", verdict="plain HTTP"):
    ends = {"source": source, "destination": destination, "interface": interface}
    return {**ends, "bytes": 16, "start": start.hex(), "verdict": verdict, "t": 1.0}


def test_an_edge_is_named_by_two_words_as_the_dashboard_does_or_by_a_row_of_edges():
    row = {"source_workload": "bookbuyer", "service": "bookstore/bookstore-v1|14001"}
    assert ends_of("bookbuyer", "bookstore") == ends_of("bookbuyer → bookstore", None) == ("bookbuyer", "bookstore")
    assert ends_of(row, None) == ends_of(pd.Series(row), None) == ("bookbuyer", "bookstore/bookstore-v1")
    with pytest.raises(LabError, match="ML508 edge bookbuyer: an edge has two ends"):
        ends_of("bookbuyer", None)


def test_on_the_wire_workloads_are_named_and_inside_the_pod_app_and_proxy():
    heard = TARGET.heard(line("10.0.0.2:4000", "10.0.0.3:14001"))
    assert (heard.where, heard.source, heard.destination) == (
        WIRE,
        "bookbuyer 10.0.0.2:4000",
        "bookstore-v1 10.0.0.3:14001",
    )
    heard = TARGET.heard(line("127.0.0.1:14001", "127.0.0.1:4001", "lo"))
    assert (heard.where, heard.source, heard.destination) == (INSIDE, "app:14001", "proxy:4001")
    assert heard.start == "GET / HTTP/1.1··"


def test_other_callers_and_calls_that_the_pod_itself_makes_are_left_out():
    assert TARGET.heard(line("10.0.0.9:4000", "10.0.0.3:14001")) is None
    assert TARGET.heard(line("10.0.0.5:14001", "10.0.0.3:4000", "lo")) is None


def test_it_is_shown_as_a_table_in_words_and_as_a_frame():
    segments = [Heard(WIRE, "a", "b", 10, "<·>", "TLS 1.3 record (application data)", 1.0)] * 20
    tap = Wiretap("a → b", "n/p", 5, (*segments, Heard(INSIDE, "proxy:1", "app:2", 9, "GET /", "plain HTTP", 2.0)))
    assert tap.summary == "On the wire: TLS 1.3 record (20). Inside the pod: plain HTTP (1)."
    assert "a → b, heard for 5 s in pod n/p" in repr(tap)
    assert "… and 7 more" in repr(tap)
    assert "<code>&lt;·&gt;</code>" in tap._repr_html_()
    assert list(tap.to_frame()["where"].value_counts()) == [20, 1]
    assert Wiretap("a → b", "n/p", 5, ()).summary == "On the wire: nothing. Inside the pod: nothing."


@pytest.mark.e2e
def test_where_pods_share_the_machines_loopback_there_is_no_wire(demo: RunningLab):
    async def listen(source):
        async with await demo.kube() as kube:
            await wiretap(kube, demo.image, source, "bookstore", 1)

    with pytest.raises(LabError, match="ML509") as refused:
        asyncio.run(listen("bookbuyer"))
    assert "--network namespaces" in refused.value.hint
    with pytest.raises(LabError, match="ML508 edge nobody → bookstore: no calls"):
        asyncio.run(listen("nobody"))
