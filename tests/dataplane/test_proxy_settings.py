"""What MeshConfig says for every proxy: whom they ask about requests, whom they tell of them, and how they speak."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import grpc
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from envoy.service.auth.v3.external_auth_pb2 import CheckRequest, CheckResponse, DeniedHttpResponse
from envoy.type.v3.http_status_pb2 import HttpStatus
from google.rpc.status_pb2 import Status
from loopback_mesh import Mesh, call

from meshlab.mesh.identity import Identity

URL = "http://bookstore.bookstore:14001/books-bought"
BUYER, STORE = Identity("bookbuyer", "bookbuyer"), Identity("bookstore", "bookstore")

MESH_CONFIG = """
apiVersion: config.openservicemesh.io/v1alpha2
kind: MeshConfig
metadata: {{name: meshlab-mesh-config, namespace: meshlab-system}}
spec:
  {spec}
"""

_TOLD_AT_ONCE = 5
"""So many spans an Envoy sends without waiting for its next turn."""


@pytest.fixture
async def shop(mesh: Mesh) -> Mesh:
    await mesh.pod("bookbuyer", app=False)
    await mesh.pod("bookstore")
    mesh.service("bookstore/bookstore", "bookstore")
    await mesh.push()
    return mesh


async def status(mesh: Mesh, **headers: str) -> int:
    return (await call(mesh.pods["bookbuyer"].address, URL, headers=headers)).status


async def set_for_new_connections(mesh: Mesh, *manifests: str) -> None:
    """Proxies keep the way they speak on open connections; a sidecar ends these within five seconds."""
    await mesh.apply(*manifests)
    async with mesh.turning_clients_away("bookstore"):
        await status(mesh)


@dataclass
class Guard:
    """A service of external authorization: lets in who carries a ticket."""

    port: int = 0
    asked: list[CheckRequest] = field(default_factory=list)
    server: grpc.aio.Server = field(default_factory=grpc.aio.server)

    async def check(self, request: CheckRequest, context: object) -> CheckResponse:
        self.asked.append(request)
        if request.attributes.request.http.headers.get("ticket") == "yes":
            return CheckResponse(status=Status(code=0))
        return CheckResponse(
            status=Status(code=7), denied_response=DeniedHttpResponse(status=HttpStatus(code=401), body="no ticket")
        )


@pytest.fixture
async def guard() -> AsyncIterator[Guard]:
    guard = Guard()
    method = grpc.unary_unary_rpc_method_handler(
        guard.check, request_deserializer=CheckRequest.FromString, response_serializer=CheckResponse.SerializeToString
    )
    service = "envoy.service.auth.v3.Authorization"
    guard.server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {"Check": method}),))
    guard.port = guard.server.add_insecure_port("127.0.0.1:0")
    await guard.server.start()
    yield guard
    await guard.server.stop(None)


def asking(port: int, more: str = "") -> str:
    asked = f"{{enable: true, address: 127.0.0.1, port: {port}, statPrefix: guard, timeout: 5s{more}}}"
    return MESH_CONFIG.format(spec=f"traffic: {{inboundExternalAuthorization: {asked}}}")


async def test_an_external_authorization_is_asked_who_calls_whom_and_its_answer_holds(shop: Mesh, guard: Guard):
    await shop.apply(asking(guard.port))
    assert [await status(shop, ticket="yes"), await status(shop)] == [200, 401]
    (seen, _) = guard.asked
    assert (seen.attributes.source.principal, seen.attributes.destination.principal) == (
        BUYER.spiffe_id(),
        STORE.spiffe_id(),
    )
    assert seen.attributes.request.http.path == "/books-bought"
    await set_for_new_connections(shop)
    assert await status(shop) == 200


async def test_it_is_not_asked_about_what_policies_refuse(shop: Mesh, guard: Guard):
    shop.permissive = False
    await shop.apply(asking(guard.port))
    assert await status(shop, ticket="yes") == 403
    assert guard.asked == []


async def test_while_it_is_away_requests_are_refused_unless_they_are_to_pass(shop: Mesh, guard: Guard):
    await shop.apply(asking(guard.port))
    await guard.server.stop(None)
    assert await status(shop, ticket="yes") == 403
    await set_for_new_connections(shop, asking(guard.port, ", failureModeAllow: true"))
    assert await status(shop) == 200


async def test_both_proxies_of_a_call_tell_the_collector_of_it_in_one_trace(shop: Mesh):
    told: asyncio.Queue[list[dict]] = asyncio.Queue()

    async def collect(request: web.Request) -> web.Response:
        told.put_nowait(await request.json())
        return web.Response(status=202)

    app = web.Application()
    app.add_routes([web.post("/spans", collect)])
    async with TestServer(app) as collector:
        tracing = f"{{enable: true, address: 127.0.0.1, port: {collector.port}, endpoint: /spans}}"
        await shop.apply(MESH_CONFIG.format(spec=f"observability: {{tracing: {tracing}}}"))
        for _ in range(_TOLD_AT_ONCE):
            assert await status(shop) == 200
        spans: list[dict] = []
        async with asyncio.timeout(15):
            while len(spans) < 2 * _TOLD_AT_ONCE:
                spans += await told.get()
    traces = {span["traceId"] for span in spans}
    for trace in traces:
        told_by = sorted(span["localEndpoint"]["serviceName"] for span in spans if span["traceId"] == trace)
        assert told_by == [str(BUYER), str(STORE)]
    assert len(traces) == _TOLD_AT_ONCE
    assert "x-b3-traceid" in shop.pods["bookstore"].requests[-1]


async def test_proxies_speak_the_versions_ciphers_and_curves_of_tls_that_are_set(shop: Mesh):
    spec = (
        "sidecar: {tlsMaxProtocolVersion: TLSv1_2, cipherSuites: [ECDHE-ECDSA-CHACHA20-POLY1305], ecdhCurves: [P-256]}"
    )
    await shop.apply(MESH_CONFIG.format(spec=spec))
    assert await status(shop) == 200
    await shop.eventually(lambda: len(shop.exchanges) == 2)
    assert {exchange.tls_version for exchange in shop.exchanges} == {"TLSv1.2"}
    used = "^listener.*ssl\\.(ciphers|curves).(ECDHE-ECDSA-CHACHA20-POLY1305|P-256)$"
    assert await asyncio.to_thread(shop.stat, "bookstore", used) == 2


async def test_only_the_newest_tls_can_be_asked_for(shop: Mesh):
    await shop.apply(MESH_CONFIG.format(spec="sidecar: {tlsMinProtocolVersion: TLSv1_3}"))
    assert await status(shop) == 200
    assert await asyncio.to_thread(shop.stat, "bookstore", "^listener.*ssl.versions.TLSv1.3$") == 1
