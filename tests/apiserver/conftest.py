"""The same cases against two servers: ours, and a real kube-apiserver where there is one."""

from __future__ import annotations

import asyncio
import json
import ssl
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from kubernetes.aio.client import Configuration
from kubernetes.aio.config import load_kube_config

MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
JSON = "application/json-patch+json"
APPLY = "application/apply-patch+yaml"


@dataclass
class Answer:
    """What a server said."""

    status: int
    body: Any
    headers: Any

    @property
    def message(self) -> str:
        """The message of a Status."""
        return self.body["message"]

    @property
    def causes(self) -> list[tuple[str, str]]:
        """Field and message of each cause."""
        return [(row.get("field", ""), row["message"]) for row in self.body["details"]["causes"]]


@dataclass
class Server:
    """A server to put cases to, as its administrator."""

    name: str
    kubeconfig: Path
    session: aiohttp.ClientSession = field(init=False)
    url: str = ""

    async def ask(
        self, method: str, path: str, body: Any = None, content_type: str = "application/json", **headers: str
    ) -> Answer:
        """One request, whatever comes of it."""
        data = body if isinstance(body, (str, bytes)) or body is None else json.dumps(body)
        sent = {"Content-Type": content_type, "Accept": "application/json", "User-Agent": "tests/1", **headers}
        async with self.session.request(method, self.url + path, data=data, headers=sent) as response:
            text = await response.text()
            is_json = response.content_type == "application/json" and text
            return Answer(response.status, json.loads(text) if is_json else text, response.headers)

    async def get(self, path: str, accept: str = "application/json") -> Answer:
        return await self.ask("GET", path, Accept=accept)

    async def post(self, path: str, body: Any) -> Answer:
        return await self.ask("POST", path, body)

    async def made(self, path: str, body: Any) -> Any:
        """A created object."""
        answer = await self.post(path, body)
        assert answer.status == 201, answer.body
        return answer.body

    async def put(self, path: str, body: Any) -> Answer:
        return await self.ask("PUT", path, body)

    async def patch(self, path: str, body: Any, content_type: str = MERGE) -> Answer:
        return await self.ask("PATCH", path, body, content_type)

    async def delete(self, path: str, body: Any = None) -> Answer:
        return await self.ask("DELETE", path, body)

    @asynccontextmanager
    async def watch(self, path: str, accept: str = "application/json") -> AsyncIterator[Events]:
        """An open watch."""
        separator = "&" if "?" in path else "?"
        url = f"{self.url}{path}{separator}watch=true"
        async with self.session.get(url, headers={"Accept": accept}) as response:
            assert response.status == 200, await response.text()
            yield Events(response)


class Events:
    """The events of a watch, one by one."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    async def next(self) -> tuple[str, Any]:
        """Type and object of the next event; empty when the watch has ended."""
        line = await asyncio.wait_for(self._response.content.readline(), 10)
        event = json.loads(line) if line.strip() else {}
        return event.get("type", ""), event.get("object")

    async def names(self, count: int) -> list[tuple[str, str]]:
        """Type and name of the next events."""
        found = [await self.next() for _ in range(count)]
        return [(kind, obj["metadata"]["name"]) for kind, obj in found]


@asynccontextmanager
async def connected(name: str, kubeconfig: Path) -> AsyncIterator[Server]:
    """A server by its kubeconfig."""
    found = Server(name, kubeconfig)
    configuration = Configuration()
    await load_kube_config(config_file=str(kubeconfig), client_configuration=configuration)
    context = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
    if configuration.cert_file:
        context.load_cert_chain(configuration.cert_file, configuration.key_file)
    token = configuration.api_key.get("BearerToken")
    headers = {"Authorization": token} if token else {}
    found.url = configuration.host
    found.session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context), headers=headers)
    async with found.session:
        yield found


@pytest.fixture(params=["embedded", "real"])
async def server(request: pytest.FixtureRequest) -> AsyncIterator[Server]:
    """Ours, then the real one."""
    kubeconfig = request.getfixturevalue("oracle" if request.param == "real" else "embedded")
    async with connected(request.param, kubeconfig) as found:
        yield found


@pytest.fixture
async def namespace(server: Server) -> AsyncIterator[str]:
    """A namespace of the test's own, with the account that pods need; its path is `/api/v1/namespaces/<name>`."""
    name = f"t-{uuid.uuid4().hex[:10]}"
    await server.made("/api/v1/namespaces", {"metadata": {"name": name}})
    account = {"metadata": {"name": "default"}, "automountServiceAccountToken": False}
    await server.made(f"/api/v1/namespaces/{name}/serviceaccounts", account)
    yield name
    await server.delete(f"/api/v1/namespaces/{name}")


@pytest.fixture
def maps(namespace: str) -> str:
    """The path of the namespace's ConfigMaps: the simplest objects there are."""
    return f"/api/v1/namespaces/{namespace}/configmaps"


@pytest.fixture
def deployments(namespace: str) -> str:
    """The path of the namespace's Deployments."""
    return f"/apis/apps/v1/namespaces/{namespace}/deployments"


@pytest.fixture
def deployment() -> dict[str, Any]:
    """A small Deployment."""
    container = {
        "name": "web",
        "image": "web:1",
        "ports": [{"containerPort": 80}],
        "env": [{"name": "COLOR", "value": "blue"}],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "labels": {"app": "web"}},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [container]}},
        },
    }
