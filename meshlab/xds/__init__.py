"""How is a proxy told what to do? Snapshots, subscriptions, and delta discovery (xDS) over mutual TLS.

The room knows names, versions and bytes, and none of Envoy's words: which types exist, and which must be
sent before which, is said by the data plane (`stages`).

    server = AdsServer(stages, services=[...])        # more gRPC handlers on the same port, if any
    port = await server.start("0.0.0.0:15128", credentials(lambda: KeyPair(key, chain, roots)))
    generation = server.set_snapshot("bookbuyer-1.bookbuyer", snapshot)
    status = await server.proxies.settled("bookbuyer-1.bookbuyer", generation, timeout=5)
    status.settled_ms, status.refused
"""

from meshlab.xds.part import Part
from meshlab.xds.resource import Resource, TypeUrl
from meshlab.xds.server import AdsServer
from meshlab.xds.snapshot import Snapshot
from meshlab.xds.status import Proxies, ProxyStatus, TypeStatus
from meshlab.xds.tls import KeyPair, Peer, credentials

__all__ = [
    "AdsServer",
    "KeyPair",
    "Part",
    "Peer",
    "Proxies",
    "ProxyStatus",
    "Resource",
    "Snapshot",
    "TypeStatus",
    "TypeUrl",
    "credentials",
]
