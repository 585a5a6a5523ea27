"""Discovery over mutual TLS: who is served, what is reported, and what it costs not to answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import grpc
import pytest
from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest, DeltaDiscoveryResponse
from made_up import PARTS, PLACES, STAGES, ack, ask, nack, names, part, place, snapshot

from meshlab.controlplane import manners
from meshlab.identity import CertificateAuthority, Svid, new_svid
from meshlab.mesh.identity import Identity
from meshlab.xds import AdsServer, KeyPair, credentials
from meshlab.xds.server import SERVICE
from meshlab.xds.tls import node_name

CONTROLLER, TILL, OTHER = Identity("mesh", "controller"), Identity("shop", "till"), Identity("shop", "thief")
NODE = "till-1.shop"


class Running:
    """A server and what is needed to be its client."""

    def __init__(self, server: AdsServer, ca: CertificateAuthority, port: int) -> None:
        self.server, self.ca, self.port = server, ca, port

    async def svid(self, node: str = NODE, identity: Identity = TILL) -> Svid:
        return await new_svid(self.ca, identity, names=[node_name(node)])

    @asynccontextmanager
    async def stream(self, svid: Svid) -> AsyncIterator[grpc.aio.StreamStreamCall]:
        shown = grpc.ssl_channel_credentials(await self.ca.bundle(), svid.key, svid.chain)
        options = [("grpc.ssl_target_name_override", "controller")]
        async with grpc.aio.secure_channel(f"127.0.0.1:{self.port}", shown, options) as channel:
            method = channel.stream_stream(
                f"/{SERVICE}/DeltaAggregatedResources",
                request_serializer=DeltaDiscoveryRequest.SerializeToString,
                response_deserializer=DeltaDiscoveryResponse.FromString,
            )
            yield method()


@pytest.fixture
async def running() -> AsyncIterator[Running]:
    ca = CertificateAuthority.create()
    own = await new_svid(ca, CONTROLLER, names=["controller"])
    pair = KeyPair(own.key, own.chain, await ca.bundle())
    server = AdsServer(STAGES)
    port = await server.start("127.0.0.1:0", credentials(lambda: pair))
    yield Running(server, ca, port)
    await server.stop()


def as_node(node: str, request: DeltaDiscoveryRequest) -> DeltaDiscoveryRequest:
    request.node.id = node
    return request


async def test_a_snapshot_reaches_its_proxy_and_its_answer_is_reported(running: Running):
    state = snapshot(place("a"))
    generation = running.server.set_snapshot(NODE, state)
    async with running.stream(await running.svid()) as call:
        await call.write(as_node(NODE, ask(PLACES)))
        response = await call.read()
        assert names(response) == ["a"]
        assert running.server.proxies[NODE].settled < generation
        await call.write(ack(response))
        status = await running.server.proxies.settled(NODE, generation, timeout=5)
        assert status.settled == generation
        assert status.spiffe_id == TILL.spiffe_id()
        assert status.types[PLACES].acked == status.types[PLACES].sent == state.version_of(PLACES)
        assert status.settled_ms is not None
        assert status.connected


async def test_a_change_is_pushed_without_being_asked_for(running: Running):
    running.server.set_snapshot(NODE, snapshot(place("a"), place("b")))
    async with running.stream(await running.svid()) as call:
        await call.write(as_node(NODE, ask(PLACES)))
        await call.write(ack(await call.read()))
        running.server.set_snapshot(NODE, snapshot(place("a"), place("b", "new")))
        assert names(await asyncio.wait_for(call.read(), 5)) == ["b"]


async def test_an_equal_snapshot_is_no_change(running: Running):
    first = running.server.set_snapshot(NODE, snapshot(place("a")))
    assert running.server.set_snapshot(NODE, snapshot(place("a"))) == first


async def test_a_refusal_is_reported_with_its_reason_and_settles(running: Running):
    generation = running.server.set_snapshot(NODE, snapshot(place("a")))
    async with running.stream(await running.svid()) as call:
        await call.write(as_node(NODE, ask(PLACES)))
        await call.write(nack(await call.read(), "a is no place"))
        status = await running.server.proxies.settled(NODE, generation, timeout=5)
        assert status.refused == {PLACES: "a is no place"}
        assert status.types[PLACES].acked == ""


async def test_beyond_a_limit_proxies_are_turned_away_and_those_that_are_served_stay(running: Running):
    late = "till-2.shop"
    for node in (NODE, late):
        running.server.set_snapshot(node, snapshot(place("a")))
    running.server.most = 1
    async with running.stream(await running.svid()) as first, running.stream(await running.svid(late)) as second:
        await first.write(as_node(NODE, ask(PLACES)))
        await first.write(ack(await first.read()))
        await second.write(as_node(late, ask(PLACES)))
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await second.read()
        assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        running.server.set_snapshot(NODE, snapshot(place("b")))
        assert names(await asyncio.wait_for(first.read(), 5)) == ["b"]
        async with running.stream(await running.svid()) as again:
            await again.write(as_node(NODE, ask(PLACES)))
            assert names(await asyncio.wait_for(again.read(), 5)) == ["b"]


async def test_a_proxy_can_not_pass_for_another(running: Running):
    running.server.set_snapshot("till-2.shop", snapshot(place("secret")))
    async with running.stream(await running.svid(NODE)) as call:
        await call.write(as_node("till-2.shop", ask(PLACES)))
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call.read()
    assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
    assert "till-2.shop" in (refused.value.details() or "")


async def test_a_pod_of_the_same_name_but_another_account_gets_nothing(running: Running):
    running.server.set_snapshot(NODE, snapshot(place("secret")))
    async with running.stream(await running.svid(NODE, OTHER)) as call:
        await call.write(as_node(NODE, ask(PLACES)))
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call.read()
    assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_a_stranger_is_refused_by_the_handshake(running: Running):
    strange = CertificateAuthority.create()
    svid = await new_svid(strange, TILL, names=[node_name(NODE)])
    async with running.stream(svid) as call:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await _asked(call, as_node(NODE, ask(PLACES)))
    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_a_proxy_may_connect_before_its_snapshot_is_known(running: Running):
    async with running.stream(await running.svid()) as call:
        await call.write(as_node(NODE, ask(PLACES)))
        await asyncio.wait_for(_until(lambda: running.server.proxies[NODE].connected), 5)
        running.server.set_snapshot(NODE, snapshot(place("late")))
        assert names(await asyncio.wait_for(call.read(), 5)) == ["late"]


async def test_a_proxy_that_never_answers_holds_up_nobody(running: Running):
    silent, diligent = "silent.shop", "diligent.shop"
    async with running.stream(await running.svid(silent)) as one, running.stream(await running.svid(diligent)) as two:
        for node, call in ((silent, one), (diligent, two)):
            running.server.set_snapshot(node, snapshot(place("a", "0")))
            await call.write(as_node(node, ask(PLACES)))
        for number in range(1, 50):
            running.server.set_snapshot(silent, snapshot(place("a", str(number))))
        generation = running.server.set_snapshot(diligent, snapshot(place("a", "1")))
        waiting = asyncio.create_task(running.server.proxies.settled(diligent, generation, timeout=5))
        while not waiting.done():
            reading = asyncio.create_task(two.read())
            await asyncio.wait((reading, waiting), return_when=asyncio.FIRST_COMPLETED)
            if reading.done():
                await two.write(ack(reading.result()))
            else:
                reading.cancel()
        assert waiting.result().settled == generation
        assert running.server.proxies[silent].settled == 0


async def test_a_proxy_that_does_not_answer_is_named(running: Running, monkeypatch: pytest.MonkeyPatch):
    running.server.set_snapshot(NODE, snapshot(place("a")))
    async with running.stream(await running.svid()) as call:
        await call.write(as_node(NODE, ask(PLACES)))
        response = await call.read()
        assert running.server.silent() == {}
        monkeypatch.setattr("meshlab.xds.server._PATIENCE_SECONDS", 0.0)
        assert set(running.server.silent()) == {NODE}
        (finding,) = manners.findings(running.server)
        assert str(finding).startswith(f"ML370 proxy {NODE}: acknowledgement: it has been told something 0 s ago")
        await call.write(ack(response))
        await asyncio.wait_for(_until(lambda: not running.server.silent()), 5)


async def test_a_proxy_that_never_stops_asking_waits_and_the_others_do_not(
    running: Running, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("meshlab.xds.pace._AT_ONCE", 50.0)
    loud, calm = "loud.shop", "calm.shop"
    for node in (loud, calm):
        running.server.set_snapshot(node, snapshot(place("a")))
    async with running.stream(await running.svid(loud)) as flood, running.stream(await running.svid(calm)) as call:
        await flood.write(as_node(loud, ask(PLACES)))

        async def ask_on_and_on() -> None:
            while True:
                await flood.write(ask(PARTS, "no such"))

        flooding = asyncio.create_task(ask_on_and_on())
        await asyncio.wait_for(_until(lambda: running.server.slowed() == [loud]), 5)
        await call.write(as_node(calm, ask(PLACES)))
        await call.write(ack(await asyncio.wait_for(call.read(), 5)))
        for number in range(20):
            generation = running.server.set_snapshot(calm, snapshot(place("a", str(number))))
            await call.write(ack(await asyncio.wait_for(call.read(), 5)))
            status = await running.server.proxies.settled(calm, generation, timeout=5)
            assert status.settled == generation
        assert running.server.slowed() == [loud]
        assert [(finding.code, finding.about) for finding in manners.findings(running.server)] == [
            ("ML371", f"proxy {loud}")
        ]
        flooding.cancel()


async def test_a_proxy_that_asks_for_names_without_end_is_cut_off(running: Running):
    running.server.set_snapshot(NODE, snapshot(place("a")))
    async with running.stream(await running.svid()) as call:
        await call.write(as_node(NODE, ask(PARTS, "p")))
        with pytest.raises(grpc.aio.AioRpcError) as refused:  # noqa: PT012  # whichever of the two sees it first
            for number in range(3):
                await call.write(ask(PARTS, *(f"{number}-{part}" for part in range(9_999))))
            while True:
                await call.read()
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_a_newer_stream_of_the_same_proxy_replaces_the_older(running: Running):
    running.server.set_snapshot(NODE, snapshot(place("a")))
    svid = await running.svid()
    async with running.stream(svid) as old, running.stream(svid) as new:
        await old.write(as_node(NODE, ask(PLACES)))
        await old.read()
        await new.write(as_node(NODE, ask(PLACES)))
        assert names(await asyncio.wait_for(new.read(), 5)) == ["a"]
        assert await asyncio.wait_for(old.read(), 5) is grpc.aio.EOF
        assert running.server.proxies[NODE].connected


async def test_a_proxy_that_leaves_is_reported_gone_and_a_forgotten_one_is_unknown(running: Running):
    running.server.set_snapshot(NODE, snapshot(place("a"), part("p")))
    async with running.stream(await running.svid()) as call:
        await call.write(as_node(NODE, ask(PLACES)))
        await call.read()
    await asyncio.wait_for(_until(lambda: not running.server.proxies[NODE].connected), 5)
    running.server.forget(NODE)
    assert running.server.proxies.all() == []


async def test_the_server_shows_a_renewed_certificate_to_the_next_client():
    ca = CertificateAuthority.create()
    own = [await new_svid(ca, CONTROLLER, names=["controller"], lifetime=timedelta(hours=hours)) for hours in (1, 2)]
    pairs = [KeyPair(svid.key, svid.chain, await ca.bundle()) for svid in own]
    shown = [pairs[0]]
    server = AdsServer(STAGES)
    port = await server.start("127.0.0.1:0", credentials(lambda: shown[0]))
    running = Running(server, ca, port)
    server.set_snapshot(NODE, snapshot(place("a")))
    try:
        for pair in pairs:
            shown[0] = pair
            async with running.stream(await running.svid()) as call:
                await call.write(as_node(NODE, ask(PLACES)))
                assert names(await call.read()) == ["a"]
    finally:
        await server.stop()


async def _asked(call: grpc.aio.StreamStreamCall, request: DeltaDiscoveryRequest) -> DeltaDiscoveryResponse:
    await call.write(request)
    return await call.read()


async def _until(condition) -> None:
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0.005)
