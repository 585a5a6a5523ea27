"""How does a call leave the mesh? Where the kernel redirects, on to where it was meant for; from an explicit
proxy, to the host that the app names.
"""

from __future__ import annotations

from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.extensions.clusters.dynamic_forward_proxy.v3.cluster_pb2 import ClusterConfig
from envoy.extensions.common.dynamic_forward_proxy.v3.dns_cache_pb2 import DnsCacheConfig
from envoy.extensions.filters.http.dynamic_forward_proxy.v3.dynamic_forward_proxy_pb2 import FilterConfig
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import HttpFilter
from google.protobuf.duration_pb2 import Duration

from meshlab.dataplane.envoy import names
from meshlab.dataplane.envoy.clusters import connect_timeout
from meshlab.dataplane.envoy.limits import circuit_breakers
from meshlab.dataplane.envoy.secrets import pack
from meshlab.mesh.upstream_setting import Limits
from meshlab.xds import Resource

_CONNECT_TIMEOUT = Duration(seconds=5)
_DNS = DnsCacheConfig(name="egress", dns_lookup_family=Cluster.V4_PREFERRED)


def passthrough(name: str = names.EGRESS_CLUSTER, limits: Limits | None = None) -> Resource:
    """The address that a redirected connection was meant for."""
    message = Cluster(
        name=name,
        type=Cluster.ORIGINAL_DST,
        lb_policy=Cluster.CLUSTER_PROVIDED,
        connect_timeout=connect_timeout(limits),
        circuit_breakers=circuit_breakers(limits),
    )
    return Resource.of(name, message)


def forward(name: str = names.EGRESS_BY_NAME, limits: Limits | None = None) -> Resource:
    """The host that a request names, looked up when it is called."""
    lookup = Cluster.CustomClusterType(
        name="envoy.clusters.dynamic_forward_proxy", typed_config=pack(ClusterConfig(dns_cache_config=_DNS))
    )
    message = Cluster(
        name=name,
        cluster_type=lookup,
        lb_policy=Cluster.CLUSTER_PROVIDED,
        connect_timeout=connect_timeout(limits),
        circuit_breakers=circuit_breakers(limits),
    )
    return Resource.of(name, message)


def lookup_filter() -> HttpFilter:
    """Looks a host up before the request is sent on; shares its answers with the cluster."""
    config = pack(FilterConfig(dns_cache_config=_DNS))
    return HttpFilter(name="envoy.filters.http.dynamic_forward_proxy", typed_config=config)
