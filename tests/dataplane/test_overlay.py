"""Overlays on real Envoys: what fits is in force, what Envoy would refuse is known before, and others never notice."""

from __future__ import annotations

import json
from typing import Any

import pytest
import wasmtime
from loopback_mesh import Mesh, call

from meshlab.dataplane import Credentials
from meshlab.dataplane.envoy import names
from meshlab.mesh.overlay import Direction, Filter, Language, Overlay, Patch
from meshlab.mesh.project import project

URL = "http://bookstore.bookstore:14001/books-bought"
COUNT = b"""
local calls = 0
function envoy_on_response(handle)
  calls = calls + 1
  handle:headers():replace("x-calls", tostring(calls))
end
"""
MODULE = """
(module
  (memory (export "memory") 1)
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 1024))
  (func (export "proxy_on_context_create") (param i32 i32))
  {more}
)
"""
TRAPS_AT_START = '(func (export "proxy_on_vm_start") (param i32 i32) (result i32) unreachable)'
TRAPS_ON_REQUESTS = '(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) unreachable)'


def module(more: str) -> bytes:
    return bytes(wasmtime.wat2wasm(MODULE.replace("{more}", more)))


def on_the_store(*filters: Filter, patches: tuple[Patch, ...] = (), name: str = "o") -> Overlay:
    return Overlay("bookstore", name, patches=patches, filters=filters)


def patch(kind: str, name: str, *operations: dict[str, Any]) -> Patch:
    return Patch(kind, name, tuple(json.dumps(operation) for operation in operations))


def inbound(language: Language, code: bytes, *, fail_open: bool = False) -> Filter:
    return Filter("mine", Direction.INBOUND, language, code, fail_open=fail_open)


async def reason(mesh: Mesh, overlay: Overlay) -> str:
    """Why an Envoy would refuse the overlaid resources."""
    workload = mesh.pods["bookstore-v1"].workload
    shown = Credentials(mesh.svids[workload.identity], await mesh.ca.bundle())
    laid = mesh.plane.raw.overlay(mesh.plane.compile(project(mesh.world(), workload), shown), [overlay])
    assert laid.misfits == ()
    return await mesh.plane.raw.examine([change.after for change in laid.changes])


async def test_a_lua_filter_counts_what_the_policies_let_pass(bookshop: Mesh):
    bookshop.overlays = (on_the_store(inbound(Language.LUA, COUNT)),)
    assert await reason(bookshop, bookshop.overlays[0]) == ""
    await bookshop.push()
    buyer = bookshop.pods["bookbuyer"].address
    counted = [(await call(buyer, URL)).headers["x-calls"] for _ in range(6)]
    assert "2" in counted


async def test_a_patch_changes_the_routes_of_chosen_proxies(bookshop: Mesh):
    added = [{"header": {"key": "x-shop", "value": "ours"}}]
    changes = patch("Route", "rds-inbound.*", {"op": "add", "path": "/response_headers_to_add", "value": added})
    bookshop.overlays = (on_the_store(patches=(changes,)),)
    await bookshop.push()
    assert (await call(bookshop.pods["bookbuyer"].address, URL)).headers["x-shop"] == "ours"
    bookshop.overlays = ()
    await bookshop.push()
    assert "x-shop" not in (await call(bookshop.pods["bookbuyer"].address, URL)).headers


async def test_what_envoy_would_refuse_is_known_before_a_proxy_is_told(bookshop: Mesh):
    bad_lua = on_the_store(inbound(Language.LUA, b"function oops("))
    assert "script load error" in await reason(bookshop, bad_lua)
    bad_start = on_the_store(inbound(Language.WASM, module(TRAPS_AT_START)))
    assert "proxy_on_vm_start failed: Uncaught RuntimeError: unreachable" in await reason(bookshop, bad_start)
    crash = patch(
        "Cluster",
        "bookstore/bookstore|14001",
        {"op": "replace", "path": "/type", "value": "STATIC"},
        {"op": "remove", "path": "/eds_cluster_config"},
    )
    assert "Envoy itself would crash" in await reason(bookshop, on_the_store(patches=(crash,)))


@pytest.mark.parametrize(("fail_open", "statuses"), [(False, [503, 503, 503]), (True, [503, 200, 200])])
async def test_a_module_that_traps_is_reported_and_harms_nobody_else(
    bookshop: Mesh, fail_open: bool, statuses: list[int]
):
    traps = inbound(Language.WASM, module(TRAPS_ON_REQUESTS), fail_open=fail_open)
    only_v1 = Overlay("bookstore", "traps", labels=(("pod", "bookstore-v1"),), filters=(traps,))
    bookshop.overlays = (only_v1,)
    await bookshop.push()
    buyer = bookshop.pods["bookbuyer"].address
    v1, v2 = ("http://bookstore-v1.bookstore:14001/", "http://bookstore-v2.bookstore:14001/")
    assert [(await call(buyer, v1)).status for _ in range(3)] == statuses
    assert [(await call(buyer, v2)).status for _ in range(3)] == [200] * 3
    if not fail_open:  # else it is told in the proxy's log alone
        await bookshop.eventually(lambda: any(map(bookshop.plane.raw.blames_filter, bookshop.exchanges)))


async def test_a_proxy_that_cannot_do_what_it_is_told_keeps_what_it_has(bookshop: Mesh):
    """No trial can find this: the address is one that this proxy alone can't have."""
    elsewhere = {"op": "replace", "path": "/address/socket_address/address", "value": "192.0.2.1"}
    bookshop.overlays = (on_the_store(patches=(patch("Listener", "inbound-listener", elsewhere),)),)
    assert await reason(bookshop, bookshop.overlays[0]) == ""
    for node, generation in bookshop.set_snapshots(bookshop.world(), await bookshop.ca.bundle()).items():
        status = await bookshop.server.proxies.settled(node, generation, timeout=5)
        if node.startswith("bookstore"):
            assert "inbound-listener" in status.refused[names.LISTENER]
    assert (await call(bookshop.pods["bookbuyer"].address, URL)).status == 200
