"""A process of simulated proxies: each has a connection of its own, and speaks delta discovery as Envoy does.

It asks for clusters and listeners, then for the endpoints, secrets and routes that these name, acknowledges
whatever it is told, and tells a server it comes back to what it has. Started and commanded by `fleet.Fleet`.

    python -m fleet.proxies        commands on stdin, answers on stdout, a JSON document a line
"""

from __future__ import annotations

import asyncio
import json
import random
import resource
import sys
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import grpc
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpConnectionManager,
)
from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest, DeltaDiscoveryResponse

from meshlab.dataplane.envoy import names
from meshlab.xds.server import SERVICE

DISCOVERY = f"/{SERVICE}/DeltaAggregatedResources"
ECHO = "/meshlab.bench.Echo/Echo"
"""Where a server sends bytes for nothing, and a proxy answers with a few."""
_ANSWER = b"\0" * 60


class Proxy:
    """One simulated proxy."""

    def __init__(self, node: str, key: str, chain: str, roots: str) -> None:
        self._node = node
        self._shown = grpc.ssl_channel_credentials(roots.encode(), key.encode(), chain.encode())
        self._versions: dict[str, dict[str, str]] = {}
        self._asked: dict[str, set[str]] = {}

    def _channel(self, port: int) -> grpc.aio.Channel:
        options = [("grpc.ssl_target_name_override", "meshlab-controller"), ("grpc.use_local_subchannel_pool", 1)]
        return grpc.aio.secure_channel(f"127.0.0.1:{port}", self._shown, options)

    async def echo(self, port: int) -> None:
        """Answer each message, until the server is done."""
        async with self._channel(port) as channel:
            call = channel.stream_stream(ECHO)()
            await call.write(_ANSWER)
            while (await call.read()) is not grpc.aio.EOF:
                await call.write(_ANSWER)

    async def discover(self, port: int) -> None:
        """Be told what to do until the connection ends; come back as a proxy does."""
        while True:
            try:
                async with self._channel(port) as channel:
                    await self._talk(channel)
            except grpc.aio.AioRpcError:
                await asyncio.sleep(random.uniform(0.1, 1.0))  # as Envoys are told to

    async def _talk(self, channel: grpc.aio.Channel) -> None:
        call = channel.stream_stream(DISCOVERY, None, DeltaDiscoveryResponse.FromString)()
        for url in (names.CLUSTER, names.LISTENER):
            await call.write(self._first(url, []))
        asked = {url: asked for url, asked in self._asked.items() if asked}
        for url, wanted in asked.items():
            await call.write(self._first(url, sorted(wanted)))
        while (response := await call.read()) is not grpc.aio.EOF:
            url = response.type_url
            versions = self._versions.setdefault(url, {})
            versions.update({sys.intern(item.name): sys.intern(item.version) for item in response.resources})
            for name in response.removed_resources:
                versions.pop(name, None)
            answer = DeltaDiscoveryRequest(type_url=url, response_nonce=response.nonce)
            await call.write(answer.SerializeToString())
            if url in (names.CLUSTER, names.LISTENER):
                for other, wanted in self._named_by(response.resources).items():
                    if new := wanted - self._asked.get(other, set()):
                        known = self._asked.setdefault(other, set())
                        first = not known
                        known |= new
                        ask = self._first(other, sorted(new)) if first else _ask(other, new)
                        await call.write(ask)

    def _first(self, url: str, wanted: list[str]) -> bytes:
        request = DeltaDiscoveryRequest(
            type_url=url, resource_names_subscribe=wanted, initial_resource_versions=self._versions.get(url)
        )
        request.node.id = self._node
        return request.SerializeToString()

    @staticmethod
    def _named_by(resources: Iterable[Any]) -> dict[str, set[str]]:
        named: dict[str, set[str]] = {}
        for item in resources:
            for url, name in _named_in(item.resource.type_url, item.resource.value):
                named.setdefault(url, set()).add(name)
        return named


def _ask(url: str, wanted: Iterable[str]) -> bytes:
    return DeltaDiscoveryRequest(type_url=url, resource_names_subscribe=sorted(wanted)).SerializeToString()


@lru_cache(4096)
def _named_in(url: str, body: bytes) -> tuple[tuple[str, str], ...]:
    """What a cluster or a listener makes a proxy ask for."""
    found: list[tuple[str, str]] = []
    if b"svid" in body:
        found += [(names.SECRET, names.SVID_SECRET), (names.SECRET, names.BUNDLE_SECRET)]
    if url == names.CLUSTER:
        cluster = Cluster.FromString(body)
        if cluster.type == Cluster.EDS:
            found.append((names.ENDPOINTS, cluster.name))
    else:
        for chain in Listener.FromString(body).filter_chains:
            for each in chain.filters:
                manager = HttpConnectionManager()
                if each.typed_config.Unpack(manager):
                    found.append((names.ROUTES, manager.rds.route_config_name))
    return tuple(found)


async def main() -> None:
    """Do as told."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=1 << 28)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    proxies: list[Proxy] = []
    tasks: list[asyncio.Task[None]] = []
    while line := await reader.readline():
        command = json.loads(line)
        match command["do"]:
            case "create":
                proxies += [Proxy(**one) for one in command["proxies"]]
            case "discover" | "echo" as what:
                chosen = proxies[: command.get("count")]
                tasks += [asyncio.create_task(getattr(proxy, what)(command["port"])) for proxy in chosen]
            case "leave":
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                tasks.clear()
        usage = resource.getrusage(resource.RUSAGE_SELF)
        print(json.dumps({"cpu": usage.ru_utime + usage.ru_stime}), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
