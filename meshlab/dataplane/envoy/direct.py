"""What if an app dials a pod's address, and no Service's? Then it gets that very pod, by mutual TLS all the same.

So are the pods of a headless Service reached. Nothing is balanced or split: where the connection was meant for
is where it goes. Pods without a sidecar are outside the mesh (see `egress`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.route.v3.route_components_pb2 import Route, RouteAction, RouteMatch, VirtualHost
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from google.protobuf.duration_pb2 import Duration

from meshlab.dataplane.envoy import names
from meshlab.dataplane.envoy.clusters import upstream
from meshlab.dataplane.envoy.secrets import NEEDS
from meshlab.mesh.proxy_settings import Tls
from meshlab.mesh.view import UpstreamCluster
from meshlab.xds import Resource


@dataclass(frozen=True, slots=True)
class Reach:
    """Pods that a connection can be meant for: addresses with one port, known by one Service port they serve."""

    cluster: UpstreamCluster
    port: int
    addresses: tuple[str, ...]


def reaches(clusters: Iterable[UpstreamCluster], taken: Iterable[tuple[str, int]]) -> Iterator[Reach]:
    """Every meshed pod's address and port once, by the first Service port that leads there; none of the `taken`."""
    seen = set(taken)
    for cluster in clusters:
        found: dict[int, list[str]] = defaultdict(list)
        for endpoint in cluster.endpoints:
            if endpoint.meshed and (endpoint.address, endpoint.port) not in seen:
                seen.add((endpoint.address, endpoint.port))
                found[endpoint.port].append(endpoint.address)
        for port, addresses in sorted(found.items()):
            yield Reach(cluster, port, tuple(addresses))


def direct_cluster(cluster: UpstreamCluster, trust_domain: str, tls: Tls) -> Resource:
    """The Service port's cluster, its identities and TLS; but the address is the connection's own."""
    meshed = tuple(endpoint for endpoint in cluster.endpoints if endpoint.meshed)
    message = Cluster()
    upstream(replace(cluster, endpoints=meshed), trust_domain, tls).message().Unpack(message)
    message.name = names.direct_cluster(cluster.upstream)
    message.ClearField("eds_cluster_config")
    message.type = Cluster.ORIGINAL_DST
    message.lb_policy = Cluster.CLUSTER_PROVIDED
    return Resource.of(message.name, message, needs=NEEDS)


def direct_routes(cluster: UpstreamCluster) -> Resource:
    """Every request of such a connection goes where it was meant to go."""
    name, to = names.direct_routes(cluster.upstream), names.direct_cluster(cluster.upstream)
    route = Route(match=RouteMatch(prefix="/"), route=RouteAction(cluster=to, timeout=Duration()))
    message = RouteConfiguration(name=name, virtual_hosts=[VirtualHost(name=name, domains=["*"], routes=[route])])
    return Resource.of(name, message, needs=((names.CLUSTER, to),))
