"""How long is `1h30m`?"""

from __future__ import annotations

import re
from datetime import timedelta

_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(h|ms|m|s|us|µs|ns)")


def duration(text: str) -> timedelta | None:
    """A duration as Go and OSM write it: numbers with units, such as `24h`, `1h30m`, `500ms`. None if it is none."""
    if text == "0":
        return timedelta()
    if not text or _PART.sub("", text):
        return None
    return timedelta(seconds=sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(text)))
