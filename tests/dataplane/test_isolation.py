"""A proxy with a valid certificate of its own gets its own identity's key and configuration, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
import pytest
from envoy.extensions.transport_sockets.tls.v3.secret_pb2 import Secret
from envoy.service.accesslog.v3.als_pb2 import StreamAccessLogsMessage, StreamAccessLogsResponse
from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest, DeltaDiscoveryResponse
from loopback_mesh import Mesh

from meshlab.dataplane.envoy import names, receiver
from meshlab.identity import Svid, new_svid, verify
from meshlab.mesh.identity import Identity
from meshlab.xds import server
from meshlab.xds.tls import node_name

THIEF = Identity("bookthief", "bookthief")
STORE_NODE, THIEF_NODE = "bookstore-v1.bookstore", "bookthief.bookthief"


@asynccontextmanager
async def dialled(mesh: Mesh, svid: Svid) -> AsyncIterator[grpc.aio.Channel]:
    shown = grpc.ssl_channel_credentials(await mesh.ca.bundle(), svid.key, svid.chain)
    options = [("grpc.ssl_target_name_override", "meshlab-controller.meshlab-system.svc")]
    async with grpc.aio.secure_channel(f"{mesh.host}.1:{mesh.port}", shown, options) as channel:
        yield channel


def discovery(channel: grpc.aio.Channel) -> grpc.aio.StreamStreamCall:
    return channel.stream_stream(
        f"/{server.SERVICE}/DeltaAggregatedResources",
        request_serializer=DeltaDiscoveryRequest.SerializeToString,
        response_deserializer=DeltaDiscoveryResponse.FromString,
    )()


async def asked(call: grpc.aio.StreamStreamCall, node: str, url: str, *wanted: str) -> DeltaDiscoveryResponse:
    request = DeltaDiscoveryRequest(type_url=url, resource_names_subscribe=wanted)
    request.node.id = node
    await call.write(request)
    return await asyncio.wait_for(call.read(), 5)


@pytest.fixture
async def thief(bookshop: Mesh) -> Svid:
    await bookshop.stop_envoy(bookshop.pods["bookthief"])
    return await new_svid(bookshop.ca, THIEF, names=[node_name(THIEF_NODE)])


@pytest.mark.parametrize("url", [names.SECRET, names.CLUSTER, names.LISTENER])
async def test_another_nodes_configuration_is_refused(bookshop: Mesh, thief: Svid, url: str):
    async with dialled(bookshop, thief) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await asked(discovery(channel), STORE_NODE, url, names.SVID_SECRET)
    assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_the_key_one_gets_is_ones_own_whatever_one_asks_for(bookshop: Mesh, thief: Svid):
    wishes = (names.SVID_SECRET, "spiffe://cluster.local/ns/bookstore/sa/bookstore", "bookstore/bookstore")
    async with dialled(bookshop, thief) as channel:
        response = await asked(discovery(channel), THIEF_NODE, names.SECRET, *wishes)
    assert [resource.name for resource in response.resources] == [names.SVID_SECRET]
    secret = Secret.FromString(response.resources[0].resource.value)
    chain = secret.tls_certificate.certificate_chain.inline_bytes
    assert verify(chain, await bookshop.ca.bundle()) == THIEF.spiffe_id()


async def test_a_workloads_certificate_does_not_make_a_proxy(bookshop: Mesh):
    """The certificate that an identity's pods share names no pod, so it opens no configuration."""
    svid = bookshop.svids[Identity("bookstore", "bookstore")]
    async with dialled(bookshop, svid) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await asked(discovery(channel), STORE_NODE, names.SECRET, names.SVID_SECRET)
    assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_a_proxy_can_not_report_in_anothers_name(bookshop: Mesh, thief: Svid):
    message = StreamAccessLogsMessage()
    message.identifier.node.id = STORE_NODE
    async with dialled(bookshop, thief) as channel:
        method = channel.stream_unary(
            f"/{receiver.SERVICE}/StreamAccessLogs",
            request_serializer=StreamAccessLogsMessage.SerializeToString,
            response_deserializer=StreamAccessLogsResponse.FromString,
        )
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await method(iter([message]))
    assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
    assert bookshop.exchanges == []
