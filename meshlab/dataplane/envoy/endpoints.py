"""Which addresses answer for a Service port?"""

from __future__ import annotations

from collections.abc import Iterable

from envoy.config.core.v3.address_pb2 import Address, SocketAddress
from envoy.config.core.v3.base_pb2 import Metadata
from envoy.config.endpoint.v3.endpoint_components_pb2 import Endpoint as EnvoyEndpoint
from envoy.config.endpoint.v3.endpoint_components_pb2 import LbEndpoint, LocalityLbEndpoints
from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from google.protobuf.struct_pb2 import Struct, Value

from meshlab.dataplane.envoy import names
from meshlab.mesh.service import Endpoint
from meshlab.mesh.view import UpstreamCluster
from meshlab.xds import Resource


def upstream(cluster: UpstreamCluster, *, explicit: bool) -> Resource:
    """The endpoints of a Service port. Where nothing redirects, meshed ones are dialled at their proxy."""
    name = str(cluster.upstream)
    return Resource.of(name, assignment(name, (_endpoint(item, explicit=explicit) for item in cluster.endpoints)))


def assignment(name: str, endpoints: Iterable[LbEndpoint]) -> ClusterLoadAssignment:
    """Endpoints under a cluster's name."""
    locality = LocalityLbEndpoints(lb_endpoints=endpoints)
    return ClusterLoadAssignment(cluster_name=name, endpoints=[locality] if locality.lb_endpoints else [])


def at(address: str, port: int, metadata: Metadata | None = None) -> LbEndpoint:
    """One address and port."""
    return LbEndpoint(endpoint=EnvoyEndpoint(address=socket_address(address, port)), metadata=metadata)


def socket_address(address: str, port: int) -> Address:
    """An address and port in Envoy's words."""
    return Address(socket_address=SocketAddress(address=address, port_value=port))


def _endpoint(endpoint: Endpoint, *, explicit: bool) -> LbEndpoint:
    port = names.INBOUND_PORT if explicit and endpoint.meshed else endpoint.port
    metadata = Metadata()
    metadata.filter_metadata[names.TLS_MATCH].CopyFrom(Struct(fields={"mtls": Value(bool_value=endpoint.meshed)}))
    metadata.filter_metadata[names.METADATA].CopyFrom(
        Struct(fields={"workload": Value(string_value=endpoint.workload)})
    )
    return at(endpoint.address, port, metadata)
