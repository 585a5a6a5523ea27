"""What an Envoy refuses is reported with its reason; traffic and everything else go on."""

from __future__ import annotations

from loopback_mesh import Mesh, call

from meshlab.dataplane.envoy import names
from meshlab.mesh.identity import Identity
from meshlab.mesh.rules import HttpMatch, HttpRule, Permission

URL = "http://bookstore.bookstore:14001/books-bought"
STORE, BUYER = Identity("bookstore", "bookstore"), Identity("bookbuyer", "bookbuyer")


def permit(regex: str) -> Permission:
    rule = HttpRule("bookstore/routes", (HttpMatch("m", regex),))
    return Permission("bookstore/p", STORE, frozenset({BUYER}), http_rules=(rule,))


async def test_envoys_reason_is_reported_and_the_last_good_configuration_stays(bookshop: Mesh):
    bookshop.permissive, bookshop.permissions = False, (permit("/books-.*"),)
    await bookshop.push()
    bookshop.permissions = (permit("/books-(bought"),)
    for node, generation in bookshop.set_snapshots(bookshop.world(), await bookshop.ca.bundle()).items():
        status = await bookshop.server.proxies.settled(node, generation, timeout=5)
        if node.startswith("bookstore"):
            assert "missing )" in status.refused[names.ROUTES]
            assert status.types[names.ROUTES].acked != status.types[names.ROUTES].sent
        else:
            assert status.refused == {}
    assert (await call(bookshop.pods["bookbuyer"].address, URL)).status == 200
    assert (await call(bookshop.pods["bookthief"].address, URL)).status == 403
    bookshop.permissions = (permit("/nothing"),)
    await bookshop.push()
    assert (await call(bookshop.pods["bookbuyer"].address, URL)).status == 403
