"""How long is `1h30m`?"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from meshlab.policy.report import Report

_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_LONGEST = timedelta(days=1)
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(h|ms|m|s|us|µs|ns)")


def duration(text: str) -> timedelta | None:
    """A duration as Go and OSM write it: numbers with units, such as `24h`, `1h30m`, `500ms`. None if it is none."""
    if text == "0":
        return timedelta()
    if not text or _PART.sub("", text):
        return None
    return timedelta(seconds=sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(text)))


def check_duration(
    fields: Mapping[str, Any], name: str, path: str, report: Report, *, least: timedelta = timedelta()
) -> None:
    """Report a field that is there and holds no duration that can be used (ML313)."""
    if name not in fields:
        return
    length = duration(fields[name])
    if length is None:
        report.error("ML313", f"{path}.{name}", f"{fields[name]!r} is not a duration", "write it as in 500ms or 5s")
    elif not least <= length <= _LONGEST:
        what = f"{fields[name]} is not between {_written(least)} and {_written(_LONGEST)}"
        report.error("ML313", f"{path}.{name}", what, "write it as in 500ms or 5s")


def _written(length: timedelta) -> str:
    seconds = length.total_seconds()
    return f"{seconds * 1000:g}ms" if seconds < 1 else f"{seconds:g}s"
