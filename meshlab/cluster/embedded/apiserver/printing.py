"""How does kubectl write ages, selectors and other small things?"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

Obj = Mapping[str, Any]

NONE = "<none>"
UNKNOWN = "<unknown>"
UNSET = "<unset>"


def age(timestamp: str | None) -> str:
    """How long ago a timestamp was: `5m12s`."""
    return duration(datetime.now(UTC) - parse_time(timestamp)) if timestamp else UNKNOWN


def parse_time(timestamp: str) -> datetime:
    """A timestamp of the API as a time."""
    return datetime.fromisoformat(timestamp).astimezone(UTC)


def duration(delta: Any) -> str:
    """A span of time in at most two units, the coarser the longer it is."""
    seconds = int(delta.total_seconds())
    if seconds < 0:
        return "0s" if seconds >= -2 else "<invalid>"
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    for limit, text in (
        (seconds < 120, f"{seconds}s"),
        (minutes < 10, _two(minutes, "m", seconds % 60, "s")),
        (minutes < 180, f"{minutes}m"),
        (hours < 8, _two(hours, "h", minutes % 60, "m")),
        (hours < 48, f"{hours}h"),
        (days < 8, _two(days, "d", hours % 24, "h")),
        (days < 730, f"{days}d"),
        (days < 2920, _two(days // 365, "y", days % 365, "d")),
    ):
        if limit:
            return text
    return f"{days // 365}y"


def _two(first: int, unit: str, second: int, smaller: str) -> str:
    return f"{first}{unit}{second}{smaller}" if second else f"{first}{unit}"


def created(obj: Obj) -> str:
    """An object's age."""
    return age(obj["metadata"].get("creationTimestamp"))


def joined(values: Any, separator: str = ",") -> str:
    """Values in a row, or `<none>`."""
    return separator.join(str(value) for value in values) or NONE


def labels(wanted: Mapping[str, str] | None) -> str:
    """Labels in the order of their keys: `app=bookstore,version=v1`."""
    return joined(f"{key}={value}" for key, value in sorted((wanted or {}).items()))


def label_selector(selector: Obj | None) -> str:
    """A LabelSelector in the words of `kubectl -l`."""
    selector = selector or {}
    terms = [f"{key}={value}" for key, value in (selector.get("matchLabels") or {}).items()]
    for row in selector.get("matchExpressions") or []:
        values = f"({','.join(sorted(row.get('values') or []))})"
        words = {"In": f"{row['key']} in {values}", "NotIn": f"{row['key']} notin {values}", "Exists": row["key"]}
        terms.append(words.get(row["operator"], f"!{row['key']}"))
    return joined(sorted(terms))


def container_names(template: Obj) -> list[str]:
    """Names and images of a pod template's containers, for the wide columns."""
    containers = (template.get("spec") or {}).get("containers") or []
    return [joined(container["name"] for container in containers), joined(c.get("image", "") for c in containers)]


def condition(obj: Obj, type_: str) -> Obj | None:
    """A condition of an object's status."""
    found: list[Obj] = (obj.get("status") or {}).get("conditions") or []
    return next((item for item in found if item["type"] == type_), None)


def name_of(obj: Obj) -> str:
    """An object's name."""
    return str(obj["metadata"]["name"])


def spec_of(obj: Obj) -> Obj:
    """What is wanted; empty when nothing is said."""
    return obj.get("spec") or {}


def status_of(obj: Obj) -> Obj:
    """What is; empty when nothing is known."""
    return obj.get("status") or {}


def counts(obj: Obj, *fields: str) -> list[int]:
    """Numbers of a status, 0 for those that aren't there."""
    return [status_of(obj).get(field) or 0 for field in fields]
