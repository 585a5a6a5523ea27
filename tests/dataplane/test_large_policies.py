"""A policy of enormous size holds, and what it does not concern goes on as before."""

from __future__ import annotations

from loopback_mesh import Load, Mesh, call

from meshlab.mesh.identity import Identity
from meshlab.mesh.rules import HttpMatch, HttpRule, Permission

BUYER, STORE, BANK = (Identity(name, name) for name in ("bookbuyer", "bookstore", "bank"))
MATCHES = 10_000


async def test_ten_thousand_matches_hold_and_disturb_nobody():
    async with Mesh() as mesh:
        buyer = await mesh.pod("bookbuyer", app=False)
        await mesh.pod("bookstore")
        await mesh.pod("bank")
        mesh.service("bookstore/bookstore", "bookstore")
        mesh.service("bank/bank", "bank")
        mesh.permissive = False
        to_bank = Permission("bank/all", BANK, frozenset({BUYER}))
        mesh.permissions = (to_bank,)
        await mesh.push()

        matches = tuple(HttpMatch(f"m{number}", f"/books/{number}") for number in range(MATCHES))
        rules = (HttpRule("bookstore/many", matches),)
        async with Load(buyer.address, "http://bank.bank:14001/") as load:
            mesh.permissions = (to_bank, Permission("bookstore/p", STORE, frozenset({BUYER}), http_rules=rules))
            await mesh.push()
            store = "http://bookstore.bookstore:14001/books"
            last = await call(buyer.address, f"{store}/{MATCHES - 1}")
            beyond = await call(buyer.address, f"{store}/{MATCHES}")
        assert (last.status, beyond.status) == (200, 403)
        assert load.total
        assert load.failed == {}
