"""How does kubectl show TrafficMetrics? As a table: ``kubectl get deployments.metrics.smi-spec.io -n bookstore``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

_COLUMNS = {
    "Name": "string",
    "With": "string",
    "Success": "string",
    "RPS": "string",
    "P50": "string",
    "P99": "string",
}


def table(items: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The answer to a client that asked for a table (meta.k8s.io/v1)."""
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {},
        "columnDefinitions": [
            {"name": name, "type": kind, "format": "", "description": name, "priority": 0}
            for name, kind in _COLUMNS.items()
        ],
        "rows": [
            {
                "cells": _cells(item),
                "object": {
                    "kind": "PartialObjectMetadata",
                    "apiVersion": "meta.k8s.io/v1",
                    "metadata": item["metadata"],
                },
            }
            for item in items
        ],
    }


def _cells(item: Mapping[str, Any]) -> list[str]:
    values = {metric["name"]: metric["value"] for metric in item["metrics"]}
    good, bad = int(values["success_count"]), int(values["failure_count"])
    window = int(item["window"].removesuffix("s"))
    return [
        item["resource"]["name"],
        _other(item),
        f"{good / (good + bad):.2%}" if good + bad else "-",
        f"{(good + bad) / window:.1f}",
        _milliseconds(values["p50_response_latency"]),
        _milliseconds(values["p99_response_latency"]),
    ]


def _other(item: Mapping[str, Any]) -> str:
    """The backend of a split, or the other end of an edge and the direction."""
    if "backend" in item:
        return f"{item['backend']['name']} ({item['backend']['weight']})"
    edge = item["edge"]
    name = edge["resource"].get("name", "")
    return f"{edge['direction']} {edge['resource']['kind'].lower()}/{name}" if name else "from all"


def _milliseconds(quantity: str) -> str:
    value = float(quantity[:-1]) / 1000 if quantity.endswith("m") else float(quantity)
    return f"{value:.3g}ms"
