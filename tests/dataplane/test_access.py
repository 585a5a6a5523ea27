"""Whom real Envoys let in, and to what."""

from __future__ import annotations

import asyncio

from loopback_mesh import Answer, Mesh, call, call_on

from meshlab.dataplane.envoy import names
from meshlab.mesh.identity import Identity
from meshlab.mesh.rules import HttpMatch, HttpRule, Permission, TcpRule

HOST = "http://bookstore.bookstore:14001"
STORE, BUYER, THIEF = (Identity(name, name) for name in ("bookstore", "bookbuyer", "bookthief"))
READ = HttpMatch("read", "/books-bought", frozenset({"GET"}))
BUY = HttpMatch("buy", "/buy-a-book/new")


def permit(
    name: str, *sources: Identity, matches: tuple[HttpMatch, ...] | None = None, ports: tuple[int, ...] | None = None
) -> Permission:
    return Permission(
        f"bookstore/{name}",
        STORE,
        frozenset(sources),
        http_rules=() if matches is None else (HttpRule("bookstore/routes", matches),),
        tcp_rules=() if ports is None else (TcpRule("bookstore/ports", ports),),
    )


async def allow(mesh: Mesh, *permissions: Permission) -> None:
    mesh.permissive, mesh.permissions = False, permissions
    await mesh.push()


async def ask(mesh: Mesh, who: str, path: str = "/books-bought", **options: object) -> Answer:
    return await call(mesh.pods[who].address, HOST + path, **options)  # type: ignore[arg-type]


async def test_permissive_mode_lets_every_identity_in(bookshop: Mesh):
    assert (await ask(bookshop, "bookbuyer")).status == 200
    assert (await ask(bookshop, "bookthief")).status == 200


async def test_without_a_permission_nobody_comes_in(bookshop: Mesh):
    await allow(bookshop)
    assert (await ask(bookshop, "bookbuyer")).status == 403
    assert (await ask(bookshop, "bookthief")).status == 403
    assert bookshop.pods["bookstore-v1"].requests == bookshop.pods["bookstore-v2"].requests == []


async def test_a_source_comes_in_and_others_do_not(bookshop: Mesh):
    await allow(bookshop, permit("buyer", BUYER, matches=(READ, BUY)))
    assert (await ask(bookshop, "bookbuyer")).status == 200
    assert (await ask(bookshop, "bookbuyer", "/buy-a-book/new")).status == 200
    assert (await ask(bookshop, "bookthief")).status == 403


async def test_a_refusal_is_enforced_on_connections_that_are_open(bookshop: Mesh):
    await allow(bookshop, permit("both", BUYER, THIEF))
    reader, writer = await asyncio.open_connection(bookshop.pods["bookthief"].address, names.OUTBOUND_PORT)
    url = f"{HOST}/books-bought"
    assert [(await call_on(reader, writer, url)).status for _ in range(4)] == [200] * 4
    await allow(bookshop, permit("buyer", BUYER))
    assert [(await call_on(reader, writer, url)).status for _ in range(4)] == [403] * 4
    await allow(bookshop, permit("both", BUYER, THIEF))
    assert [(await call_on(reader, writer, url)).status for _ in range(4)] == [200] * 4
    writer.close()


async def test_path_method_and_headers_must_all_hold(bookshop: Mesh):
    match = HttpMatch("m", "/books-[a-z]+", frozenset({"GET", "POST"}), (("client-app", "book.*"), ("x-day", "monday")))
    await allow(bookshop, permit("buyer", BUYER, matches=(match,)))
    good = {"client-app": "bookbuyer", "x-day": "monday"}
    assert (await ask(bookshop, "bookbuyer", headers=good)).status == 200
    assert (await ask(bookshop, "bookbuyer", headers=good, method="POST")).status == 200
    assert (await ask(bookshop, "bookbuyer", headers=good, method="DELETE")).status == 403
    assert (await ask(bookshop, "bookbuyer", headers={**good, "x-day": "sunday"})).status == 403
    assert (await ask(bookshop, "bookbuyer", headers={"client-app": "bookbuyer"})).status == 403
    assert (await ask(bookshop, "bookbuyer", "/books-1", headers=good)).status == 403


async def test_the_path_is_matched_in_full_and_without_its_query(bookshop: Mesh):
    await allow(bookshop, permit("buyer", BUYER, matches=(READ,)))
    assert (await ask(bookshop, "bookbuyer", "/books-bought?since=monday")).status == 200
    assert (await ask(bookshop, "bookbuyer", "/books-bought/all")).status == 403
    assert (await ask(bookshop, "bookbuyer", "/my/books-bought")).status == 403


async def test_a_path_can_not_be_dressed_up_as_another(bookshop: Mesh):
    await allow(bookshop, permit("buyer", BUYER, matches=(HttpMatch("public", "/public/.*"),)))
    assert (await ask(bookshop, "bookbuyer", "/public/list")).status == 200
    for path in ("/public/../private", "/public/%2e%2e/private"):
        assert (await ask(bookshop, "bookbuyer", path)).status == 403


async def test_a_host_header_rule_looks_at_the_authority(bookshop: Mesh):
    await allow(bookshop, permit("buyer", BUYER, matches=(HttpMatch("h", headers=(("host", "bookstore\\..*"),)),)))
    assert (await ask(bookshop, "bookbuyer")).status == 200
    await allow(bookshop, permit("buyer", BUYER, matches=(HttpMatch("h", headers=(("host", "other"),)),)))
    assert (await ask(bookshop, "bookbuyer")).status == 403


async def test_permissions_are_a_union_and_their_parts_do_not_mix(bookshop: Mesh):
    await allow(
        bookshop,
        permit("here", BUYER, matches=(READ,), ports=(14001,)),
        permit("elsewhere", BUYER, matches=(BUY,), ports=(9999,)),
        permit("thief", THIEF, matches=(BUY,)),
    )
    assert (await ask(bookshop, "bookbuyer")).status == 200
    assert (await ask(bookshop, "bookbuyer", "/buy-a-book/new")).status == 403
    assert (await ask(bookshop, "bookthief", "/buy-a-book/new")).status == 200


async def test_ports_alone_place_no_condition_on_requests(bookshop: Mesh):
    await allow(bookshop, permit("buyer", BUYER, ports=()), permit("thief", THIEF, ports=(1, 2)))
    assert (await ask(bookshop, "bookbuyer", "/anything", method="DELETE")).status == 200
    assert (await ask(bookshop, "bookthief")).status == 403


async def test_a_dangling_rule_admits_nothing(bookshop: Mesh):
    missing = Permission(
        "bookstore/p", STORE, frozenset({BUYER}), http_rules=(HttpRule("bookstore/x", (), dangling=True),)
    )
    udp = Permission("bookstore/u", STORE, frozenset({BUYER}), udp_only=True)
    await allow(bookshop, missing, udp)
    assert (await ask(bookshop, "bookbuyer")).status == 403
