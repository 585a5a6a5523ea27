"""How does the kernel bring a pod's connections to its proxy? Four chains of nat rules, named as in OSM.

Only TCP is redirected. What is not to be redirected returns from its chain; order matters, and the first rule
that fits decides. The proxy's own connections go out untouched: it is known by its user, or, where there is one
user only, by a mark that it alone may set.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from meshlab.dataplane.envoy import names
from meshlab.mesh.settings import Exclusions
from meshlab.nft import (
    Chain,
    Destination,
    DestinationPort,
    Hook,
    InputInterface,
    Jump,
    Mark,
    OutputInterface,
    Protocol,
    Redirect,
    Return,
    Rule,
    Table,
    User,
)

_INBOUND, _IN_REDIRECT = "OSM_PROXY_INBOUND", "OSM_PROXY_IN_REDIRECT"
_OUTBOUND, _OUT_REDIRECT = "OSM_PROXY_OUTBOUND", "OSM_PROXY_OUT_REDIRECT"
_OWN_PORTS = (names.STATS_PORT, *names.PROBE_PORTS.values(), names.TCP_PROBE_PORT)
_PRIORITY = -100
"""Where iptables changes destinations. A node that brings cluster IPs to pods in the same way has to come later."""
_TCP, _LOOPBACK, _HERE = Protocol("tcp"), OutputInterface("lo"), Destination("127.0.0.1/32")

Proxy = User | Mark
"""What tells the proxy's own connections from the app's."""

BY_USER = User(names.PROXY_UID)


def redirection(exclusions: Exclusions, proxy: Proxy = BY_USER) -> Table:
    """The rules of one pod: put there together, or none of them."""
    return Table(
        "OSM_PROXY",
        (
            Chain(_IN_REDIRECT, (Rule(Redirect(names.INBOUND_PORT), (_TCP,)),)),
            Chain(_OUT_REDIRECT, (Rule(Redirect(names.OUTBOUND_PORT), (_TCP,)),)),
            Chain("PREROUTING", (Rule(Jump(_INBOUND), (_TCP,)),), Hook("nat", "prerouting", _PRIORITY)),
            Chain(_INBOUND, tuple(_inbound(exclusions))),
            Chain("OUTPUT", (Rule(Jump(_OUTBOUND), (_TCP,)),), Hook("nat", "output", _PRIORITY)),
            Chain(_OUTBOUND, tuple(_outbound(exclusions, proxy))),
        ),
    )


def _inbound(exclusions: Exclusions) -> Iterator[Rule]:
    for interface in exclusions.interfaces:
        yield Rule(Return(), (InputInterface(interface),))
    for port in (*_OWN_PORTS, *exclusions.inbound_ports):
        yield Rule(Return(), (_TCP, DestinationPort(port)))
    yield Rule(Jump(_IN_REDIRECT), (_TCP,))


def _outbound(exclusions: Exclusions, proxy: Proxy) -> Iterator[Rule]:
    # An app that calls its own Service: the proxy sends it to this very pod, where the inbound side has to see it.
    yield Rule(Jump(_IN_REDIRECT), (_LOOPBACK, replace(_HERE, negated=True), proxy))
    yield Rule(Return(), (_LOOPBACK, replace(proxy, negated=True)))
    yield Rule(Return(), (proxy,))
    yield Rule(Return(), (_HERE,))
    for interface in exclusions.interfaces:
        yield Rule(Return(), (OutputInterface(interface),))
    for addresses in exclusions.outbound_ranges:
        yield Rule(Return(), (Destination(addresses),))
    for port in exclusions.outbound_ports:
        yield Rule(Return(), (_TCP, DestinationPort(port)))
    for addresses in exclusions.only_ranges:
        yield Rule(Jump(_OUT_REDIRECT), (Destination(addresses),))
    yield Rule(Return() if exclusions.only_ranges else Jump(_OUT_REDIRECT))
