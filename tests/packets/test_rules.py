"""What does the kernel do with a connection, if it was told a rule?"""

from __future__ import annotations

import errno
import os
import socket
import struct
import threading
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from meshlab import nft
from meshlab.nft.netlink import attributes_in, messages_in

TCP, UDP = socket.SOCK_STREAM, socket.SOCK_DGRAM
OUTPUT, PREROUTING = nft.Hook("nat", "output", -100), nft.Hook("nat", "prerouting", -100)
IS_TCP, IS_UDP = nft.Protocol("tcp"), nft.Protocol("udp")
SERVICE = "10.77.128.1"


def leaving(*rules: nft.Rule, priority: int = -100) -> nft.Chain:
    return nft.Chain(f"leaving{priority}", rules, replace(OUTPUT, priority=priority))


# Each match with a call it fits and one it doesn't. {there} is the other pod's address.
MATCHES: list[tuple[tuple[nft.Match, ...], dict[str, Any], dict[str, Any]]] = [
    ((nft.Protocol("tcp"),), {}, {"kind": UDP}),
    ((nft.Protocol("udp"),), {"kind": UDP}, {}),
    ((IS_TCP, nft.DestinationPort(80)), {"port": 80}, {"port": 81}),
    ((IS_UDP, nft.DestinationPort(80)), {"kind": UDP}, {}),
    ((IS_TCP, nft.SourcePort(7001)), {"own_port": 7001}, {"own_port": 7002}),
    ((nft.Destination("10.77.0.0/16"),), {}, {"address": "127.0.0.1"}),
    ((nft.Destination("{there}/32"),), {}, {"address": "127.0.0.1"}),
    ((nft.Destination("127.0.0.0/9"),), {"address": "127.127.255.255"}, {"address": "127.128.0.0"}),
    ((nft.Source("127.0.0.5/32"),), {"address": "127.0.0.1", "source": "127.0.0.5"}, {"address": "127.0.0.1"}),
    ((nft.OutputInterface("eth0"),), {}, {"address": "127.0.0.1"}),
    ((nft.OutputInterface("lo"),), {"address": "127.0.0.1"}, {}),
    ((nft.Mark(1337),), {"mark": 1337}, {"mark": 1338}),
    ((nft.Mark(0),), {}, {"mark": 1}),
    ((IS_TCP, nft.DestinationPort(80), nft.Mark(7)), {"mark": 7}, {"mark": 7, "port": 81}),
]


def filled(match: nft.Match, there: str) -> nft.Match:
    return replace(match, prefix=match.prefix.format(there=there)) if isinstance(match, nft.Destination) else match


@pytest.mark.parametrize(("matches", "fits", "other"), MATCHES)
def test_a_rule_is_for_what_fits_all_its_matches_and_for_nothing_else(wires, matches, fits, other):
    matches = tuple(filled(match, wires.there.address) for match in matches)
    for place in (wires.here, wires.there):
        for kind, port in ((TCP, 80), (TCP, 81), (UDP, 80), (TCP, 9999), (UDP, 9999)):
            place.listen(port, kind)

    def port_of(given: dict[str, Any]) -> int:
        return wires.here.call(**{"address": wires.there.address, "port": 80, **given}).at[1]

    wires.here.apply(leaving(nft.Rule(nft.Redirect(9999), matches)))
    assert port_of(fits) == 9999
    assert port_of(other) != 9999
    *before, last = matches
    if not isinstance(before[0] if before else last, nft.Protocol):
        wires.here.apply(leaving(nft.Rule(nft.Redirect(9999), (*before, replace(last, negated=True)))))
        assert port_of(fits) != 9999
        assert port_of(other) == 9999


@pytest.mark.parametrize("negated", [False, True])
def test_a_ports_negation_is_all_other_ports(wires, negated):
    for port in (80, 81, 9999):
        wires.there.listen(port)
    only = nft.DestinationPort(80, negated=negated)
    wires.here.apply(leaving(nft.Rule(nft.Dnat(((wires.there.address, 9999),)), (IS_TCP, only))))
    assert wires.here.call(wires.there.address, 80).at[1] == (80 if negated else 9999)
    assert wires.here.call(wires.there.address, 81).at[1] == (9999 if negated else 81)


@pytest.mark.parametrize("kind", [TCP, UDP])
def test_a_socket_belongs_to_the_user_that_opened_it(wires, kind):
    wires.here.listen(9999, kind)
    wires.there.listen(80, kind)
    for user, port in ((os.getuid(), 9999), (os.getuid() + 1, 80)):
        wires.here.apply(
            leaving(nft.Rule(nft.Redirect(9999), (nft.Protocol("udp" if kind == UDP else "tcp"), nft.User(user))))
        )
        assert wires.here.call(wires.there.address, 80, kind=kind).at[1] == port


@pytest.mark.parametrize(("name", "port"), [("eth0", 9999), ("eth1", 80)])
def test_what_comes_in_is_told_by_its_interface_and_redirected_too(wires, name, port):
    for number in (80, 9999):
        wires.there.listen(number)
    arriving = nft.Rule(nft.Redirect(9999), (IS_TCP, nft.InputInterface(name)))
    wires.there.apply(nft.Chain("arriving", (arriving,), PREROUTING))
    arrival = wires.here.call(wires.there.address, 80)
    assert arrival.at == (wires.there.address, port)
    assert arrival.caller == wires.here.address


def test_a_redirected_connection_still_knows_where_it_was_meant_to_go(wires):
    wires.here.listen(15001)
    wires.here.apply(leaving(nft.Rule(nft.Redirect(15001), (IS_TCP,))))
    arrival = wires.here.call(SERVICE, 14001)
    assert (arrival.at, arrival.meant_for) == (("127.0.0.1", 15001), (SERVICE, 14001))


def test_a_chain_comes_back_from_its_end_and_from_return_and_not_from_accept(wires):
    for port in (1, 2, 3, 4, 80):
        wires.there.listen(port)
    to = {port: nft.Dnat(((wires.there.address, port),)) for port in (1, 2, 3, 4)}
    first = (
        nft.Rule(nft.Return(), (nft.Mark(1),)),
        nft.Rule(nft.Accept(), (nft.Mark(2),)),
        nft.Rule(to[3], (IS_TCP, nft.Mark(3))),
    )
    entry = leaving(nft.Rule(nft.Jump("first"), (nft.Mark(9, negated=True),)), nft.Rule(to[4], (IS_TCP,)))
    wires.here.apply(entry, nft.Chain("first", first))
    arrived = {mark: wires.here.call(wires.there.address, 80, mark=mark).at[1] for mark in (1, 2, 3, 4, 9)}
    assert arrived == {1: 4, 2: 80, 3: 3, 4: 4, 9: 4}


@pytest.mark.parametrize("kind", [TCP, UDP])
def test_connections_are_spread_over_targets_by_chance(wires, kind):
    ports = (8001, 8002, 8003)
    for port in ports:
        wires.there.listen(port, kind)
    targets = tuple((wires.there.address, port) for port in ports)
    wires.here.apply(
        leaving(nft.Rule(nft.Dnat(targets), (nft.Destination(f"{SERVICE}/32"), IS_UDP if kind == UDP else IS_TCP)))
    )
    arrivals = [wires.here.call(SERVICE, 80, kind=kind) for _ in range(150)]
    counts = Counter(arrival.at[1] for arrival in arrivals)
    assert min(counts[port] for port in ports) > 20, "each gets 50 of 150, give or take (one in 10 million runs less)"
    assert {arrival.caller for arrival in arrivals} == {wires.here.address}, "who calls is not hidden"


def test_one_source_is_always_led_to_the_same_target_and_others_to_others(wires):
    ports = (8001, 8002, 8003)
    for port in ports:
        wires.here.listen(port)
    targets = tuple((wires.here.address, port) for port in ports)
    wires.here.apply(leaving(nft.Rule(nft.Dnat(targets, by_source=True), (nft.Destination("127.99.0.0/16"), IS_TCP))))
    seen = {
        source: {wires.here.call("127.99.0.1", 80, source=source).at[1] for _ in range(5)}
        for source in (f"127.0.0.{number}" for number in range(1, 25))
    }
    assert all(len(found) == 1 for found in seen.values())
    assert {port for found in seen.values() for port in found} == set(ports)


def test_masquerade_hides_the_source_behind_the_interfaces_address(wires):
    wires.there.listen(80)
    wires.here.apply(nft.Chain("last", (nft.Rule(nft.Masquerade(), (IS_TCP,)),), nft.Hook("nat", "postrouting", 100)))
    assert wires.here.call(wires.there.address, 80).caller == wires.here.address


@pytest.mark.parametrize(("kind", "refused"), [(TCP, ConnectionRefusedError), (UDP, PermissionError)])
def test_what_is_rejected_fails_at_once(wires, kind, refused):
    nobody = nft.Destination("10.77.128.0/17")
    rules = nft.Rule(nft.Reject(tcp_reset=True), (IS_TCP, nobody)), nft.Rule(nft.Reject(), (nobody,))
    wires.here.apply(nft.Chain("refuse", rules, nft.Hook("filter", "output", 0)))
    assert wires.here.call(SERVICE, 80, kind=kind) is refused


def test_the_chain_with_the_least_priority_decides(wires):
    for port in (1, 2):
        wires.here.listen(port)
    wires.here.apply(leaving(nft.Rule(nft.Redirect(2), (IS_TCP,)), priority=-90), name="later")
    wires.here.apply(leaving(nft.Rule(nft.Redirect(1), (IS_TCP, nft.Mark(0))), priority=-100), name="sooner")
    assert wires.here.call(SERVICE, 80).at[1] == 1
    assert wires.here.call(SERVICE, 80, mark=5).at[1] == 2


def test_a_table_takes_the_place_of_the_one_with_its_name_and_of_no_other(wires):
    for port in (1, 2, 3):
        wires.here.listen(port)
    wires.here.apply(leaving(nft.Rule(nft.Redirect(3), (IS_TCP, nft.Mark(3)))), name="other")
    wires.here.apply(leaving(nft.Rule(nft.Redirect(1), (IS_TCP,)), priority=-90), nft.Chain("old"))
    wires.here.apply(leaving(nft.Rule(nft.Redirect(2), (IS_TCP,)), priority=-90))
    assert wires.here.call(SERVICE, 80).at[1] == 2
    assert wires.here.call(SERVICE, 80, mark=3).at[1] == 3


def test_a_table_is_replaced_so_that_no_connection_falls_between(wires):
    wires.there.listen(80)
    to = leaving(nft.Rule(nft.Dnat(((wires.there.address, 80),)), (nft.Destination(f"{SERVICE}/32"), IS_TCP)))
    refuse = nft.Chain(
        "refuse",
        (nft.Rule(nft.Reject(tcp_reset=True), (IS_TCP, nft.Destination(f"{SERVICE}/32"))),),
        nft.Hook("filter", "output", 0),
    )
    wires.here.apply(to, refuse)
    over = threading.Event()

    def replace_often() -> None:
        while not over.is_set():
            wires.here.apply(to, refuse)

    thread = threading.Thread(target=replace_often)
    thread.start()
    try:
        assert {type(wires.here.call(SERVICE, 443)).__name__ for _ in range(300)} == {"Arrival"}
    finally:
        over.set()
        thread.join()


def test_what_the_kernel_refuses_is_named_and_nothing_has_changed(wires):
    wires.here.listen(1)
    wires.here.apply(leaving(nft.Rule(nft.Redirect(1), (IS_TCP,))))
    good, bad = nft.Rule(nft.Redirect(2), (IS_TCP,)), nft.Rule(nft.Jump("nowhere"))
    with pytest.raises(OSError, match="rule 2 of chain leaving-100: No such file or directory") as refused:
        wires.here.apply(leaving(good, bad))
    assert refused.value.errno == errno.ENOENT
    assert wires.here.call(SERVICE, 80).at[1] == 1
    with pytest.raises(OSError, match=r"chain wrong: .+"):
        wires.here.apply(nft.Chain("wrong", (), nft.Hook("nat", "output", -400)))


def test_too_many_rules_for_one_message_are_refused_as_that(wires):
    targets = tuple((f"10.77.{number >> 8}.{number & 255}", 80) for number in range(8_000))
    with pytest.raises(OSError, match="more rules than fit into one message"):
        wires.here.apply(leaving(nft.Rule(nft.Dnat(targets), (IS_TCP,))))


octets, ports = st.integers(0, 255), st.integers(1, 65535)
prefixes = st.builds(
    lambda number, bits: f"{socket.inet_ntoa(struct.pack('!I', number >> (32 - bits) << (32 - bits)))}/{bits}",
    st.integers(0, 2**32 - 1),
    st.integers(0, 32),
)
interfaces = st.text("abcdefgh0123456789.-_", min_size=1, max_size=15)
matches = st.one_of(
    st.builds(nft.Source, prefixes, st.booleans()),
    st.builds(nft.Destination, prefixes, st.booleans()),
    st.builds(nft.OutputInterface, interfaces, st.booleans()),
    st.builds(nft.Mark, st.integers(0, 2**32 - 1), st.booleans()),
    st.builds(nft.User, st.just(0), st.booleans()),
    st.builds(nft.DestinationPort, ports, st.booleans()),
    st.builds(nft.SourcePort, ports, st.booleans()),
)
targets = st.lists(st.tuples(octets.map("10.0.0.{}".format), ports), min_size=1, max_size=4).map(tuple)
verdicts = st.one_of(
    st.just(nft.Accept()),
    st.just(nft.Return()),
    st.just(nft.Jump("below")),
    st.builds(nft.Redirect, ports),
    st.builds(nft.Dnat, targets, st.booleans()),
)
rules = st.builds(nft.Rule, verdicts, st.lists(matches, max_size=4).map(lambda found: (IS_TCP, *found)))
tables = st.builds(
    lambda above, below: nft.Table("any", (nft.Chain("below", below), nft.Chain("above", above, OUTPUT))),
    st.lists(rules, max_size=6).map(tuple),
    st.lists(rules.filter(lambda rule: not isinstance(rule.verdict, nft.Jump)), max_size=6).map(tuple),
)


def nested(content: bytes, depth: int = 0) -> int:
    """How many attributes there are, each within the bounds of the one around it."""
    return sum(1 + (nested(value, depth + 1) if kind & 0x8000 else 0) for kind, value in attributes_in(content))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(table=tables)
def test_every_table_is_a_batch_that_the_kernel_takes(wires, table):
    batch = nft.encode(table)
    kinds = [kind for kind, _, body in messages_in(batch) if nested(body[4:]) >= 0]
    assert kinds[0] == 0x10, "begins"
    assert kinds[-1] == 0x11, "ends"
    assert sum(map(len, (body for _, _, body in messages_in(batch)))) + 16 * len(kinds) == len(batch)
    assert nft.encode(table) == batch
    with wires.here.way() as way:
        nft.apply(batch, way)
