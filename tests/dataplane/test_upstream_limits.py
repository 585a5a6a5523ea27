"""OSM's demos of circuit breaking, retries and rate limits, with manifests as OSM's users write them."""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from pathlib import Path

import pytest
from loopback_mesh import Mesh, call, call_on

from meshlab.dataplane.envoy import names
from meshlab.mesh.identity import Identity
from meshlab.mesh.rules import Permission
from meshlab.mesh.service import Protocol

URL = "http://bookstore.bookstore:14001/books-bought"
BUYER, STORE = Identity("bookbuyer", "bookbuyer"), Identity("bookstore", "bookstore")

SETTING = """
apiVersion: policy.openservicemesh.io/v1alpha1
kind: UpstreamTrafficSetting
metadata: {{name: bookstore, namespace: bookstore}}
spec:
  host: bookstore.bookstore.svc.cluster.local
  {spec}
"""
BREAKER = SETTING.format(
    spec="connectionSettings: {tcp: {maxConnections: 1}, http: {maxPendingRequests: 1, maxRequestsPerConnection: 1}}"
)
RETRY = """
apiVersion: policy.openservicemesh.io/v1alpha1
kind: Retry
metadata: {name: patient, namespace: bookbuyer}
spec:
  source: {kind: ServiceAccount, name: bookbuyer, namespace: bookbuyer}
  destinations:
  - {kind: Service, name: bookstore, namespace: bookstore}
  retryPolicy: {retryOn: 5xx, perTryTimeout: 1s, numRetries: 5, retryBackoffBaseInterval: 1ms}
"""


@pytest.fixture
async def shop(mesh: Mesh) -> Mesh:
    """bookbuyer calls bookstore; nothing else is there."""
    await mesh.pod("bookbuyer", app=False)
    await mesh.pod("bookstore")
    mesh.service("bookstore/bookstore", "bookstore")
    await mesh.push()
    return mesh


async def calls(mesh: Mesh, count: int, at_once: int = 1, url: str = URL) -> Counter[int]:
    """The statuses of so many requests, over so many connections that each ask again when answered."""
    left, statuses = iter(range(count)), Counter[int]()

    async def client() -> None:
        reader, writer = await asyncio.open_connection(mesh.pods["bookbuyer"].address, names.OUTBOUND_PORT)
        for _ in left:
            statuses[(await call_on(reader, writer, url)).status] += 1
        writer.close()

    await asyncio.gather(*(client() for _ in range(at_once)))
    return statuses


async def test_circuit_breaking_refuses_what_is_too_much_at_a_time_and_counts_it(shop: Mesh):
    assert await calls(shop, 50, at_once=3) == {200: 50}
    await shop.apply(BREAKER)
    statuses = await calls(shop, 50, at_once=3)
    assert set(statuses) == {200, 503}
    overflows = "^cluster.bookstore.bookstore|14001.upstream_rq_pending_overflow$".replace("|", "\\|")
    assert await asyncio.to_thread(shop.stat, "bookbuyer", overflows) == statuses[503]
    await shop.apply()
    assert await calls(shop, 50, at_once=3) == {200: 50}


async def test_a_retry_makes_calls_again_that_failed_as_often_as_it_says(shop: Mesh):
    app = shop.pods["bookstore"]
    app.status = 503
    assert await calls(shop, 1) == {503: 1}
    assert len(app.requests) == 1
    await shop.apply(RETRY)
    assert await calls(shop, 1) == {503: 1}
    assert len(app.requests) == 1 + 1 + 5
    assert await asyncio.to_thread(shop.stat, "bookbuyer", "^cluster.bookstore.*upstream_rq_retry$") == 5
    app.status = 404
    assert await calls(shop, 1) == {404: 1}
    assert len(app.requests) == 8


async def test_a_retry_changes_nothing_for_other_clients(shop: Mesh):
    await shop.pod("bookthief", app=False)
    shop.pods["bookstore"].status = 503
    await shop.apply(RETRY)
    assert (await call(shop.pods["bookthief"].address, URL)).status == 503
    assert len(shop.pods["bookstore"].requests) == 1


async def test_a_rate_of_three_a_minute_answers_three_of_ten_and_a_burst_of_ten_lets_all_pass(shop: Mesh):
    await shop.apply(SETTING.format(spec="rateLimit: {local: {http: {requests: 3, unit: minute}}}"))
    assert await calls(shop, 10) == {200: 3, 429: 7}
    assert len(shop.pods["bookstore"].requests) == 3
    await shop.apply(SETTING.format(spec="rateLimit: {local: {http: {requests: 3, unit: minute, burst: 10}}}"))
    assert await calls(shop, 10) == {200: 10}


async def test_a_path_may_have_a_rate_and_an_answer_of_its_own(shop: Mesh):
    rate = "{requests: 1, unit: hour, responseStatusCode: 503, responseHeadersToAdd: [{name: x-why, value: slower}]}"
    await shop.apply(SETTING.format(spec=f"httpRoutes: [{{path: /books.*, rateLimit: {{local: {rate}}}}}]"))
    assert await calls(shop, 3, url=URL.replace("books-bought", "other")) == {200: 3}
    assert await calls(shop, 2, url=URL + "?a=b") == {200: 1, 503: 1}
    refused = await call(shop.pods["bookbuyer"].address, URL)
    assert (refused.status, refused.headers["x-why"]) == (503, "slower")


async def test_who_may_not_come_in_uses_nothing_of_the_rate(shop: Mesh):
    await shop.pod("bookthief", app=False)
    shop.permissive, shop.permissions = False, (Permission("bookstore/buy", STORE, frozenset({BUYER})),)
    await shop.apply(SETTING.format(spec="rateLimit: {local: {http: {requests: 1, unit: hour}}}"))
    assert (await call(shop.pods["bookthief"].address, URL)).status == 403
    assert await calls(shop, 2) == {200: 1, 429: 1}


async def test_connections_beyond_a_rate_are_closed_before_a_word_is_said(shop: Mesh, tmp_path: Path):
    shop.protocol = Protocol.TCP
    await shop.apply(SETTING.format(spec="rateLimit: {local: {tcp: {connections: 1, unit: hour}}}"))
    context, store = await speaking_as(shop, BUYER, tmp_path), shop.pods["bookstore"]
    said = [await say(context, store.address) for _ in range(4)]
    assert [line[:12] for line in said] == [b"HTTP/1.1 200", b"", b"", b""]
    assert len(store.requests) == 1


async def speaking_as(mesh: Mesh, identity: Identity, folder: Path) -> ssl.SSLContext:
    """TLS as an identity's proxy speaks it."""
    (folder / "pem").write_bytes(mesh.svids[identity].chain + mesh.svids[identity].key)
    context = ssl.create_default_context(cadata=(await mesh.ca.bundle()).decode())
    context.load_cert_chain(folder / "pem")
    context.check_hostname = False
    context.set_alpn_protocols([names.ALPN])
    return context


async def say(context: ssl.SSLContext, address: str) -> bytes:
    """What is answered to bytes sent to bookstore's proxy; nothing where the connection is closed."""
    sni = "14001.bookstore.bookstore.svc.cluster.local"
    try:
        reader, writer = await asyncio.open_connection(address, names.INBOUND_PORT, ssl=context, server_hostname=sni)
    except ConnectionError:
        return b""
    writer.write(b"GET / HTTP/1.1\r\n\r\n")
    try:
        return await reader.readline()
    except ConnectionError:
        return b""
    finally:
        writer.close()
