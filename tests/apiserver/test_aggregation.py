"""Parts of the API that another server answers, and Services and pods reached through the API server."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from .certificates import certificate
from .conftest import Server
from .waiting import until

SERVICES = "/apis/apiregistration.k8s.io/v1/apiservices"
AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


@dataclass
class Extension:
    """An aggregated API server: it lists one resource, tells who asks, echoes bodies, and streams."""

    server: Server
    group: str
    port: int = 0
    more: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def root(self) -> str:
        return f"/apis/{self.group}/v1"

    async def serve(self, http: web.Request) -> web.StreamResponse:
        if http.path == self.root:
            row = {
                "name": "edges",
                "singularName": "edge",
                "namespaced": False,
                "kind": "Edge",
                "verbs": ["get", "list"],
            }
            listed = {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": f"{self.group}/v1"}
            return web.json_response({**listed, "resources": [row]})
        if http.path == f"{self.root}/edges/stream":
            return await self._stream(http)
        if http.path.startswith(self.root):
            groups = http.headers.getall("X-Remote-Group", [])
            told = {"user": http.headers.get("X-Remote-User"), "groups": groups, "query": http.query_string}
            told |= {"authorization": http.headers.get("Authorization"), "body": (await http.read()).decode()}
            return web.json_response(told, status=418, headers={"X-Own": "yes"})
        return web.Response(status=404)

    async def _stream(self, http: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(http)
        await response.write(b'{"n":1}\n')
        await self.more.wait()
        await response.write(b'{"n":2}\n')
        return response


@pytest.fixture
async def extension(server: Server, namespace: str, tmp_path: Path) -> AsyncIterator[Extension]:
    context, bundle = certificate(tmp_path, f"edges.{namespace}.svc")
    found = Extension(server, f"g{uuid.uuid4().hex[:8]}.dev")
    runner = web.ServerRunner(web.Server(found.serve, access_log=None), shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    found.port = runner.addresses[0][1]
    spec = {"type": "ExternalName", "externalName": "localhost", "ports": [{"port": found.port}]}
    await server.made(f"/api/v1/namespaces/{namespace}/services", {"metadata": {"name": "edges"}, "spec": spec})
    service = {"name": "edges", "namespace": namespace, "port": found.port}
    registered = {
        "metadata": {"name": f"v1.{found.group}"},
        "spec": {"group": found.group, "version": "v1", "groupPriorityMinimum": 100, "versionPriority": 100}
        | {"service": service, "caBundle": bundle},
    }
    await server.made(SERVICES, registered)

    async def is_available() -> bool:
        return (await condition(server, found.group)).get("status") == "True"

    await until(is_available)
    yield found
    await server.delete(f"{SERVICES}/v1.{found.group}")
    await runner.cleanup()


async def condition(server: Server, group: str) -> dict[str, Any]:
    body = (await server.get(f"{SERVICES}/v1.{group}")).body
    rows = body.get("status", {}).get("conditions", [])
    return next((row for row in rows if row["type"] == "Available"), {})


async def test_requests_are_answered_by_the_other_server_as_the_user_who_asks(extension: Extension) -> None:
    answer = await extension.server.ask("POST", f"{extension.root}/edges?window=30", {"a": 1})
    assert (answer.status, answer.headers["X-Own"]) == (418, "yes")
    assert answer.body["user"]
    assert "system:masters" in answer.body["groups"]
    assert (answer.body["query"], json.loads(answer.body["body"])) == ("window=30", {"a": 1})
    assert answer.body["authorization"] is None


async def test_the_other_server_s_kinds_are_discovered(extension: Extension) -> None:
    server = extension.server

    async def is_discovered() -> bool:
        document = (await server.ask("GET", "/apis", Accept=AGGREGATED)).body
        found = [item for item in document["items"] if item["metadata"]["name"] == extension.group]
        return any("resources" in item["versions"][0] for item in found)

    await until(is_discovered)
    document = (await server.ask("GET", "/apis", Accept=AGGREGATED)).body
    item = next(item for item in document["items"] if item["metadata"]["name"] == extension.group)
    row = item["versions"][0]["resources"][0]
    assert (row["resource"], row["scope"], row["singularResource"], row["verbs"]) == (
        "edges",
        "Cluster",
        "edge",
        ["get", "list"],
    )
    assert (await server.get(extension.root)).body["resources"][0]["name"] == "edges"
    group = (await server.get(f"/apis/{extension.group}")).body
    assert group["preferredVersion"]["groupVersion"] == f"{extension.group}/v1"


async def test_a_stream_flows_as_it_comes(extension: Extension) -> None:
    url = f"{extension.server.url}{extension.root}/edges/stream"
    async with extension.server.session.get(url) as answer:
        assert await asyncio.wait_for(answer.content.readline(), 10) == b'{"n":1}\n'
        extension.more.set()
        assert await asyncio.wait_for(answer.content.readline(), 10) == b'{"n":2}\n'


async def test_a_user_without_a_role_does_not_get_there(extension: Extension) -> None:
    answer = await extension.server.ask("GET", f"{extension.root}/edges", **{"Impersonate-User": "bob"})
    assert (answer.status, answer.body["reason"]) == (403, "Forbidden")


async def test_a_service_that_is_not_there_makes_the_api_unavailable(server: Server) -> None:
    group = f"g{uuid.uuid4().hex[:8]}.dev"
    spec = {"group": group, "version": "v1", "groupPriorityMinimum": 100, "versionPriority": 100}
    service = {"name": "none", "namespace": "default"}
    body = {"metadata": {"name": f"v1.{group}"}, "spec": {**spec, "service": service, "insecureSkipTLSVerify": True}}
    await server.made(SERVICES, body)
    try:

        async def is_judged() -> bool:
            return bool(await condition(server, group))

        await until(is_judged)
        found = await condition(server, group)
        assert (found["status"], found["reason"]) == ("False", "ServiceNotFound")
        assert (await server.get(f"/apis/{group}/v1/edges")).status == 503
    finally:
        await server.delete(f"{SERVICES}/v1.{group}")


async def test_a_wrong_registration_is_refused(server: Server) -> None:
    spec = {
        "group": "x.dev",
        "version": "v1",
        "groupPriorityMinimum": 10,
        "versionPriority": 0,
        "service": {"name": "a"},
    }
    answer = await server.post(SERVICES, {"metadata": {"name": "v1.x"}, "spec": spec})
    assert [field for field, _ in answer.causes] == ["metadata.name", "spec.versionPriority", "spec.service.namespace"]


async def test_an_aggregated_server_can_learn_whom_to_trust(server: Server) -> None:
    if server.name == "real":
        pytest.skip("the oracle has no front proxy")
    data = (await server.get("/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication")).body[
        "data"
    ]
    assert "BEGIN CERTIFICATE" in data["requestheader-client-ca-file"]
    assert json.loads(data["requestheader-username-headers"]) == ["X-Remote-User"]


@pytest.fixture
async def website(server: Server, namespace: str) -> AsyncIterator[tuple[str, int]]:
    """A plain HTTP server on this machine, behind a Service and a pod of the namespace; ours alone is asked."""
    if server.name == "real":
        pytest.skip("the oracle reaches no pods on loopback")

    async def serve(http: web.BaseRequest) -> web.StreamResponse:
        if http.path == "/socket":
            return await echo(http)
        return web.json_response({"path": http.path_qs, "body": (await http.read()).decode(), "method": http.method})

    async def echo(http: web.BaseRequest) -> web.StreamResponse:
        socket = web.WebSocketResponse(protocols=("echo",))
        await socket.prepare(http)
        async for message in socket:
            if message.data == "bye":
                await socket.close(code=4321)
            await (socket.send_str if isinstance(message.data, str) else socket.send_bytes)(message.data)
        return socket

    runner = web.ServerRunner(web.Server(serve, access_log=None), shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    here = f"/api/v1/namespaces/{namespace}"
    container = {"name": "c", "image": "i", "ports": [{"name": "http", "containerPort": port}]}
    await server.made(f"{here}/pods", {"metadata": {"name": "web"}, "spec": {"containers": [container]}})
    await server.patch(f"{here}/pods/web/status", {"status": {"podIP": "127.0.0.1", "phase": "Running"}})
    service = {"ports": [{"name": "http", "port": 80, "targetPort": port}]}
    await server.made(f"{here}/services", {"metadata": {"name": "web"}, "spec": service})
    slice_ = {
        "metadata": {"name": "web-1", "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": port}],
        "endpoints": [{"addresses": ["127.0.0.1"], "conditions": {"ready": True}}],
    }
    await server.made(f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices", slice_)
    yield here, port
    await runner.cleanup()


async def test_services_and_pods_are_reached_through_the_api_server(server: Server, website: tuple[str, int]) -> None:
    here, port = website
    for what in ("services/web", "services/web:80", "services/http:web:http", "pods/web", f"pods/web:{port}"):
        answer = await server.get(f"{here}/{what}/proxy/a/b?c=d")
        assert (answer.status, answer.body["path"]) == (200, "/a/b?c=d"), what
    posted = await server.ask("POST", f"{here}/services/web/proxy/", {"x": 1})
    assert (posted.body["method"], json.loads(posted.body["body"])) == ("POST", {"x": 1})


async def test_what_can_not_be_reached_is_told(server: Server, website: tuple[str, int]) -> None:
    here, _ = website
    missing = await server.get(f"{here}/services/none/proxy/")
    assert (missing.status, missing.message) == (404, 'services "none" not found')
    assert (await server.get(f"{here}/services/web:81/proxy/")).status == 503


@pytest.mark.parametrize("what", ["services/web", "pods/web"])
async def test_a_web_socket_goes_through_a_proxy_both_ways(server: Server, website: tuple[str, int], what: str) -> None:
    here, _ = website
    async with server.session.ws_connect(
        f"{server.url}{here}/{what}/proxy/socket", protocols=("other", "echo")
    ) as socket:
        assert socket.protocol == "echo"
        await socket.send_str("text")
        assert await socket.receive_str() == "text"
        await socket.send_bytes(b"0" * 2_000_000)
        assert len(await socket.receive_bytes()) == 2_000_000
        await socket.send_str("bye")
        assert (await socket.receive()).data == 4321


async def test_a_server_that_takes_no_web_socket_is_heard(server: Server, website: tuple[str, int]) -> None:
    here, _ = website
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await server.session.ws_connect(f"{server.url}{here}/services/web/proxy/")
    assert refused.value.status == 200
