"""What has been asked of whom, so that it can be asked again under other policies?"""

from __future__ import annotations

from dataclasses import replace

from meshlab.mesh.exchange import Exchange, Side
from meshlab.mesh.identity import Identity
from meshlab.observe import recording
from meshlab.observe.entries import Edge, Report
from meshlab.observe.recording import Recording

BUYER, STORE = Identity("bookbuyer", "bookbuyer"), Identity("bookstore", "bookstore")
EDGE = Edge("bookbuyer/bookbuyer", "bookbuyer", "bookstore/bookstore", "bookstore-v1", "b/b1|80", "b/b|80", "v1")
SERVER = Exchange(
    Side.SERVER,
    100.0,
    "bookstore/v1-a",
    BUYER,
    STORE,
    upstream="b/b1|80",
    method="GET",
    path="/books?page=2",
    authority="b.b",
    status=200,
    allowed_by="bookstore/buyers",
    request_id="r1",
)


def note(recorded: Recording, exchange: Exchange) -> None:
    recorded.note(Report(EDGE, exchange, counts=exchange.side is Side.CLIENT), 8080, http=True)


def test_requests_of_one_kind_are_counted_together_whatever_their_query():
    recorded = Recording()
    note(recorded, SERVER)
    note(recorded, replace(SERVER, path="/books?page=3", time=101.0, request_id="r2"))
    (kind,) = recorded.kinds()
    assert (kind["count"], kind["path"], kind["port"], kind["first"], kind["last"]) == (2, "/books", 8080, 100.0, 101.0)
    assert (kind["source"], kind["destination"]) == ("bookbuyer/bookbuyer", "bookstore/bookstore")
    assert kind["allowed_by"] == ["bookstore/buyers"]


def test_both_ends_reports_of_a_request_are_one():
    recorded = Recording()
    note(recorded, replace(SERVER, side=Side.CLIENT, allowed_by="", duration_ms=9.0))
    note(recorded, SERVER)
    (request,) = recorded.recent(10)
    assert (request["arrived"], request["allowed_by"], request["milliseconds"]) == (True, "bookstore/buyers", 9.0)


def test_a_request_that_never_arrived_says_why_and_is_no_kind_that_policies_could_judge():
    recorded = Recording()
    note(recorded, replace(SERVER, side=Side.CLIENT, status=503, flags=("UF",), meaning="could not connect"))
    (request,) = recorded.recent(10)
    assert (request["arrived"], request["status"], request["meaning"]) == (False, 503, "could not connect")
    assert not list(recorded.kinds())


def test_refusals_are_counted():
    recorded = Recording()
    note(recorded, replace(SERVER, refused=True, allowed_by="", status=403))
    (kind,) = recorded.kinds()
    assert (kind["count"], kind["refused"]) == (1, 1)


def test_a_connection_counts_when_it_begins_and_is_listed_when_it_ends():
    recorded = Recording()
    connection = replace(SERVER, method="", path="", request_id="", under_way=True)
    recorded.note(Report(EDGE, connection, counts=False), 3306, http=False)
    (kind,) = recorded.kinds()
    assert (kind["count"], kind["http"], kind["port"], kind["headers"]) == (1, False, 3306, {})
    assert not list(recorded.recent(10))
    recorded.note(Report(EDGE, replace(connection, under_way=False), counts=False), 3306, http=False)
    assert [kind["count"] for kind in recorded.kinds()] == [1]
    assert len(list(recorded.recent(10))) == 1


def test_what_was_seen_longest_ago_makes_room(monkeypatch):
    monkeypatch.setattr(recording, "MOST_KINDS", 2)
    monkeypatch.setattr(recording, "MOST_RECENT", 2)
    recorded = Recording()
    for path in ("/a", "/b", "/a", "/c"):
        note(recorded, replace(SERVER, path=path, request_id=path))
    assert [kind["path"] for kind in recorded.kinds()] == ["/a", "/c"]
    assert len(list(recorded.recent(10))) == 2
    assert [request["path"] for request in recorded.recent(1)] == ["/c"]
