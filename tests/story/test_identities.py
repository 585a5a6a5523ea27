"""A pod's identity is what its certificate says, and nobody is told another's secrets."""

from __future__ import annotations

import asyncio
import ssl
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiohttp
import grpc
import pytest
from cryptography import x509
from envoy.config.core.v3.base_pb2 import Node
from envoy.extensions.transport_sockets.tls.v3.secret_pb2 import Secret
from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest, DeltaDiscoveryResponse

from meshlab.identity import Grant, new_request
from meshlab.identity.svid import spiffe_id
from meshlab.kube.objects import SERVICE
from meshlab.xds.resource import type_url
from meshlab.xds.server import SERVICE as ADS

if TYPE_CHECKING:
    from meshlab.kube import Object
    from tests.story.conftest import Story

pytestmark = pytest.mark.e2e

SERVER_NAME = "meshlab-controller.meshlab-system.svc"
INBOUND = 15003
SECRET = type_url(Secret)
LIMIT_SECONDS = 20
APPS = ("bookbuyer", "bookthief", "bookstore", "bookwarehouse")


@dataclass
class Proxy:
    """What a sidecar of a pod has: its node id, and a certificate that the control plane signed for it."""

    node: str
    key: bytes
    grant: Grant
    ads: str
    """Where discovery is served."""

    def context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cadata=self.grant.bundle)
        context.check_hostname = False  # a workload is known by its SPIFFE id, not by a DNS name
        context.set_alpn_protocols(["osm"])
        with tempfile.NamedTemporaryFile() as file:
            file.write(self.key + self.grant.chain.encode())
            file.flush()
            context.load_cert_chain(file.name)
        return context

    async def asks(self, node: str, url: str, *names: str) -> AsyncIterator[DeltaDiscoveryResponse]:
        """What discovery answers when this proxy says it is `node`."""
        credentials = grpc.ssl_channel_credentials(self.grant.bundle.encode(), self.key, self.grant.chain.encode())
        options = (("grpc.ssl_target_name_override", SERVER_NAME),)
        async with grpc.aio.secure_channel(self.ads, credentials, options) as channel:
            call = channel.stream_stream(
                f"/{ADS}/DeltaAggregatedResources",
                request_serializer=DeltaDiscoveryRequest.SerializeToString,
                response_deserializer=DeltaDiscoveryResponse.FromString,
            )()
            request = DeltaDiscoveryRequest(node=Node(id=node), type_url=url, resource_names_subscribe=names)
            await call.write(request)
            async for response in call:
                yield response
                await call.write(DeltaDiscoveryRequest(type_url=response.type_url, response_nonce=response.nonce))


async def proxy_of(story: Story, pod: Object) -> Proxy:
    """Prove to be a pod's sidecar, the way a sidecar does: by a token bound to the pod."""
    metadata, account = pod["metadata"], pod["spec"]["serviceAccountName"]
    bound = {"kind": "Pod", "apiVersion": "v1", "name": metadata["name"], "uid": metadata["uid"]}
    body = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"audiences": ["meshlab"], "boundObjectRef": bound},
    }
    path = f"/api/v1/namespaces/{metadata['namespace']}/serviceaccounts/{account}/token"
    token = (await story.kube.request("POST", path, body=body))["status"]["token"]
    controller = await story.kube.get(SERVICE, "meshlab-controller", "meshlab-system")
    host, port = await story.address(controller, 15129)
    bundle = next(
        variable["value"]
        for container in (*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"])
        for variable in container.get("env", ())
        if variable["name"] == "MESHLAB_CA_BUNDLE"
    )
    key, request = new_request()
    context = ssl.create_default_context(cadata=bundle)
    async with (
        aiohttp.ClientSession() as session,
        session.post(
            f"https://{host}:{port}/v1/certificates",
            data=request,
            headers={"Authorization": f"Bearer {token}"},
            ssl=context,
            server_hostname=SERVER_NAME,
        ) as response,
    ):
        assert response.status == 200, await response.text()
        grant = Grant.from_json(await response.read())
    host, port = await story.address(controller, 15128)
    return Proxy(f"{metadata['name']}.{metadata['namespace']}", key, grant, f"{host}:{port}")


async def call(context: ssl.SSLContext, address: tuple[str, int], path: str) -> tuple[str, int]:
    """One HTTP call over TLS, straight to a pod's inbound port: who answered, and with what status."""
    reader, writer = await asyncio.open_connection(
        *address, ssl=context, server_hostname="14001.bookstore.bookstore.svc.cluster.local"
    )
    try:
        shown: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        host = "host: bookstore.bookstore:14001\r\nuser-agent: test-http-client/1\r\nclient-app: bookbuyer\r\n"
        writer.write(f"GET {path} HTTP/1.1\r\n{host}connection: close\r\n\r\n".encode())
        answer = await reader.readline()
        if not answer:
            raise ConnectionError("hung up")
        await reader.read()
        return spiffe_id(x509.load_der_x509_certificate(shown)), int(answer.split()[1])
    finally:
        writer.close()


async def test_both_ends_prove_who_they_are_and_are_treated_accordingly(story: Story) -> None:
    await story.mode(permissive=False)
    await story.policies()
    for client, expected in (("bookbuyer", 200), ("bookthief", 403)):
        proxy = await proxy_of(story, await story.pod(client))
        address = await story.address(await story.pod("bookstore-v1"), INBOUND)
        mine = spiffe_id(x509.load_pem_x509_certificate(proxy.grant.chain.encode()))
        assert mine == f"spiffe://cluster.local/ns/{client}/sa/{client}"
        server, status = await call(proxy.context(), address, "/buy-a-book/new")
        assert server == "spiffe://cluster.local/ns/bookstore/sa/bookstore"
        assert status == expected


async def test_the_certificates_that_edges_report_are_those_that_were_issued(story: Story) -> None:
    everybody = (await story.observed("proxies"))["items"]
    # other tests may have pods in the mesh, too
    proxies = [proxy for proxy in everybody if proxy["proxy"].startswith("book")]
    apps = {("bookwarehouse", "stock"), *((name, name) for name in APPS)}
    assert {proxy["identity"] for proxy in proxies} == {f"spiffe://cluster.local/ns/{ns}/sa/{sa}" for ns, sa in apps}
    stores = {proxy["certificate"]["serial"] for proxy in proxies if proxy["proxy"].startswith("bookstore/")}
    assert len(stores) == 1, "pods of one identity share its certificate"


async def test_without_a_certificate_of_the_mesh_nobody_gets_in(story: Story) -> None:
    address = await story.address(await story.pod("bookstore-v1"), INBOUND)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["osm"])
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await call(context, address, "/buy-a-book/new")


async def test_a_proxy_that_says_it_is_another_is_refused(story: Story) -> None:
    thief = await proxy_of(story, await story.pod("bookthief"))
    buyer = await story.pod("bookbuyer")
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await _first(thief.asks(f"{buyer['metadata']['name']}.bookbuyer", SECRET))
    assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_a_proxy_is_given_its_own_identitys_key_and_no_other(story: Story) -> None:
    pod = await story.pod("bookthief")
    # The pod's own sidecar holds its stream; a second one takes its place for a moment, and it comes back by itself.
    thief = await proxy_of(story, pod)
    told = await _first(thief.asks(thief.node, SECRET))
    shown = [_secret(resource).tls_certificate.certificate_chain.inline_bytes for resource in told.resources]
    owners = [spiffe_id(x509.load_pem_x509_certificate(chain)) for chain in shown if chain]
    assert owners == ["spiffe://cluster.local/ns/bookthief/sa/bookthief"]

    wanted = "spiffe://cluster.local/ns/bookbuyer/sa/bookbuyer"
    denied = await _first(thief.asks(thief.node, SECRET, wanted))
    assert not denied.resources
    assert list(denied.removed_resources) == [wanted]


def _secret(resource: Any) -> Secret:
    secret = Secret()
    resource.resource.Unpack(secret)
    return secret


async def _first(responses: AsyncIterator[DeltaDiscoveryResponse]) -> DeltaDiscoveryResponse:
    async with asyncio.timeout(LIMIT_SECONDS):
        try:
            return await anext(aiter(responses))
        finally:
            await responses.aclose()  # type: ignore[attr-defined]
