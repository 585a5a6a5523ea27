"""Who serves the proxies? A gRPC server that pushes a snapshot's changes the moment they are set."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import grpc
from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest

from meshlab.xds.pace import Pace
from meshlab.xds.resource import TypeUrl
from meshlab.xds.snapshot import Snapshot
from meshlab.xds.status import Proxies, ProxyStatus, TypeStatus
from meshlab.xds.stream import Stages, Stream
from meshlab.xds.tls import Peer

SERVICE = "envoy.service.discovery.v3.AggregatedDiscoveryService"

_REFUSALS_KEPT = 8

_Context = grpc.aio.ServicerContext[DeltaDiscoveryRequest, bytes]
_OPTIONS = (
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 5_000),
    ("grpc.max_receive_message_length", 4 << 20),
)


_PATIENCE_SECONDS = 15.0
"""How long a proxy may take to answer before somebody should look: Envoy waits as long for what it lacks."""
_MOST_NAMES = 20_000
"""How many resources of one type a proxy may ask for by name; nobody has so many Services."""


class _Meant:
    """What a proxy is meant to know, and since when."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.since = time.perf_counter()


class AdsServer:
    """Aggregated delta discovery over mutual TLS; one snapshot for each node.

    A proxy is served when its certificate names the node it says it is, and proves the identity that owns
    the snapshot. Anything else is PERMISSION_DENIED.
    """

    def __init__(self, stages: Stages, services: Sequence[grpc.GenericRpcHandler[Any, Any]] = ()) -> None:
        self.proxies = Proxies()
        self.responses_sent = 0
        self.bytes_sent = 0
        """Of resources; counted since the start, over all proxies."""
        self.most = 0
        """How many proxies are served at a time; 0: any number. Those that are connected stay."""
        self._stages = stages
        self._services = services
        self._meant: dict[str, _Meant] = {}
        self._streams: dict[str, _Connection] = {}
        self._server: grpc.aio.Server | None = None

    async def start(self, address: str, credentials: grpc.ServerCredentials) -> int:
        """Listen; the port, which the system chooses when `address` ends in ``:0``."""
        self._server = grpc.aio.server(options=_OPTIONS)
        method = grpc.stream_stream_rpc_method_handler(
            self._serve, request_deserializer=DeltaDiscoveryRequest.FromString, response_serializer=None
        )
        discovery = grpc.method_handlers_generic_handler(SERVICE, {"DeltaAggregatedResources": method})
        self._server.add_generic_rpc_handlers((discovery, *self._services))
        port = self._server.add_secure_port(address, credentials)
        await self._server.start()
        return port

    async def stop(self, grace: float | None = None) -> None:
        """Close every stream. Proxies keep what they have, and come back by themselves."""
        if self._server is not None:
            await self._server.stop(grace)

    def set_snapshot(self, node: str, snapshot: Snapshot) -> int:
        """Say what a proxy is to know. Sent at once if it is connected; the generation to wait for."""
        status = self.proxies[node]
        if status.version == snapshot.version:
            return status.generation
        self._meant[node] = _Meant(snapshot)
        self.proxies.update(node, version=snapshot.version, generation=status.generation + 1)
        if node in self._streams:
            self._streams[node].wake()
        return status.generation + 1

    def snapshot(self, node: str) -> Snapshot | None:
        """What a proxy is meant to know."""
        meant = self._meant.get(node)
        return meant.snapshot if meant else None

    def holds(self, node: str, url: TypeUrl) -> bool:
        """Whether a proxy has acknowledged the newest of a type that is meant for it."""
        meant, status = self._meant.get(node), self.proxies[node].types.get(url, TypeStatus())
        return meant is not None and status.acked == meant.snapshot.version_of(url)

    def silent(self) -> dict[str, float]:
        """The connected proxies that have not answered for long, and for how many seconds."""
        now = time.perf_counter()
        return {
            node: now - meant.since
            for node in self._streams
            if (meant := self._meant.get(node)) is not None
            and now - meant.since > _PATIENCE_SECONDS
            and self.proxies[node].settled < self.proxies[node].generation
        }

    def slowed(self) -> list[str]:
        """The connected proxies that ask so often that they are made to wait."""
        return sorted(node for node, connection in self._streams.items() if connection.pace.exceeded)

    def forget(self, node: str) -> None:
        """The proxy is gone: its snapshot and status are dropped, and its stream is closed."""
        self._meant.pop(node, None)
        if connection := self._streams.pop(node, None):
            connection.close()
        self.proxies.forget(node)

    async def _serve(self, requests: AsyncIterator[DeltaDiscoveryRequest], context: _Context) -> None:
        first = await anext(requests, None)
        if first is None:
            return
        node, peer = first.node.id, Peer.of(context)
        if not peer.is_node(node):
            shown = ", ".join(sorted(peer.names)) or "no name"
            await context.abort(
                grpc.StatusCode.PERMISSION_DENIED, f"node {node!r} is not what the certificate names ({shown})"
            )
        if self.most and node not in self._streams and len(self._streams) >= self.most:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, f"{self.most} proxies are served, and no more")
        if older := self._streams.get(node):
            older.close()
        connection = self._streams[node] = _Connection(Stream(self._stages))
        self.proxies.update(node, spiffe_id=peer.spiffe_id, connected_since=time.time())
        reader = asyncio.create_task(self._read(node, connection, first, requests))
        try:
            await self._write(node, connection, peer, context)
            if connection.refusal:
                await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, connection.refusal)
        finally:
            reader.cancel()
            if self._streams.get(node) is connection:
                del self._streams[node]
                self.proxies.update(node, connected_since=None)

    async def _read(
        self, node: str, connection: _Connection, first: DeltaDiscoveryRequest, requests: AsyncIterator[Any]
    ) -> None:
        try:
            self._take(node, connection, first)
            async for request in requests:
                self._take(node, connection, request)
                await connection.pace.keep()
        finally:
            connection.close()

    def _take(self, node: str, connection: _Connection, request: DeltaDiscoveryRequest) -> None:
        subscription = connection.stream.subscriptions.get(request.type_url)
        version = subscription.flight.type_version if subscription and subscription.flight else ""
        if subscription and len(subscription.names) + len(request.resource_names_subscribe) > _MOST_NAMES:
            connection.refusal = f"more than {_MOST_NAMES} names are asked for of {request.type_url}"
            connection.close()
            return
        types = self.proxies[node].types
        if (answered := connection.stream.receive(request)) is not None:
            known = types.get(answered.url, TypeStatus())
            accepted = known.acked if answered.refused else version
            types = {**types, answered.url: TypeStatus(known.sent, accepted, answered.refused)}
        meant = self._meant.get(node)
        if meant is not None and connection.stream.is_idle(meant.snapshot):
            self._settle(node, connection.stream, meant, types)
        else:
            if answered is not None:
                self.proxies.update(node, types=MappingProxyType(types))
            connection.wake()

    async def _write(self, node: str, connection: _Connection, peer: Peer, context: _Context) -> None:
        while not connection.closed:
            await connection.woken()
            while not connection.closed and (meant := self._meant.get(node)) is not None:
                if meant.snapshot.owner != peer.spiffe_id:
                    await context.abort(
                        grpc.StatusCode.PERMISSION_DENIED, f"node {node} is not of the identity {peer.spiffe_id}"
                    )
                response = connection.stream.next(meant.snapshot)
                if response is None:
                    self._settle(node, connection.stream, meant, self.proxies[node].types)
                    break
                subscription, body = response
                self.responses_sent += 1
                self.bytes_sent += len(body)
                self.proxies.update_type(
                    node, subscription.url, sent=meant.snapshot.version_of(subscription.url), refused=""
                )
                await context.write(body)
                del response, body  # or it would be kept until the next one

    def _settle(self, node: str, stream: Stream, meant: _Meant, types: Mapping[TypeUrl, TypeStatus]) -> None:
        """Note what was answered, and that it is all, if it is."""
        status = self.proxies[node]
        if status.settled < status.generation and stream.settled(meant.snapshot):
            elapsed = (time.perf_counter() - meant.since) * 1000
            held = {url: _held(types.get(url), version) for url, version in meant.snapshot.versions.items()}
            self.proxies.update(
                node,
                settled=status.generation,
                settled_ms=elapsed,
                types=MappingProxyType(held),
                refusals=_refusals(status, held.values()),
            )
        elif types is not status.types:
            self.proxies.update(node, types=MappingProxyType(types))


def _held(known: TypeStatus | None, version: str) -> TypeStatus:
    """A type that the proxy had when it connected was never sent; it counts as sent and acknowledged."""
    kept = known is not None and (known.refused or known.acked == version)
    return known if known is not None and kept else TypeStatus(version, version)


def _refusals(status: ProxyStatus, types: Iterable[TypeStatus]) -> Mapping[int, str]:
    """What is remembered of refusals, with those of this generation."""
    reasons = sorted({kind.refused for kind in types if kind.refused})
    if not reasons:
        return status.refusals
    last = sorted(status.refusals.items())[1 - _REFUSALS_KEPT :]
    return MappingProxyType({**dict(last), status.generation: "; ".join(reasons)})


class _Connection:
    """One open stream, and the bell that says there may be something to send."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.pace = Pace()
        self.refusal = ""
        self.closed = False
        self._bell = asyncio.Event()

    def wake(self) -> None:
        self._bell.set()

    def close(self) -> None:
        self.closed = True
        self._bell.set()

    async def woken(self) -> None:
        await self._bell.wait()
        self._bell.clear()
