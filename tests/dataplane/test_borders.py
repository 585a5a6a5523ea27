"""Real Envoys where the mesh ends: a host outside that may be called, and a gateway that takes calls from outside."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import replace

import pytest
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.extensions.filters.listener.proxy_protocol.v3.proxy_protocol_pb2 import ProxyProtocol

from meshlab.dataplane import Credentials
from meshlab.dataplane.envoy import names
from meshlab.identity import new_svid
from meshlab.mesh.egress import EgressPort, EgressProtocol, EgressRule
from meshlab.mesh.identity import Identity
from meshlab.mesh.ingress import GatewayRoute, IngressRule
from meshlab.mesh.project import project
from meshlab.mesh.rules import Backend, HttpMatch, Split
from meshlab.mesh.service import Endpoint, ServiceName
from meshlab.mesh.upstream_setting import Limits, UpstreamSetting
from meshlab.xds import Resource, Snapshot

from .loopback_mesh import Mesh, Pod, call, call_on

SHOP = ServiceName("shop", "shop")
GATEWAY = ServiceName("meshlab-system", "meshlab-gateway")


class Borders(Mesh):
    """The mesh with what is said of its borders."""

    egress_rules: tuple[EgressRule, ...] = ()
    ingress_rules: tuple[IngressRule, ...] = ()
    routes: tuple[GatewayRoute, ...] = ()
    settings: tuple[UpstreamSetting, ...] = ()

    def world(self):
        gateway = self.pods.get("gateway")
        at = gateway and Endpoint(gateway.address, 8080, gateway.workload.identity, True, gateway.full_name)
        return replace(
            super().world(),
            egress_rules=self.egress_rules,
            ingress_rules=self.ingress_rules,
            callers=((GATEWAY, (at,)),) if at else (),
            gateway_routes=self.routes,
            upstream_settings=self.settings,
        )

    async def gateway(self, *hosts: str) -> Pod:
        pod = await self.pod("gateway", "meshlab-system", app=False, envoy=False)
        identity = Identity("meshlab-system", "meshlab-gateway")
        pod.workload = replace(pod.workload, identity=identity, gateway=True)
        self.svids[identity] = await new_svid(self.ca, identity, names=hosts)
        await self._envoy(pod)
        return pod


@pytest.fixture
async def borders():
    async with Borders() as mesh:
        mesh.permissive = False
        yield mesh


async def ask(gateway: Pod, host: str, path: str = "/", **options) -> tuple[int, str]:
    reader, writer = await asyncio.open_connection(gateway.address, 8443 if options else 8080, **options)
    try:
        found = await call_on(reader, writer, f"http://{host}{path}", close=True)
    finally:
        writer.close()
    return found.status, found.body


async def test_an_egress_opens_one_host_to_one_identity_for_the_requests_it_names(borders):
    buyer, thief = await borders.pod("buyer", app=False), await borders.pod("thief", app=False)
    outside = await borders.pod("outside", meshed=False)
    host = outside.address
    await borders.push()
    assert (await call(buyer.address, f"http://{host}:14001/open")).status == 502
    match = HttpMatch("open", "/open", frozenset({"GET"}))
    port = EgressPort(14001, EgressProtocol.HTTP)
    rule = EgressRule("buyer/outside", frozenset({buyer.workload.identity}), (port,), (host,), matches=(match,))
    borders.egress_rules = (rule,)
    await borders.push()
    asked = [
        await call(buyer.address, f"http://{host}:14001/open"),
        await call(buyer.address, f"http://{host}:14001/other"),
        await call(buyer.address, f"http://{host}:14002/open"),
        await call(thief.address, f"http://{host}:14001/open"),
    ]
    assert [answer.status for answer in asked] == [200, 403, 502, 502]
    assert asked[0].body == "outside"


async def test_what_leaves_is_limited_by_the_setting_that_its_egress_names(borders):
    buyer = await borders.pod("buyer", app=False)
    outside = await borders.pod("outside", meshed=False)
    sources, ports = frozenset({buyer.workload.identity}), (EgressPort(14001, EgressProtocol.HTTP),)
    borders.egress_rules = (EgressRule("buyer/x", sources, ports, (outside.address,), setting="buyer/few"),)
    url = f"http://{outside.address}:14001/"
    for most, status in ((None, 200), (1, 200), (0, 503)):
        limits = Limits(requests=most)
        borders.settings = (UpstreamSetting("buyer/few", host=outside.address, service=None, limits=limits),)
        await borders.push()
        assert (await call(buyer.address, url)).status == status


async def test_two_egresses_are_a_union_and_one_with_addresses_opens_nothing_without_redirection(borders):
    buyer = await borders.pod("buyer", app=False)
    outside = await borders.pod("outside", meshed=False)
    sources, ports = frozenset({buyer.workload.identity}), (EgressPort(14001, EgressProtocol.HTTP),)
    name = "buyer/x"
    rules = [
        EgressRule(name, sources, ports, (outside.address,), matches=(HttpMatch(path, path),)) for path in ("/a", "/b")
    ]
    borders.egress_rules = (*rules, EgressRule(name, sources, ports, (outside.address,), ("127.0.0.0/8",)))
    await borders.push()
    asked = [await call(buyer.address, f"http://{outside.address}:14001{path}") for path in ("/a", "/b", "/c")]
    assert [answer.status for answer in asked] == [200, 200, 403]


async def test_the_gateway_serves_an_ingress_once_the_backend_lets_it_in(borders):
    gateway = await borders.gateway("shop.example")
    for name in ("one", "two"):
        await borders.pod(name, "shop")
        borders.service(f"shop/{name}", name)
    borders.service("shop/shop", "one", "two")
    borders.routes = (
        GatewayRoute("shop/in", "shop.example", "/books", False, SHOP, 14001),
        GatewayRoute("shop/in", "*.deep.example", "/", False, SHOP, 14001),
        GatewayRoute("shop/in", "", "/anywhere", True, SHOP, 14001),
        GatewayRoute("shop/in", "absent.example", "/", False, ServiceName("shop", "absent"), 80),
    )
    await borders.push()
    assert (await ask(gateway, "shop.example", "/books"))[0] == 403
    borders.ingress_rules = (IngressRule("shop/in", SHOP, 14001, services=(GATEWAY,)),)
    borders.splits = (Split("shop/s", SHOP, (Backend(ServiceName("shop", "two"), 1),)),)
    await borders.push()
    assert await ask(gateway, "shop.example", "/books/1") == (200, "two")
    assert [
        (await ask(gateway, host, path))[0]
        for host, path in [
            ("shop.example:8080", "/books"),
            ("shop.example", "/booksellers"),
            ("shop.example", "/x/../books"),
            ("a.deep.example", "/"),
            ("a.b.deep.example", "/"),
            ("elsewhere", "/anywhere"),
            ("elsewhere", "/anywhere/else"),
            ("shop.example", "/anywhere"),
            ("absent.example", "/"),
        ]
    ] == [200, 404, 200, 200, 404, 200, 404, 200, 503]


async def test_the_gateway_shows_a_certificate_of_the_mesh_for_the_hosts_it_serves(borders):
    gateway = await borders.gateway("shop.example")
    await borders.pod("one", "shop")
    borders.service("shop/shop", "one")
    borders.routes = (GatewayRoute("shop/in", "shop.example", "/", False, SHOP, 14001),)
    borders.ingress_rules = (
        IngressRule("shop/in", SHOP, 14001, services=(GATEWAY,), matches=(HttpMatch("get", "/open"),)),
    )
    await borders.push()
    trusting = ssl.create_default_context(cadata=(await borders.ca.bundle()).decode())
    secure = {"ssl": trusting, "server_hostname": "shop.example"}
    assert await ask(gateway, "shop.example", "/open", **secure) == (200, "one")
    assert (await ask(gateway, "shop.example", "/other", **secure))[0] == 403
    with pytest.raises(ssl.SSLCertVerificationError):
        await ask(gateway, "shop.example", **{**secure, "server_hostname": "other.example"})
    await borders.eventually(lambda: any(exchange.status == 403 for exchange in borders.exchanges))
    seen = [exchange for exchange in borders.exchanges if exchange.allowed_by]
    assert {exchange.allowed_by for exchange in seen} <= {"IngressBackend shop/in"}


async def test_a_door_lets_in_whom_its_addresses_and_principals_name_and_by_them_what_its_matches_do(borders):
    doors = await Doors.open(borders)
    reads = HttpMatch("read", "/read", frozenset({"GET"}))
    doors.rules = (
        IngressRule("store/plain", doors.service, 14001, ranges=("127.9.2.0/24",), matches=(reads,)),
        IngressRule("store/more", doors.service, 14001, ranges=("127.9.2.7/32",)),
    )
    await doors.push()
    assert [await doors.ask(source, path) for source in ("127.9.2.1", "127.9.2.7") for path in ("/read", "/x")] == [
        200,
        403,
        200,
        200,
    ]
    assert await doors.ask("127.8.0.1", "/read") == "closed"
    assert await doors.ask("127.9.2.7", "/read", tls=doors.client()) == "closed"


async def test_a_door_of_tls_asks_for_a_certificate_of_the_mesh_and_for_a_name(borders):
    doors = await Doors.open(borders)
    controller, other = Identity("edge", "controller"), Identity("edge", "other")
    rule = IngressRule(
        "store/tls", doors.service, 14001, principals=(controller.spiffe_id(),), tls=True, sni_hosts=("a.example",)
    )
    doors.rules = (rule,)
    await doors.push()
    mine, others = await doors.credentials(controller), await doors.credentials(other)
    assert await doors.ask("127.9.2.1", "/", tls=mine, name="a.example") == 200
    assert await doors.ask("127.9.2.1", "/", tls=mine, name="b.example") == "closed"
    assert await doors.ask("127.9.2.1", "/", tls=others, name="a.example") == "closed"
    assert await doors.ask("127.9.2.1", "/", tls=doors.client(), name="a.example") == "closed"
    # Beside one that asks for no certificate: whoever has none comes in by that one, where it leads.
    doors.rules = (
        rule,
        IngressRule("store/any", doors.service, 14001, ranges=("127.9.2.7/32",), tls=True, asks_client=False),
    )
    await doors.push()
    assert await doors.ask("127.9.2.1", "/", tls=mine, name="a.example") == 200
    assert await doors.ask("127.9.2.1", "/", tls=doors.client(), name="a.example") == 403
    assert await doors.ask("127.9.2.7", "/", tls=doors.client(), name="any.example") == 200


class Doors:
    """A store as a proxy guards it where the kernel redirects. Here the PROXY protocol says what the kernel would:
    where a connection was meant to go.
    """

    def __init__(self, mesh: Borders, store: Pod) -> None:
        self.mesh = mesh
        self.store = store
        self.service = ServiceName("store", "store")
        self.rules: tuple[IngressRule, ...] = ()

    @classmethod
    async def open(cls, mesh: Borders) -> Doors:
        made = cls(mesh, await mesh.pod("store"))
        mesh.service("store/store", "store")
        return made

    async def push(self) -> None:
        world = replace(self.mesh.world(), ingress_rules=self.rules)
        pod = self.store.workload
        held = Credentials(self.mesh.svids[pod.identity], await self.mesh.ca.bundle())
        snapshot = self.mesh.plane.compile(project(world, replace(pod, explicit_proxy=False)), held)
        told = [one for named in snapshot.resources.values() for one in named.values()]
        here = [self._as_told(one) for one in told if "outbound" not in one.name]
        generation = self.mesh.server.set_snapshot(self.store.node, Snapshot.of(snapshot.owner, here))
        status = await self.mesh.server.proxies.settled(self.store.node, generation, timeout=10)
        assert (status.settled, status.refused) == (generation, {})

    def _as_told(self, resource: Resource) -> Resource:
        if resource.name == names.INBOUND_LISTENER:
            listener = Listener()
            resource.message().Unpack(listener)
            listener.address.socket_address.address = self.store.address
            listener.listener_filters[0].name = "envoy.filters.listener.proxy_protocol"
            listener.listener_filters[0].typed_config.Pack(ProxyProtocol())
            return Resource.of(resource.name, listener, needs=resource.needs)
        if resource.name.endswith("|local"):
            cluster = Cluster()
            resource.message().Unpack(cluster)
            (endpoint,) = cluster.load_assignment.endpoints[0].lb_endpoints
            endpoint.endpoint.address.socket_address.address = self.store.address
            return Resource.of(resource.name, cluster, needs=resource.needs)
        return resource

    async def ask(self, source: str, path: str, tls: ssl.SSLContext | None = None, name: str = "x") -> int | str:
        """The status of a request from an address; ``closed`` when there is no connection to be had."""
        reader, writer = await asyncio.open_connection(self.store.address, names.INBOUND_PORT, local_addr=(source, 0))
        try:
            writer.write(f"PROXY TCP4 {source} {self.store.address} 50000 14001\r\n".encode())
            if tls:
                await writer.start_tls(tls, server_hostname=name)
            return (await call_on(reader, writer, f"http://{name}{path}", close=True)).status
        except (OSError, asyncio.IncompleteReadError):
            return "closed"
        finally:
            writer.close()

    def client(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context

    async def credentials(self, identity: Identity) -> ssl.SSLContext:
        svid, context = await new_svid(self.mesh.ca, identity), self.client()
        file = self.store.folder / f"{identity.service_account}.pem"
        file.write_bytes(svid.key + svid.chain)
        context.load_cert_chain(file)
        return context
