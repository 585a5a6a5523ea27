"""Who has which identity, and was it proven on each edge? Asked of the control plane every few seconds."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from meshlab.errors import MeshlabError
from meshlab.kube import Kube
from meshlab.lab.stream import ROOT, Line
from meshlab.widgets import CertificatesWidget

_PAUSE_SECONDS = 5
_WINDOW_SECONDS = 30


async def refresh(kube: Kube, widget: CertificatesWidget) -> None:
    """Read both tables once; a control plane that doesn't answer is said in the widget."""
    try:
        proxies, edges = await asyncio.gather(
            kube.request("GET", f"{ROOT}/proxies"),
            kube.request("GET", f"{ROOT}/edges", query={"window": _WINDOW_SECONDS}),
        )
    except MeshlabError as error:
        widget.show(error=str(error))
    else:
        widget.show(proxies=proxies["items"], edges=_by_identity(edges["edges"]), window=_WINDOW_SECONDS, error="")


async def keep_fresh(kube: Kube, widget: CertificatesWidget) -> None:
    """Read them again and again."""
    while True:
        await asyncio.sleep(_PAUSE_SECONDS)
        await refresh(kube, widget)


def _by_identity(edges: Iterable[Line]) -> list[dict[str, Any]]:
    """One row for each caller's identity and answering workload, whichever Service was asked for."""
    rows: dict[tuple[str, str, str], dict[str, Any]] = {}
    for edge in edges:
        key = edge["source"], edge["destination"], edge["destination_workload"]
        empty = {**dict(zip(("source", "destination", "destination_workload"), key, strict=True)), "tls": ""}
        row = rows.setdefault(key, {**empty, "requests": 0, "failures": 0, "mtls": 0})
        for figure in ("requests", "failures", "mtls"):
            row[figure] += edge[figure]
        row["tls"] = edge["tls"] or row["tls"]
    return [rows[key] for key in sorted(rows)]
