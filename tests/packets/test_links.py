"""Does the node's network stay as it is while pods come and go?"""

from __future__ import annotations

import time
from ipaddress import IPv4Interface
from pathlib import Path

from meshlab.cluster.embedded.node.namespaces.client import Holder


def gone(holder: Holder, *names: str) -> None:
    """Wait until the node has no interface with such a name."""
    deadline, interfaces = time.monotonic() + 30, Path(f"/proc/{holder.pid}/net/dev")
    while left := [name for name in names if f"{name}:" in interfaces.read_text()]:
        assert time.monotonic() < deadline, left
        time.sleep(0.01)


def test_the_node_is_found_where_it_was_when_other_pods_have_gone(wires):
    holder = wires.here.holder
    others = [f"10.77.99.{number}" for number in range(1, 13)]
    for address in others:
        holder.make_pod(address, "pod", IPv4Interface(f"{address}/16"))
    wires.node.listen(8443)
    assert wires.here.call(wires.node.address, 8443).at == (wires.node.address, 8443)
    for address in others:
        holder.forget(address)
    gone(holder, *(f"pod-{99 << 8 | number}" for number in range(1, 13)))
    assert wires.here.call(wires.node.address, 8443).at == (wires.node.address, 8443), "at the same hardware address"


def test_a_pod_is_found_at_an_address_that_another_had(wires):
    holder, address = wires.here.holder, "10.77.98.1"
    for name in ("former", "present"):
        holder.make_pod(name, "pod", IPv4Interface(f"{address}/16"))
        server = holder.open_socket(name)
        server.bind((address, 80))
        server.listen()
        wires.here.servers.append(server)
        assert wires.here.call(address, 80).at == (address, 80)
        wires.here.servers.remove(server)
        server.close()
        holder.forget(name)
        gone(holder, f"pod-{98 << 8 | 1}")
