"""How real Envoys share traffic among versions."""

from __future__ import annotations

from collections import Counter
from math import sqrt

from loopback_mesh import Mesh, call, split

from meshlab.mesh.rules import Backend, HttpMatch, Split
from meshlab.mesh.service import ServiceName

BOOKS = "http://bookstore.bookstore:14001/books-bought"
V2 = ServiceName("bookstore", "bookstore-v2")


async def versions(mesh: Mesh, count: int, url: str = BOOKS, headers: dict[str, str] | None = None) -> Counter[str]:
    answers = [await call(mesh.pods["bookbuyer"].address, url, headers=headers) for _ in range(count)]
    assert {answer.status for answer in answers} == {200}
    return Counter(answer.body for answer in answers)


async def test_each_version_gets_its_share(bookshop: Mesh):
    bookshop.splits = (split("bookstore/bookstore", bookstore_v1=90, bookstore_v2=10),)
    await bookshop.push()
    count, share = 400, 0.1
    seen = (await versions(bookshop, count))["bookstore-v2"]
    assert abs(seen - count * share) < 5 * sqrt(count * share * (1 - share)), "five standard deviations"


async def test_everything_and_nothing_are_exact(bookshop: Mesh):
    for one, other, expected in ((100, 0, "bookstore-v1"), (0, 100, "bookstore-v2")):
        bookshop.splits = (split("bookstore/bookstore", bookstore_v1=one, bookstore_v2=other),)
        await bookshop.push()
        assert await versions(bookshop, 30) == {expected: 30}


async def test_without_a_split_the_root_reaches_every_version(bookshop: Mesh):
    assert set(await versions(bookshop, 20)) == {"bookstore-v1", "bookstore-v2"}


async def test_a_backend_can_be_called_by_its_own_name(bookshop: Mesh):
    bookshop.splits = (split("bookstore/bookstore", bookstore_v1=100, bookstore_v2=0),)
    await bookshop.push()
    assert await versions(bookshop, 5, BOOKS.replace("bookstore.", "bookstore-v2.", 1)) == {"bookstore-v2": 5}


async def test_a_split_with_matches_leaves_other_requests_to_the_root(bookshop: Mesh):
    matches = (HttpMatch("beta", "/books-.*", frozenset({"GET"}), (("x-beta", "yes"),)),)
    bookshop.splits = (Split("bookstore/beta", ServiceName("bookstore", "bookstore"), (Backend(V2, 1),), matches),)
    await bookshop.push()
    assert await versions(bookshop, 20, headers={"x-beta": "yes"}) == {"bookstore-v2": 20}
    assert len(await versions(bookshop, 20, headers={"x-beta": "no"})) == 2
    assert len(await versions(bookshop, 20)) == 2


async def test_a_call_leaves_the_mesh_only_where_egress_is_on(bookshop: Mesh):
    outside = await bookshop.pod("outside", meshed=False)
    url = f"http://{outside.address}:{outside.port}/"
    for egress, expected in ((False, 502), (True, 200), (False, 502)):
        bookshop.egress = egress
        await bookshop.push()
        assert (await call(bookshop.pods["bookbuyer"].address, url)).status == expected


async def test_a_name_no_service_has_is_answered_with_an_explanation(bookshop: Mesh):
    answer = await call(bookshop.pods["bookbuyer"].address, "http://bookshop.bookstore:14001/")
    assert answer.status == 502
    assert "no Service" in answer.body
