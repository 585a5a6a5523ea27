"""How does a person look at the edges? As tidy tables. For the lab: the control plane never imports pandas."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

EDGE_COLUMNS = (
    "source",
    "source_workload",
    "destination",
    "destination_workload",
    "service",
    "root",
    "version",
    "requests",
    "failures",
    "mtls",
    "tls",
    "p50",
    "p90",
    "p99",
    "bytes_sent",
    "bytes_received",
)


def edges(rows: Iterable[Mapping[str, Any]], window: float) -> pd.DataFrame:
    """One row per edge, with `rate` (requests per second) and `success` (0…1) worked out for the window."""
    frame = pd.DataFrame.from_records(
        [{key: row[key] for key in EDGE_COLUMNS} for row in rows], columns=list(EDGE_COLUMNS)
    )
    frame["rate"] = frame["requests"] / window
    frame["success"] = 1 - frame["failures"] / frame["requests"]
    return frame


def statuses(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """One row per edge and status, with the count."""
    records = [
        {
            "source": row["source"],
            "service": row["service"],
            "version": row["version"],
            "status": int(status),
            "count": count,
        }
        for row in rows
        for status, count in row["statuses"].items()
    ]
    return pd.DataFrame.from_records(records, columns=["source", "service", "version", "status", "count"])
