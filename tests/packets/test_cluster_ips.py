"""Where does a connection to a cluster IP arrive?"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshlab import nft
from meshlab.cluster.embedded.node.cluster_ips import ClusterIps, table
from meshlab.dataplane.envoy.redirection import redirection
from meshlab.kube import Object
from meshlab.mesh.settings import Exclusions

UDP = socket.SOCK_DGRAM
RANGE = "10.77.128.0/17"
STORE = "10.77.128.9"


def service(cluster_ip: str | None = STORE, *ports: Object, **spec: Any) -> Object:
    metadata = {"name": "bookstore", "namespace": "books"}
    return {"metadata": metadata, "spec": {"clusterIP": cluster_ip, "ports": list(ports) or [port()], **spec}}


def port(number: int = 14001, protocol: str = "TCP", name: str = "") -> Object:
    return {"port": number, "protocol": protocol, **({"name": name} if name else {})}


def slice_of(*addresses: str, ready: bool = True, **more: Any) -> Object:
    labels = {"kubernetes.io/service-name": "bookstore"}
    endpoints = [{"addresses": [address], "conditions": {"ready": ready}} for address in addresses]
    found = {"addressType": "IPv4", "endpoints": endpoints, "ports": [port(8080)], **more}
    return {"metadata": {"name": "bookstore-1", "namespace": "books", "labels": labels}, **found}


def lay(place: Any, services: list[Object], slices: list[Object]) -> None:
    with place.way() as way:
        nft.apply(nft.encode(table(services, slices, RANGE)), way)


def test_it_arrives_at_an_endpoint_and_comes_from_the_caller(wires):
    wires.there.listen(8080)
    lay(wires.here, [service()], [slice_of(wires.there.address)])
    arrival = wires.here.call(STORE, 14001)
    assert (arrival.at, arrival.caller) == ((wires.there.address, 8080), wires.here.address)


def test_a_pod_that_calls_its_own_service_may_reach_itself(wires):
    wires.here.listen(8080)
    lay(wires.here, [service()], [slice_of(wires.here.address)])
    arrival = wires.here.call(STORE, 14001)
    assert (arrival.at, arrival.caller) == ((wires.here.address, 8080), wires.here.address)


def test_all_ready_endpoints_get_their_share_and_no_other_any(wires):
    for place in (wires.here, wires.there):
        place.listen(8080)
    lay(
        wires.here, [service()], [slice_of(wires.here.address, wires.there.address), slice_of("10.77.9.9", ready=False)]
    )
    arrived = [wires.here.call(STORE, 14001).at[0] for _ in range(60)]
    assert min(arrived.count(place.address) for place in (wires.here, wires.there)) > 5


def test_one_client_keeps_its_endpoint_where_the_service_says_so(wires):
    for place in (wires.here, wires.there):
        place.listen(8080)
    lay(wires.here, [service(sessionAffinity="ClientIP")], [slice_of(wires.here.address, wires.there.address)])
    assert len({wires.here.call(STORE, 14001).at for _ in range(20)}) == 1


def test_udp_arrives_too_and_ports_of_one_number_are_told_apart_by_protocol(wires):
    wires.there.listen(53, UDP)
    wires.there.listen(5353)
    ports = [port(53, "UDP", "dns"), port(53, "TCP", "dns-tcp")]
    targets = [port(53, "UDP", "dns"), port(5353, "TCP", "dns-tcp")]
    lay(wires.here, [service(STORE, *ports)], [slice_of(wires.there.address, ports=targets)])
    assert wires.here.call(STORE, 53, kind=UDP).at == ("0.0.0.0", 53)
    assert wires.here.call(STORE, 53).at == (wires.there.address, 5353)


@pytest.mark.parametrize(("kind", "refused"), [(socket.SOCK_STREAM, ConnectionRefusedError), (UDP, PermissionError)])
def test_where_nobody_is_ready_or_no_such_port_or_no_service_it_is_refused(wires, kind, refused):
    lay(wires.here, [service()], [slice_of(wires.there.address, ready=False)])
    assert wires.here.call(STORE, 14001, kind=kind) is refused
    assert wires.here.call(STORE, 81, kind=kind) is refused
    assert wires.here.call("10.77.200.200", 80, kind=kind) is refused


def test_what_is_not_for_a_cluster_ip_goes_its_way(wires):
    wires.there.listen(14001)
    lay(wires.here, [service()], [slice_of("10.77.9.9")])
    assert wires.here.call(wires.there.address, 14001).at == (wires.there.address, 14001)


@pytest.mark.parametrize("rules_first", [True, False])
def test_beside_a_proxy_the_apps_call_goes_to_it_and_the_proxys_own_to_an_endpoint(wires, rules_first):
    wires.here.listen(15001)
    wires.there.listen(8080)

    def redirect() -> None:
        with wires.here.way() as way:
            nft.apply(nft.encode(redirection(Exclusions(outbound_ports=(14002,)), nft.Mark(1337))), way)

    if not rules_first:
        redirect()
    services = [service(STORE, port(14001, name="a"), port(14002, name="b"))]
    lay(wires.here, services, [slice_of(wires.there.address, ports=[port(8080, name="a"), port(8080, name="b")])])
    if rules_first:
        redirect()
    app = wires.here.call(STORE, 14001)
    assert (app.at[1], app.meant_for) == (15001, (STORE, 14001))
    assert wires.here.call(STORE, 14001, mark=1337).at == (wires.there.address, 8080)
    assert wires.here.call(STORE, 14002).at == (wires.there.address, 8080), "this port goes past the proxy"
    assert wires.here.call(STORE, 80).at[1] == 15001, "the proxy decides what becomes of it"
    assert wires.here.call(STORE, 80, mark=1337) is ConnectionRefusedError


@pytest.mark.parametrize("cluster_ip", [None, "", "None"])
def test_a_service_without_a_cluster_ip_has_no_rules(cluster_ip):
    lead, _ = table([service(cluster_ip)], [slice_of("10.77.0.5")], RANGE).chains
    assert lead.rules == ()


def test_an_endpoint_that_does_not_say_whether_it_is_ready_is():
    said_nothing = slice_of(endpoints=[{"addresses": ["10.77.0.5"], "conditions": {}}])
    lead, _ = table([service()], [said_nothing], RANGE).chains
    assert lead.rules[0].verdict == nft.Dnat((("10.77.0.5", 8080),))


@settings(deadline=None)
@given(st.permutations(["10.77.0.5", "10.77.0.6", "10.77.0.7"]), st.integers(0, 3))
def test_the_order_of_the_endpoints_changes_nothing(addresses, cut):
    first = table([service()], [slice_of("10.77.0.5", "10.77.0.6", "10.77.0.7")], RANGE)
    assert table([service()], [slice_of(*addresses[:cut]), slice_of(*addresses[cut:])], RANGE) == first


class Changing:
    """Services that a test changes."""

    def __init__(self) -> None:
        self.found: list[Object] = []
        self._changed: Callable[[], None] = lambda: None

    def listen(self, changed: Callable[[], None]) -> None:
        self._changed = changed

    def lead_to(self, *addresses: str) -> None:
        self.found = [slice_of(*addresses)]
        self._changed()

    def all(self) -> Iterator[Object]:
        return iter([service()])

    def slices(self) -> Iterator[Object]:
        return iter(self.found)


async def test_every_network_that_joined_follows_the_services_and_one_that_left_does_not(wires):
    services = Changing()
    for place in (wires.here, wires.there):
        place.listen(8080)
    rules = ClusterIps(services, RANGE)  # type: ignore[arg-type]
    rules.join("here", wires.here.way())
    assert wires.here.call(STORE, 14001) is ConnectionRefusedError, "before the Services are known"
    running = asyncio.create_task(rules.run())

    async def arrives(place: Any, expected: object) -> None:
        async with asyncio.timeout(10):
            while getattr(arrival := place.call(STORE, 14001), "at", arrival) != expected:  # noqa: ASYNC110  # the kernel tells nobody
                await asyncio.sleep(0.01)

    services.lead_to(wires.there.address)
    await arrives(wires.here, (wires.there.address, 8080))
    rules.join("there", wires.there.way())
    assert wires.there.call(STORE, 14001).at == (wires.there.address, 8080), "at once when it joins"
    services.lead_to(wires.here.address)
    for place in (wires.here, wires.there):
        await arrives(place, (wires.here.address, 8080))
    rules.leave("there")
    rules.leave("there")
    services.lead_to()
    await arrives(wires.here, ConnectionRefusedError)
    assert wires.there.call(STORE, 14001).at == (wires.here.address, 8080)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    rules.leave("here")
