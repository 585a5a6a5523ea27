"""How does the kernel bring a pod's connections to its proxy? Four chains of its nat table, named as in OSM.

Only TCP is redirected. What is not to be redirected returns from its chain; order matters, and the first rule
that fits decides. The proxy is known by its user: its own connections go out untouched.
"""

from __future__ import annotations

from collections.abc import Iterator

from meshlab.dataplane.envoy import names
from meshlab.mesh.settings import Exclusions

_INBOUND, _IN_REDIRECT = "OSM_PROXY_INBOUND", "OSM_PROXY_IN_REDIRECT"
_OUTBOUND, _OUT_REDIRECT = "OSM_PROXY_OUTBOUND", "OSM_PROXY_OUT_REDIRECT"
_OWN_PORTS = (names.STATS_PORT, *names.PROBE_PORTS.values(), names.TCP_PROBE_PORT)
_PROXY = f"-m owner --uid-owner {names.PROXY_UID}"
_APP = f"-m owner ! --uid-owner {names.PROXY_UID}"
_HERE = "127.0.0.1/32"


def nat_rules(exclusions: Exclusions) -> str:
    """Input for one `iptables-restore --noflush`: all rules are there, or none."""
    chains = (_INBOUND, _IN_REDIRECT, _OUTBOUND, _OUT_REDIRECT)
    lines = [
        "*nat",
        *(f":{chain} - [0:0]" for chain in chains),
        f"-A {_IN_REDIRECT} -p tcp -j REDIRECT --to-ports {names.INBOUND_PORT}",
        f"-A {_OUT_REDIRECT} -p tcp -j REDIRECT --to-ports {names.OUTBOUND_PORT}",
        f"-A PREROUTING -p tcp -j {_INBOUND}",
        *(f"-A {_INBOUND} {rule}" for rule in _inbound(exclusions)),
        f"-A OUTPUT -p tcp -j {_OUTBOUND}",
        *(f"-A {_OUTBOUND} {rule}" for rule in _outbound(exclusions)),
        "COMMIT",
    ]
    return "\n".join(lines) + "\n"


def _inbound(exclusions: Exclusions) -> Iterator[str]:
    for interface in exclusions.interfaces:
        yield f"-i {interface} -j RETURN"
    for port in (*_OWN_PORTS, *exclusions.inbound_ports):
        yield f"-p tcp --dport {port} -j RETURN"
    yield f"-p tcp -j {_IN_REDIRECT}"


def _outbound(exclusions: Exclusions) -> Iterator[str]:
    # An app that calls its own Service: the proxy sends it to this very pod, where the inbound side has to see it.
    yield f"-o lo ! -d {_HERE} {_PROXY} -j {_IN_REDIRECT}"
    yield f"-o lo {_APP} -j RETURN"
    yield f"{_PROXY} -j RETURN"
    yield f"-d {_HERE} -j RETURN"
    for interface in exclusions.interfaces:
        yield f"-o {interface} -j RETURN"
    for addresses in exclusions.outbound_ranges:
        yield f"-d {addresses} -j RETURN"
    for port in exclusions.outbound_ports:
        yield f"-p tcp --dport {port} -j RETURN"
    for addresses in exclusions.only_ranges:
        yield f"-d {addresses} -j {_OUT_REDIRECT}"
    yield "-j RETURN" if exclusions.only_ranges else f"-j {_OUT_REDIRECT}"
