"""Which edge does a report belong to, and does it count?

Both ends' proxies report every request. Counting one side only counts each request once: the caller's, because
only it knows of requests that never arrived; the server's when the caller has no proxy. The other side's
report still says things that only it knows, such as which permission let the request in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from meshlab.mesh.exchange import Exchange, Side
from meshlab.mesh.identity import Identity
from meshlab.mesh.service import Workload


class Directory(Protocol):
    """Who is who at this moment."""

    def workload(self, name: str) -> Workload | None:
        """The pod called ``namespace/name``."""

    def root(self, authority: str, caller_namespace: str, upstream: str) -> str:
        """The Service port that a caller asked for: ``namespace/name|port``; the upstream where nothing tells."""


@dataclass(frozen=True, slots=True, order=True)
class Edge:
    """Who calls whom, through which Service port. The fields that `meshlab.observe` describes."""

    source: str
    source_workload: str
    destination: str
    destination_workload: str
    service: str
    root: str
    version: str


@dataclass(frozen=True, slots=True)
class Report:
    """One exchange on its edge. `counts` is false for the second report of a request already counted."""

    edge: Edge
    exchange: Exchange
    counts: bool


def place(exchange: Exchange, directory: Directory) -> Report:
    """Put one exchange on its edge."""
    source = directory.workload(exchange.source_workload)
    destination = directory.workload(exchange.destination_workload)
    source_identity = exchange.source or (source.identity if source and exchange.side is Side.CLIENT else None)
    destination_identity = exchange.destination or (destination.identity if destination else None)
    caller_namespace = source_identity.namespace if source_identity else ""
    edge = Edge(
        source=_text(source_identity),
        source_workload=_owner(source, exchange.source_workload),
        destination=_text(destination_identity),
        destination_workload=_owner(destination, exchange.destination_workload),
        service=exchange.upstream,
        root=directory.root(exchange.authority, caller_namespace, exchange.upstream),
        version=dict(destination.labels).get("version", "") if destination else "",
    )
    return Report(edge, exchange, counts=exchange.side is Side.CLIENT or exchange.source is None)


def failed(exchange: Exchange) -> bool:
    """Whether the mesh refused the exchange, the server failed, or nobody answered.

    A 404 that the app itself gave is an answer like any other: proxies flag what they refused themselves.
    """
    refused = exchange.status in {403, 429} or exchange.status >= 500
    return refused or bool(exchange.flags) or (bool(exchange.method) and exchange.status == 0)


def _text(identity: Identity | None) -> str:
    return str(identity) if identity else ""


def _owner(workload: Workload | None, name: str) -> str:
    if workload is None:
        return name.rpartition("/")[2]
    return workload.owner[1] or workload.name
