"""How does Kubernetes write a moment?"""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> str:
    """This second, as metadata and status write it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def seconds_since(moment: str) -> float:
    """How long ago a moment was; negative when it is still to come."""
    return (datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds()
