"""What the proxies report of each request, from both ends."""

from __future__ import annotations

import pytest
from loopback_mesh import Mesh, call

from meshlab.mesh.exchange import Exchange, Side
from meshlab.mesh.identity import Identity
from meshlab.mesh.rules import HttpMatch, HttpRule, Permission

URL = "http://bookstore.bookstore:14001/books-bought?page=2"
STORE, BUYER = Identity("bookstore", "bookstore"), Identity("bookbuyer", "bookbuyer")


async def reported(mesh: Mesh, count: int) -> list[Exchange]:
    await mesh.eventually(lambda: len(mesh.exchanges) >= count)
    return mesh.exchanges


async def test_both_ends_report_who_spoke_to_whom_and_how(bookshop: Mesh):
    answer = await call(bookshop.pods["bookbuyer"].address, URL)
    both = {exchange.side: exchange for exchange in await reported(bookshop, 2)}
    for exchange in both.values():
        assert exchange.source == BUYER
        assert exchange.destination == STORE
        assert exchange.mtls
        assert exchange.tls_version == "TLSv1.3"
        assert (exchange.method, exchange.path, exchange.status) == ("GET", "/books-bought?page=2", 200)
        assert exchange.authority == "bookstore.bookstore:14001"
        assert exchange.upstream == "bookstore/bookstore|14001"
        assert exchange.source_workload == "bookbuyer/bookbuyer"
        assert exchange.destination_workload == f"bookstore/{answer.body}"
        assert 0 < exchange.duration_ms < 5000
        assert exchange.bytes_sent == len(answer.body)
        assert exchange.flags == ()
    assert both[Side.CLIENT].reporter == "bookbuyer/bookbuyer"
    assert both[Side.SERVER].reporter == f"bookstore/{answer.body}"
    assert both[Side.CLIENT].request_id == both[Side.SERVER].request_id != ""
    assert both[Side.SERVER].peer_serial == bookshop.svids[BUYER].serial


async def test_the_server_says_which_permission_let_a_request_in(bookshop: Mesh):
    bookshop.permissive = False
    bookshop.permissions = (
        Permission("bookstore/nobody", STORE, frozenset()),
        Permission("bookstore/buyer", STORE, frozenset({BUYER})),
    )
    await bookshop.push()
    await call(bookshop.pods["bookbuyer"].address, URL)
    await call(bookshop.pods["bookthief"].address, URL)
    exchanges = await reported(bookshop, 4)
    inbound = {str(exchange.source): exchange for exchange in exchanges if exchange.side is Side.SERVER}
    assert inbound["bookbuyer/bookbuyer"].allowed_by == "bookstore/buyer"
    refused = inbound["bookthief/bookthief"]
    assert (refused.status, refused.allowed_by) == (403, "")
    assert "rbac_access_denied" in refused.details
    assert refused.refused
    assert refused.meaning == "the server's proxy refused it: no policy admits the request"


@pytest.mark.parametrize(("value", "kept"), [("clerk", "clerk"), ("cl\xe9rk", "cl??rk"), ("cl\udce9rk", "cl?rk")])
async def test_the_headers_that_policies_speak_of_are_kept_and_no_others(bookshop: Mesh, value: str, kept: str):
    match = HttpMatch("clerks", headers=(("x-role", "clerk"), ("x-shop", ".*")))
    bookshop.permissions = (
        Permission("bookstore/buyer", STORE, frozenset({BUYER}), (HttpRule("bookstore/routes", (match,)),)),
    )
    await bookshop.push()
    await call(bookshop.pods["bookbuyer"].address, URL, headers={"X-Role": value, "x-other": "secret"})
    server = next(e for e in await reported(bookshop, 2) if e.side is Side.SERVER)
    assert server.headers == {"x-role": kept, "x-shop": None}


async def test_permissive_mode_names_no_permission(bookshop: Mesh):
    await call(bookshop.pods["bookbuyer"].address, URL)
    assert {exchange.allowed_by for exchange in await reported(bookshop, 2)} == {""}


async def test_a_call_that_reaches_nobody_says_why(bookshop: Mesh):
    for name in ("bookstore-v1", "bookstore-v2"):
        await bookshop.stop_envoy(bookshop.pods[name])
    await call(bookshop.pods["bookbuyer"].address, URL)
    (exchange,) = await reported(bookshop, 1)
    assert exchange.status == 503
    assert "UF" in exchange.flags
    assert "could not connect" in exchange.meaning
    assert exchange.source == BUYER
    assert not exchange.mtls
    assert exchange.destination_workload.startswith("bookstore/bookstore-v")


async def test_a_call_to_an_unmeshed_pod_is_reported_as_plain(bookshop: Mesh):
    await bookshop.pod("legacy", meshed=False)
    bookshop.service("legacy/legacy", "legacy")
    await bookshop.push()
    assert (await call(bookshop.pods["bookbuyer"].address, "http://legacy.legacy:14001/")).body == "legacy"
    (exchange,) = await reported(bookshop, 1)
    assert exchange.status == 200
    assert exchange.destination is None
    assert exchange.tls_version == ""
    assert exchange.destination_workload == "legacy/legacy"


async def test_meshed_and_unmeshed_endpoints_can_stand_behind_one_service(bookshop: Mesh):
    await bookshop.pod("legacy", meshed=False)
    bookshop.service("bookstore/bookstore", "bookstore-v1", "legacy")
    await bookshop.push()
    seen = {(await call(bookshop.pods["bookbuyer"].address, URL)).body for _ in range(10)}
    assert seen == {"bookstore-v1", "legacy"}
    exchanges = [exchange for exchange in await reported(bookshop, 15) if exchange.side is Side.CLIENT]
    assert {(exchange.destination_workload, exchange.mtls) for exchange in exchanges} == {
        ("bookstore/bookstore-v1", True),
        ("legacy/legacy", False),
    }
