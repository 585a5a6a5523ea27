"""While traffic runs, the mesh is rearranged, the control plane dies, certificates rotate: no request fails."""

from __future__ import annotations

import asyncio

from loopback_mesh import Load, Mesh, call, split

from meshlab.dataplane.envoy import clusters, names
from meshlab.identity import new_svid
from meshlab.mesh.identity import Identity
from meshlab.mesh.rules import Permission

URL = "http://bookstore.bookstore:14001/books-bought"
STORE, BUYER = Identity("bookstore", "bookstore"), Identity("bookbuyer", "bookbuyer")


async def test_traffic_moves_to_a_new_service_and_back(bookshop: Mesh):
    async with Load(bookshop.pods["bookbuyer"].address, URL) as load:
        await load.more(50)
        for number in range(5):
            bookshop.service(f"bookstore/extra-{number}", "bookstore-v2")
            await bookshop.push()
            bookshop.splits = (split("bookstore/bookstore", **{f"extra-{number}": 100}),)
            await bookshop.push()
            await load.more(50)
            bookshop.splits = ()
            await bookshop.push()
            del bookshop.services[f"bookstore/extra-{number}"]
            await bookshop.push()
            await load.more(50)
    assert load.failed == {}


async def test_a_cluster_can_change_without_its_endpoints(bookshop: Mesh):
    """Envoy waits for the endpoints of a changed cluster anew, though it has them."""
    before = clusters._CONNECTION_LIFE.seconds
    async with Load(bookshop.pods["bookbuyer"].address, URL) as load:
        await load.more(50)
        try:
            clusters._CONNECTION_LIFE.seconds = before + 1
            bookshop.forget_compiled()
            assert max((await bookshop.push()).values()) < 2000
        finally:
            clusters._CONNECTION_LIFE.seconds = before
            bookshop.forget_compiled()
        await load.more(50)
    assert load.failed == {}


async def test_an_endpoint_that_is_taken_away_is_called_no_more(bookshop: Mesh):
    async with Load(bookshop.pods["bookbuyer"].address, URL) as load:
        await load.more(50)
        bookshop.service("bookstore/bookstore", "bookstore-v2")
        await bookshop.push()
        await load.more(10)
        seen = len(bookshop.pods["bookstore-v1"].requests)
        await load.more(50)
        assert len(bookshop.pods["bookstore-v1"].requests) == seen
    assert load.failed == {}


async def test_a_pod_that_goes_away_costs_no_request(bookshop: Mesh):
    """First its app ends, then the others hear of it, then its proxy ends."""
    leaving = bookshop.pods["bookstore-v1"]
    async with Load(bookshop.pods["bookbuyer"].address, URL) as load:
        await load.more(50)
        async with load.paused():
            leaving.stop_app()
        await load.more(200)
        async with bookshop.turning_clients_away("bookstore-v1"):
            bookshop.service("bookstore/bookstore", "bookstore-v2")
            await bookshop.push([pod.node for pod in bookshop.pods.values() if pod is not leaving])
            await load.more(50)
        await bookshop.stop_envoy(leaving)
        await load.more(50)
    assert load.failed == {}


async def test_a_request_that_reached_an_app_is_not_repeated(bookshop: Mesh):
    """A proxy that dies with a request in hand: the client hears of it, for the app may have acted."""
    pod = bookshop.pods["bookstore-v1"]
    pod.hold()
    bookshop.service("bookstore/bookstore", "bookstore-v1", "bookstore-v2")
    calls = [asyncio.create_task(call(bookshop.pods["bookbuyer"].address, URL)) for _ in range(4)]
    await bookshop.eventually(lambda: len(pod.requests) == 2)
    await bookshop.stop_envoy(pod)
    answers = await asyncio.gather(*calls)
    assert sorted(answer.status for answer in answers) == [200, 200, 503, 503]
    assert len(bookshop.pods["bookstore-v2"].requests) == 2


async def test_the_control_plane_goes_and_another_comes(bookshop: Mesh):
    async with Load(bookshop.pods["bookbuyer"].address, URL) as load:
        await load.more(100)
        await bookshop.stop_server()
        await load.more(100)
        await bookshop.start_server()
        sent = bookshop.watch_sent()
        await bookshop.push()
        await load.more(100)
        assert sent == [], "the proxies have all of it already"
        bookshop.splits = (split("bookstore/bookstore", bookstore_v1=0, bookstore_v2=100),)
        await bookshop.push()
        assert {url for _, url in sent} == {names.ROUTES}
        await load.more(20)
        seen = len(bookshop.pods["bookstore-v1"].requests)
        await load.more(50)
        assert len(bookshop.pods["bookstore-v1"].requests) == seen
    assert load.failed == {}


async def test_only_what_changed_is_sent_and_only_to_those_it_concerns(bookshop: Mesh):
    sent = bookshop.watch_sent()
    bookshop.permissive = False
    bookshop.permissions = (Permission("bookstore/p", STORE, frozenset({BUYER})),)
    await bookshop.push()
    stores = {"bookstore-v1.bookstore", "bookstore-v2.bookstore"}
    assert {node for node, _ in sent} == stores
    assert {url for _, url in sent} == {names.ROUTES}
    sent.clear()
    await bookshop.push()
    assert sent == []


async def test_a_certificate_rotates_under_traffic(bookshop: Mesh):
    serials = set()
    async with Load(bookshop.pods["bookbuyer"].address, URL) as load:
        for _ in range(4):
            bookshop.svids[BUYER] = await new_svid(bookshop.ca, BUYER)
            bookshop.svids[STORE] = await new_svid(bookshop.ca, STORE)
            serials.add(bookshop.svids[BUYER].serial)
            await bookshop.push()
            async with bookshop.turning_clients_away("bookstore-v1", "bookstore-v2"):
                await load.more(50)
        await bookshop.eventually(lambda: serials <= {exchange.peer_serial for exchange in bookshop.exchanges})
    assert load.failed == {}


async def test_a_burst_of_changes_ends_at_the_last(bookshop: Mesh):
    for weight in range(20):
        bookshop.splits = (split("bookstore/bookstore", bookstore_v1=20 - weight, bookstore_v2=weight),)
        bookshop.set_snapshots(bookshop.world(), await bookshop.ca.bundle())
    bookshop.splits = (split("bookstore/bookstore", bookstore_v1=0, bookstore_v2=1),)
    await bookshop.push()
    async with Load(bookshop.pods["bookbuyer"].address, URL) as load:
        await load.more(40)
    assert {body for _, body in load.answers} == {"bookstore-v2"}
