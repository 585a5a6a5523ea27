"""Does the node's network stay as it is while pods come and go?"""

from __future__ import annotations

import time
from ipaddress import IPv4Interface
from pathlib import Path


def test_the_node_is_found_where_it_was_when_other_pods_have_gone(wires):
    holder, links = wires.here.holder, Path(f"/proc/{wires.here.holder.pid}/net/dev")
    before = links.read_text().count("pod-")
    others = [f"10.77.99.{number}" for number in range(1, 13)]
    for address in others:
        holder.make_pod(address, "pod", IPv4Interface(f"{address}/16"))
    wires.node.listen(8443)
    assert wires.here.call(wires.node.address, 8443).at == (wires.node.address, 8443)
    for address in others:
        holder.forget(address)
    deadline = time.monotonic() + 30
    while links.read_text().count("pod-") > before:
        assert time.monotonic() < deadline, links.read_text()
        time.sleep(0.01)
    assert wires.here.call(wires.node.address, 8443).at == (wires.node.address, 8443), "at the same hardware address"
