"""What does a pod learn when it asks for a name?"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest
from dns.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st

from meshlab.cluster.embedded.node.dns.answer import answer, to_datagram
from meshlab.cluster.embedded.node.dns.forward import upstreams
from meshlab.cluster.embedded.node.dns.records import Records, records
from meshlab.cluster.embedded.node.dns.resolver import Resolver
from meshlab.cluster.embedded.node.dns.server import NameServer
from meshlab.kube import Object

HTTP = {"name": "http", "port": 14001, "protocol": "TCP"}


def service(name: str, cluster_ip: str | None = "10.64.128.9", namespace: str = "books", **spec: Any) -> Object:
    given = {"ports": [HTTP], **({"clusterIP": cluster_ip} if cluster_ip else {}), **spec}
    return {"metadata": {"name": name, "namespace": namespace}, "spec": given}


def slice_of(name: str, *endpoints: Object, namespace: str = "books") -> Object:
    labels = {"kubernetes.io/service-name": name}
    metadata = {"name": f"{name}-1", "namespace": namespace, "labels": labels}
    return {"metadata": metadata, "addressType": "IPv4", "endpoints": list(endpoints), "ports": [HTTP]}


def endpoint(address: str, hostname: str = "", ready: bool | None = True) -> Object:
    name = {"hostname": hostname} if hostname else {}
    return {"addresses": [address], "conditions": {} if ready is None else {"ready": ready}, **name}


STORE = service("bookstore")
MYSQL = service("mysql", "None")
PODS = slice_of("mysql", endpoint("10.64.0.7", "mysql-0"), endpoint("10.64.0.8"), endpoint("10.64.0.9", ready=False))
OUTSIDE = service("paper", None, type="ExternalName", externalName="paper.example.com")
ALIAS = service("shop", None, type="ExternalName", externalName="bookstore.books.svc.cluster.local")
KNOWN = records([STORE, MYSQL, OUTSIDE, ALIAS], [PODS, slice_of("bookstore", endpoint("10.64.0.5"))])
SVC = "books.svc.cluster.local"


def ask(name: str, kind: str = "A", known: Records = KNOWN) -> Message:
    response, _ = answer(dns.message.make_query(name, kind), known)
    return response


def texts(response: Message) -> list[str]:
    return [record.to_text() for found in response.answer for record in found]


def test_a_service_is_its_cluster_ip_and_a_headless_one_its_ready_pods():
    assert texts(ask(f"bookstore.{SVC}")) == ["10.64.128.9"]
    assert sorted(texts(ask(f"mysql.{SVC}"))) == ["10.64.0.7", "10.64.0.8"]


def test_a_pod_of_a_headless_service_has_a_name_of_its_own():
    assert texts(ask(f"mysql-0.mysql.{SVC}")) == ["10.64.0.7"]
    assert texts(ask(f"10-64-0-8.mysql.{SVC}")) == ["10.64.0.8"], "one without a hostname is named by its address"
    assert ask(f"10-64-0-9.mysql.{SVC}").rcode() == dns.rcode.NXDOMAIN, "it is not ready"


def test_a_named_port_has_an_srv_record_with_the_addresses_beside_it():
    whole = ask(f"_http._tcp.bookstore.{SVC}", "SRV")
    assert texts(whole) == [f"0 100 14001 bookstore.{SVC}."]
    assert [found[0].to_text() for found in whole.additional] == ["10.64.128.9"]
    pods = ask(f"_http._tcp.mysql.{SVC}", "SRV")
    assert sorted(text.split()[3] for text in texts(pods)) == [f"10-64-0-8.mysql.{SVC}.", f"mysql-0.mysql.{SVC}."]


def test_an_address_has_a_name():
    assert texts(ask("9.128.64.10.in-addr.arpa", "PTR")) == [f"bookstore.{SVC}."]
    assert texts(ask("7.0.64.10.in-addr.arpa", "PTR")) == [f"mysql-0.mysql.{SVC}."]


@pytest.mark.parametrize(
    "name", [f"bookstore.{SVC}", SVC, "svc.cluster.local", "cluster.local", f"_tcp.bookstore.{SVC}"]
)
def test_a_name_that_is_there_without_the_type_asked_for_is_an_empty_answer(name: str):
    response = ask(name, "AAAA")
    assert (response.rcode(), response.answer) == (dns.rcode.NOERROR, [])
    assert response.authority[0].to_text().startswith("cluster.local. 5 IN SOA "), "how long that may be remembered"


@pytest.mark.parametrize("name", [f"bookstor.{SVC}", "bookstore.books.cluster.local", f"www.example.com.{SVC}"])
def test_a_name_that_is_not_there_is_refused_for_good(name: str):
    response = ask(name)
    assert response.rcode() == dns.rcode.NXDOMAIN, "so that the resolver goes on with its search list"
    assert response.authority[0].to_text().startswith("cluster.local. 5 IN SOA ")


def test_letters_are_the_same_large_and_small_and_the_question_comes_back_as_it_was():
    response = ask(f"BookStore.{SVC}")
    assert texts(response) == ["10.64.128.9"]
    assert response.answer[0].name.to_text() == f"BookStore.{SVC}."


def test_an_external_name_leads_on():
    inside = ask(f"shop.{SVC}")
    assert texts(inside) == [f"bookstore.{SVC}.", "10.64.128.9"]
    _, outside = answer(dns.message.make_query(f"paper.{SVC}", "A"), KNOWN)
    assert outside == "paper.example.com."


def test_names_that_lead_to_each_other_end():
    there = service("a", None, type="ExternalName", externalName=f"b.{SVC}")
    back = service("b", None, type="ExternalName", externalName=f"a.{SVC}")
    assert len(ask(f"a.{SVC}", known=records([there, back], [])).answer) <= 8


def test_a_name_outside_of_the_cluster_is_not_ours_to_answer():
    for name in ("example.com", "xcluster.local", "1.0.0.127.in-addr.arpa"):
        response, outside = answer(dns.message.make_query(name, "A"), KNOWN)
        assert (outside, response.answer, response.flags & dns.flags.AA) == (f"{name}.", [], 0)


def test_what_is_no_question_of_ours_is_refused():
    chaos = dns.message.make_query(f"bookstore.{SVC}", "A", rdclass="CH")
    assert answer(chaos, KNOWN)[0].rcode() == dns.rcode.REFUSED
    newer = dns.message.make_query(f"bookstore.{SVC}", "A", use_edns=1)
    assert answer(newer, KNOWN)[0].rcode() == dns.rcode.BADVERS
    update = dns.message.from_wire(dns.message.make_query(f"bookstore.{SVC}", "A").to_wire()[:2] + b"\x28" + bytes(9))
    assert answer(update, KNOWN)[0].rcode() == dns.rcode.NOTIMP


def crowd(count: int) -> Records:
    pods = [endpoint(f"10.64.{number >> 8}.{number & 255}") for number in range(count)]
    return records([MYSQL], [slice_of("mysql", *pods)])


@pytest.mark.parametrize(
    ("edns", "pods", "cut"), [(False, 20, False), (False, 40, True), (True, 40, False), (True, 99, True)]
)
def test_an_answer_that_does_not_fit_a_packet_is_cut_off_so_that_it_is_asked_again(edns: bool, pods: int, cut: bool):
    query = dns.message.make_query(f"mysql.{SVC}", "A", use_edns=0 if edns else -1, payload=4096)
    response, _ = answer(query, crowd(pods))
    wire = to_datagram(query, response)
    assert len(wire) <= (1232 if edns else 512)
    assert bool(dns.message.from_wire(wire).flags & dns.flags.TC) is cut
    assert len(dns.message.from_wire(response.to_wire()).answer[0]) == pods, "over TCP it is whole"


LABEL = st.text("abz-019_", min_size=1, max_size=12)


@settings(deadline=None)
@given(st.lists(LABEL, min_size=1, max_size=5), st.sampled_from(["A", "AAAA", "SRV", "TXT", "ANY", "CNAME", "PTR"]))
def test_no_name_gets_an_answer_that_is_not_in_the_records(labels: list[str], kind: str):
    name = ".".join(labels) + ".cluster.local."
    response = ask(name, kind)
    there = name in KNOWN
    assert (response.rcode() == dns.rcode.NXDOMAIN) is not there
    assert bool(response.answer) is (there and (kind in KNOWN[name] or (kind == "ANY" and bool(KNOWN[name]))))


@settings(deadline=None)
@given(st.sampled_from(sorted(KNOWN)), st.data())
def test_every_name_in_the_records_is_found_in_any_case(name: str, data: st.DataObject):
    spelled = "".join(data.draw(st.sampled_from([letter, letter.upper()])) for letter in name)
    for kind, expected in KNOWN[name].items():
        assert [text.lower() for text in texts(ask(spelled, kind))] == [text.lower() for text in expected]


@settings(deadline=None)
@given(st.sampled_from(sorted(KNOWN)))
def test_what_a_name_ends_in_exists(name: str):
    assert name.endswith(".arpa.") or name == "cluster.local." or name.partition(".")[2] in KNOWN


class Fixed:
    """Services that stay as they are."""

    def listen(self, _changed: object) -> None: ...

    def all(self) -> Iterator[Object]:
        return iter([STORE, MYSQL, OUTSIDE])

    def slices(self) -> Iterator[Object]:
        return iter([PODS])


class Asker(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.answers: asyncio.Queue[bytes] = asyncio.Queue()

    def datagram_received(self, data: bytes, addr: object) -> None:
        self.answers.put_nowait(data)


@asynccontextmanager
async def serving(*servers: tuple[str, int]) -> AsyncIterator[tuple[str, int]]:
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    listener = socket.create_server(("127.0.0.1", 0))
    datagrams.bind(listener.getsockname())
    running = asyncio.create_task(NameServer(Fixed(), servers).run(datagrams, listener))  # type: ignore[arg-type]
    try:
        yield listener.getsockname()
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def over_udp(address: tuple[str, int], wire: bytes) -> Message:
    loop = asyncio.get_running_loop()
    transport, asker = await loop.create_datagram_endpoint(Asker, remote_addr=address)
    try:
        transport.sendto(wire)
        return dns.message.from_wire(await asyncio.wait_for(asker.answers.get(), 10))
    finally:
        transport.close()


async def test_the_server_answers_over_udp_and_several_questions_over_one_tcp_connection():
    query = dns.message.make_query(f"bookstore.{SVC}", "A").to_wire()
    async with serving() as address:
        assert texts(await over_udp(address, query)) == ["10.64.128.9"]
        reader, writer = await asyncio.open_connection(*address)
        for _ in range(2):
            writer.write(struct.pack(">H", len(query)) + query)
            (length,) = struct.unpack(">H", await reader.readexactly(2))
            assert texts(dns.message.from_wire(await reader.readexactly(length))) == ["10.64.128.9"]
        writer.close()


async def test_an_answer_is_as_good_as_the_services_are_at_the_moment():
    class Changing(Fixed):
        there = False

        def listen(self, changed: Any) -> None:
            self.changed = changed

        def all(self) -> Iterator[Object]:
            return iter([STORE] if self.there else [])

    services = Changing()
    server = NameServer(services, ())  # type: ignore[arg-type]
    for there in (False, True, False):
        services.there = there
        services.changed()
        for number in (1, 2):
            query = dns.message.make_query(f"bookstore.{SVC}", "A", id=number)
            response = dns.message.from_wire(await server.respond(query.to_wire(), tcp=False) or b"")
            assert (response.id, bool(texts(response))) == (number, there)


async def test_without_others_to_ask_there_is_nothing_outside_of_the_cluster():
    async with serving() as address:
        response = await over_udp(address, dns.message.make_query("example.com", "A").to_wire())
    assert response.rcode() == dns.rcode.NXDOMAIN


@asynccontextmanager
async def someone_who_knows(name: str, address: str) -> AsyncIterator[tuple[str, int]]:
    """A name server that a machine may have in its resolv.conf."""

    class Knowing(asyncio.DatagramProtocol):
        def connection_made(self, transport: Any) -> None:
            self.transport = transport

        def datagram_received(self, data: bytes, addr: Any) -> None:
            response = dns.message.make_response(query := dns.message.from_wire(data))
            if query.question[0].name.to_text() == name:
                response.answer.append(dns.rrset.from_text(name, 60, "IN", "A", address))
            else:
                response.set_rcode(dns.rcode.NXDOMAIN)
            self.transport.sendto(response.to_wire(), addr)

    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(Knowing, local_addr=("127.0.0.1", 0))
    try:
        yield transport.get_extra_info("sockname")
    finally:
        transport.close()


async def test_other_names_are_asked_of_the_machines_name_servers():
    async with someone_who_knows("paper.example.com.", "192.0.2.7") as upstream, serving(upstream) as address:
        found = await over_udp(address, dns.message.make_query("paper.example.com", "A").to_wire())
        missing = await over_udp(address, dns.message.make_query("nothing.example.com", "A").to_wire())
        behind = await over_udp(address, dns.message.make_query(f"paper.{SVC}", "A").to_wire())
    assert texts(found) == ["192.0.2.7"]
    assert missing.rcode() == dns.rcode.NXDOMAIN
    assert texts(behind) == ["paper.example.com.", "192.0.2.7"], "a Service that is an external name"


async def test_when_the_machines_name_servers_are_not_there_that_is_said():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as nobody:
        nobody.bind(("127.0.0.1", 0))
        gone = nobody.getsockname()
    async with serving(gone) as address:
        response = await over_udp(address, dns.message.make_query("example.com", "A").to_wire())
    assert response.rcode() == dns.rcode.SERVFAIL


@settings(deadline=None)
@given(st.binary(max_size=80))
def test_whatever_comes_in_ends_in_an_answer_or_in_none(wire: bytes):
    response = asyncio.run(NameServer(Fixed(), ()).respond(wire, tcp=False))  # type: ignore[arg-type]
    assert response is None or response[:2] == wire[:2]


def test_the_machines_own_name_servers_are_asked_for_other_names():
    text = "# made by\nsearch corp.example\nnameserver 10.0.0.2\nnameserver fe80::1%eth0\nnameserver 10.0.0.3 # two\n"
    assert upstreams(Resolver.parse(text)) == [("10.0.0.2", 53), ("10.0.0.3", 53)]
