"""What has been asked of whom, as the control plane recorded it?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from meshlab.kube import Kube
from meshlab.lab.stream import ROOT
from meshlab.mesh.decide import ways_in
from meshlab.mesh.decision import Request
from meshlab.mesh.identity import Identity
from meshlab.mesh.remedy import TRAFFIC_TARGET
from meshlab.mesh.world import World

_COLUMNS = (
    "id",
    "time",
    "source",
    "source_workload",
    "destination",
    "destination_workload",
    "service",
    "root",
    "port",
    "http",
    "method",
    "path",
    "headers",
    "status",
    "milliseconds",
    "arrived",
    "refused",
    "allowed_by",
    "flags",
    "meaning",
)


@dataclass(frozen=True)
class Recorded:
    """Requests of one kind: what a policy would look at, and what became of them."""

    request: Request
    service: str
    """The Service port that was called, ``namespace/name|port``; behind a split, the chosen backend."""
    count: int
    refused: int
    allowed_by: tuple[str, ...] = ()
    looked_for: frozenset[str] = frozenset()
    """The headers that are known of it, there or not: those that policies spoke of at the time."""

    def __str__(self) -> str:
        request = self.request
        what = f"{request.method} {request.path}" if request.is_http else f"port {request.port}"
        times = "once" if self.count == 1 else f"{self.count} times"
        return f"{request.source or 'a caller without a sidecar'} → {request.destination} {what} ({times})"


async def kinds(kube: Kube) -> tuple[Recorded, ...]:
    """The kinds of requests on record."""
    answer = await kube.request("GET", f"{ROOT}/exchanges", query={"recent": 0})
    return tuple(from_rows(answer["kinds"]))


async def newest(kube: Kube, most: int) -> list[dict[str, Any]]:
    """The newest requests, the newest first."""
    answer = await kube.request("GET", f"{ROOT}/exchanges", query={"recent": most})
    found: list[dict[str, Any]] = answer["recent"]
    return found


def from_rows(rows: Iterable[Mapping[str, Any]]) -> Iterable[Recorded]:
    """Kinds of requests, from the API's answer. What went to no workload of the mesh is left out."""
    for row in rows:
        destination = identity(row["destination"])
        if destination is None:
            continue
        request = Request(
            identity(row["source"]),
            destination,
            row["port"],
            row["method"] or "GET",
            row["path"] or "/",
            present(row["headers"]),
            row["http"],
        )
        yield Recorded(
            request,
            row["service"],
            row["count"],
            row["refused"],
            tuple(row["allowed_by"]),
            frozenset(row["headers"]),
        )


def present(headers: Mapping[str, str | None]) -> dict[str, str]:
    """The headers that a request had, of those that were looked for."""
    return {name: value for name, value in headers.items() if value is not None}


def for_targets(kinds: Iterable[Recorded], world: World) -> tuple[Recorded, ...]:
    """Those that TrafficTargets have to admit: asked of workloads that are still there, and let in by nothing else,
    as an IngressBackend lets the gateway in.
    """
    there = {workload.identity for workload in world.workloads}
    return tuple(kind for kind in kinds if kind.request.destination in there and not _has_its_own_way(kind, world))


def _has_its_own_way(kind: Recorded, world: World) -> bool:
    permissions = world.permissions_by_destination.get(kind.request.destination, ())
    return any(item.kind != TRAFFIC_TARGET and ways_in(item, kind.request) for item in permissions)


def table(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """One row per request, the newest first."""
    frame = pd.DataFrame.from_records([{key: row[key] for key in _COLUMNS} for row in rows], columns=list(_COLUMNS))
    frame["time"] = pd.to_datetime(frame["time"], unit="s", utc=True)
    return frame


def identity(text: str) -> Identity | None:
    """The identity that ``namespace/account`` means; None for the empty word."""
    namespace, slash, account = text.partition("/")
    return Identity(namespace, account) if slash else None
