"""What has been asked of whom, so that it can be asked again under other policies?

Kept are kinds of requests (the same caller, callee, method and path; how often, and what became of them) and the
newest requests one by one. Both are bounded: what was seen longest ago makes room. Only what policies can speak of
is kept: no query, no body, and of the headers those that policies name.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from meshlab.mesh.exchange import Exchange, Side
from meshlab.mesh.path import as_matched
from meshlab.observe.entries import Report

MOST_KINDS = 4000
MOST_RECENT = 1000

_path = lru_cache(2048)(as_matched)


@dataclass(frozen=True, slots=True)
class Asked:
    """A kind of request: all that a policy looks at."""

    source: str
    """``namespace/service account``; empty when the caller could not prove who it is."""
    destination: str
    service: str
    """The Service port that was called; behind a split, the chosen backend."""
    port: int
    """The port the app listens on."""
    http: bool
    method: str
    path: str
    """As patterns see it: without its query."""
    headers: tuple[tuple[str, str | None], ...]
    """Those that policies spoke of at the time; None: absent."""


@dataclass(slots=True)
class Counted:
    """What became of a kind of request."""

    first: float
    last: float = 0.0
    count: int = 0
    refused: int = 0
    allowed_by: set[str] = field(default_factory=set)


@dataclass(slots=True)
class _Recent:
    """One request: what either proxy said of it."""

    report: Report
    port: int
    http: bool
    client: Exchange | None = None
    server: Exchange | None = None


class Recording:
    """Kinds of requests, and the newest requests. Owned by one event loop."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._kinds: OrderedDict[Asked, Counted] = OrderedDict()
        self._recent: OrderedDict[str, _Recent] = OrderedDict()
        self._number = 0
        self.since = clock()

    def note(self, report: Report, port: int, *, http: bool) -> None:
        """Take in one report. `port`, `http`: where it arrived, as far as that is known."""
        exchange = report.exchange
        if exchange.side is Side.SERVER and port and (http or exchange.under_way):
            self._count(report, port, http=http)
        if exchange.under_way:
            return  # among the newest it is told of when it ends
        self._number += 1
        name = exchange.request_id or f"connection-{self._number}"
        recent = self._recent.setdefault(name, _Recent(report, port, http))
        if exchange.side is Side.SERVER:
            recent.server, recent.report = exchange, report
        else:
            recent.client = exchange
        recent.port, recent.http = port or recent.port, http
        while len(self._recent) > MOST_RECENT:
            self._recent.popitem(last=False)

    def kinds(self) -> Iterator[dict[str, Any]]:
        """The kinds of requests, as `meshlab.controlplane` describes them."""
        for asked, counted in self._kinds.items():
            yield {
                **_what(asked),
                "first": counted.first,
                "last": counted.last,
                "count": counted.count,
                "refused": counted.refused,
                "allowed_by": sorted(counted.allowed_by),
            }

    def recent(self, most: int) -> Iterator[dict[str, Any]]:
        """The newest requests, the newest first."""
        for number, (name, recent) in enumerate(reversed(self._recent.items())):
            if number == most:
                return
            yield _row(name, recent)

    def _count(self, report: Report, port: int, *, http: bool) -> None:
        exchange = report.exchange
        asked = _asked(report, port, http=http)
        counted = self._kinds.setdefault(asked, Counted(exchange.time))
        self._kinds.move_to_end(asked)
        counted.last = max(counted.last, exchange.time)
        counted.count += 1
        counted.refused += exchange.refused
        if exchange.allowed_by:
            counted.allowed_by.add(exchange.allowed_by)
        while len(self._kinds) > MOST_KINDS:
            self._kinds.popitem(last=False)


def _asked(report: Report, port: int, *, http: bool) -> Asked:
    edge, exchange = report.edge, report.exchange
    headers = tuple(sorted({**exchange.headers, ":authority": exchange.authority}.items())) if http else ()
    path = _path(exchange.path) if http else ""
    return Asked(edge.source, edge.destination, edge.service, port, http, exchange.method, path, headers)


def _what(asked: Asked) -> dict[str, Any]:
    return {
        "source": asked.source,
        "destination": asked.destination,
        "service": asked.service,
        "port": asked.port,
        "http": asked.http,
        "method": asked.method,
        "path": asked.path,
        "headers": dict(asked.headers),
    }


def _row(name: str, recent: _Recent) -> dict[str, Any]:
    """One request, with the words of the proxy that knows: the server's, unless it never arrived there."""
    told = recent.server or recent.client
    assert told is not None  # noqa: S101
    edge = recent.report.edge
    said = [exchange for exchange in (recent.server, recent.client) if exchange]
    return {
        "id": name,
        "time": told.time,
        **_what(_asked(recent.report, recent.port, http=recent.http)),
        "source_workload": edge.source_workload,
        "destination_workload": edge.destination_workload,
        "root": edge.root,
        "status": told.status,
        "milliseconds": round((recent.client or told).duration_ms, 2),
        "arrived": recent.server is not None,
        "certificate": told.peer_serial,
        "refused": told.refused,
        "allowed_by": told.allowed_by,
        "flags": sorted({flag for exchange in said for flag in exchange.flags}),
        "meaning": next((exchange.meaning for exchange in said if exchange.meaning), ""),
    }
