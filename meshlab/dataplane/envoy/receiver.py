"""Who takes the proxies' logs? A gRPC service on the port that configuration is served on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

import grpc
from envoy.service.accesslog.v3.als_pb2 import StreamAccessLogsMessage, StreamAccessLogsResponse

from meshlab.dataplane.base import Reporter, Sink, WorkloadAt
from meshlab.mesh.exchange import Exchange
from meshlab.mesh.identity import Identity
from meshlab.xds import Peer

SERVICE = "envoy.service.accesslog.v3.AccessLogService"

Read = Callable[[StreamAccessLogsMessage, Reporter, WorkloadAt], Iterable[Exchange]]
_Context = grpc.aio.ServicerContext[StreamAccessLogsMessage, StreamAccessLogsResponse]


def access_log_service(read: Read, sink: Sink, workload_at: WorkloadAt) -> grpc.GenericRpcHandler[Any, Any]:
    """A handler that reads every entry and hands it on. Who reports is what the certificate proves."""

    async def receive(messages: AsyncIterator[StreamAccessLogsMessage], context: _Context) -> StreamAccessLogsResponse:
        peer = Peer.of(context)
        reporter: Reporter | None = None
        async for message in messages:
            if reporter is None:
                node = message.identifier.node.id
                if not peer.is_node(node):
                    await context.abort(
                        grpc.StatusCode.PERMISSION_DENIED, f"node {node!r} is not what the certificate names"
                    )
                pod, _, namespace = node.rpartition(".")
                reporter = Reporter(f"{namespace}/{pod}", Identity.from_spiffe_id(peer.spiffe_id))
            for exchange in read(message, reporter, workload_at):
                sink(exchange)
        return StreamAccessLogsResponse()

    method = grpc.stream_unary_rpc_method_handler(
        receive,
        request_deserializer=StreamAccessLogsMessage.FromString,
        response_serializer=StreamAccessLogsResponse.SerializeToString,
    )
    return grpc.method_handlers_generic_handler(SERVICE, {"StreamAccessLogs": method})
