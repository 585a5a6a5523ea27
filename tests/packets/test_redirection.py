"""Do a pod's rules mean the same, whether iptables lays them or the kernel is told directly?"""

from __future__ import annotations

import itertools
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from meshlab import nft
from meshlab.dataplane.envoy.intercept import arguments
from meshlab.dataplane.envoy.iptables import for_restore
from meshlab.dataplane.envoy.redirection import Proxy, redirection
from meshlab.mesh.settings import Exclusions

IPTABLES = shutil.which("iptables-restore", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
MARK = nft.Mark(1337)
INBOUND, OUTBOUND = 15003, 15001
PORTS = (OUTBOUND, INBOUND, 15010, 15901, 80, 443, 3306)
LISTS = [
    Exclusions(),
    Exclusions(inbound_ports=(80,), outbound_ports=(3306,)),
    Exclusions(outbound_ranges=("10.77.0.0/31",)),
    Exclusions(only_ranges=("10.78.0.0/15", "10.77.0.1/32")),
    Exclusions((443,), (443,), ("10.77.0.0/31",), ("10.77.0.0/16",), ("net1",)),
    Exclusions(interfaces=("eth0",)),
]


def by_netlink(place: Any, rules: nft.Table) -> None:
    with place.way() as way:
        nft.apply(nft.encode(rules), way)


def by_iptables(place: Any, rules: nft.Table, hidden: Path) -> None:
    assert IPTABLES
    done = place.run([IPTABLES, "--noflush"], hidden, "NET_ADMIN", "NET_RAW", stdin=for_restore(rules))
    assert done.returncode == 0, done.stderr


def listen_everywhere(wires: Any) -> None:
    for place in (wires.node, wires.here, wires.there):
        for port in PORTS:
            place.listen(port)


def everything(place: Any, other: Any, node: Any) -> dict[str, Any]:
    """Where each kind of connection from a pod and to it arrives, and where it was meant to go, by role."""
    roles = {place.address: "me", other.address: "other", node.address: "node", "127.0.0.1": "localhost"}

    def seen(arrival: Any) -> tuple[str, int, str, int]:
        return roles[arrival.at[0]], arrival.at[1], roles[arrival.meant_for[0]], arrival.meant_for[1]

    outward = itertools.product(roles, (80, 443, 3306), (0, 1337))
    found = {
        f"to {roles[address]}:{port} marked {mark}": seen(place.call(address, port, mark=mark))
        for address, port, mark in outward
    }
    return found | {f"from other to {port}": seen(other.call(place.address, port, mark=1337)) for port in PORTS}


def test_the_app_goes_through_its_proxy_and_what_comes_in_does_too(wires):
    listen_everywhere(wires)
    by_netlink(wires.here, redirection(Exclusions(), MARK))
    there, here = wires.there.address, wires.here.address
    assert wires.here.call(there, 80).at == ("127.0.0.1", OUTBOUND)
    assert wires.here.call("10.77.9.9", 80).meant_for == ("10.77.9.9", 80), "also where nobody is"
    assert wires.here.call(there, 80, mark=1337).at == (there, 80), "the proxy's own connection"
    assert wires.here.call("127.0.0.1", 80).at == ("127.0.0.1", 80)
    assert wires.here.call(here, 80).at == (here, 80), "the pod's talk with itself"
    assert wires.here.call(here, 80, mark=1337).at[1] == INBOUND, "an app that called its own Service"
    assert wires.here.call("127.0.0.1", 80, mark=1337).at == ("127.0.0.1", 80), "the proxy's call to the app"
    arrival = wires.there.call(here, 80)
    assert (arrival.at, arrival.meant_for, arrival.caller) == ((here, INBOUND), (here, 80), there)
    assert wires.there.call(here, 15010).at == (here, 15010), "metrics"


@pytest.mark.skipif(not IPTABLES, reason="iptables is not on this machine")
@pytest.mark.parametrize("exclusions", LISTS)
@pytest.mark.parametrize("proxy", [MARK, nft.User(os.getuid())])
def test_both_ways_of_laying_the_rules_have_the_same_effect(wires, tmp_path, exclusions: Exclusions, proxy: Proxy):
    listen_everywhere(wires)
    rules = redirection(exclusions, proxy)
    by_netlink(wires.here, rules)
    directly = everything(wires.here, wires.there, wires.node)
    wires.here.apply(name=rules.name)
    by_iptables(wires.here, rules, tmp_path)
    assert everything(wires.here, wires.there, wires.node) == directly
    assert len(set(directly.values())) > len(PORTS), "not all the same"


INTERCEPT = [sys.executable, "-m", "meshlab.dataplane.envoy.intercept"]


def test_the_init_container_lays_them_where_it_runs_and_says_so(wires, tmp_path):
    wires.here.listen(OUTBOUND)
    exclusions = Exclusions(outbound_ports=(3306,))
    done = wires.here.run([*INTERCEPT, *arguments(exclusions, proxy_mark=1337)], tmp_path, "NET_ADMIN")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == for_restore(redirection(exclusions, MARK))
    assert wires.here.call("10.77.9.9", 80).at == ("127.0.0.1", OUTBOUND)


def test_without_the_right_to_it_says_so_and_fails(wires, tmp_path):
    done = wires.here.run([*INTERCEPT, "--proxy-mark", "1337"], tmp_path)
    assert done.returncode == 1
    assert done.stderr == "the kernel refused the rules: nftables: Operation not permitted\n"


def test_an_app_can_not_pass_for_the_proxy(wires, tmp_path):
    mark = "import socket; socket.socket().setsockopt(socket.SOL_SOCKET, socket.SO_MARK, 1337)"
    assert "Operation not permitted" in wires.here.run([sys.executable, "-c", mark], tmp_path).stderr
    assert wires.here.run([sys.executable, "-c", mark], tmp_path, "NET_ADMIN").stderr == ""
