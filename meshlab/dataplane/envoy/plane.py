"""Envoy, as the mesh's data plane."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import grpc
from envoy.service.accesslog.v3.als_pb2 import StreamAccessLogsMessage

from meshlab.dataplane.base import Credentials, Reporter, SidecarSettings, Sink, WorkloadAt
from meshlab.dataplane.envoy import access_log, names
from meshlab.dataplane.envoy.compile import compile_view
from meshlab.dataplane.envoy.inject import inject
from meshlab.dataplane.envoy.raw import EnvoyRaw
from meshlab.dataplane.envoy.receiver import access_log_service
from meshlab.dataplane.raw import RawAccess
from meshlab.kube.objects import Object
from meshlab.mesh.exchange import Exchange
from meshlab.mesh.view import ProxyView
from meshlab.xds import Snapshot


class EnvoyDataPlane:
    """Implements `DataPlane`."""

    stages = names.STAGES
    raw: RawAccess = EnvoyRaw()
    secrets = names.SECRET

    def inject(self, pod: Object, settings: SidecarSettings) -> Object:
        """See `DataPlane.inject`."""
        return inject(pod, settings)

    def compile(self, view: ProxyView, credentials: Credentials) -> Snapshot:
        """See `DataPlane.compile`."""
        return compile_view(view, credentials)

    def read(self, log: StreamAccessLogsMessage, reporter: Reporter, workload_at: WorkloadAt) -> Iterable[Exchange]:
        """See `DataPlane.read`."""
        return access_log.read(log, reporter, workload_at)

    def receivers(self, sink: Sink, workload_at: WorkloadAt) -> Sequence[grpc.GenericRpcHandler[Any, Any]]:
        """See `DataPlane.receivers`."""
        return [access_log_service(self.read, sink, workload_at)]
