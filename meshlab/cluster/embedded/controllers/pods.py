"""What do controllers need to know of a pod: does it count, is it ready, and which one goes first?"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from meshlab.cluster.embedded.clock import seconds_since
from meshlab.kube import Object

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"

_PHASE_ORDER = {"Pending": 0, "Unknown": 1, "Running": 2}


def condition(obj: Object, type_: str) -> Mapping[str, Any]:
    """A condition of an object's status, empty when it has none of that type."""
    conditions = (obj.get("status") or {}).get("conditions") or []
    return next((found for found in conditions if found["type"] == type_), {})


def is_finished(pod: Object) -> bool:
    """Whether all its containers ended for good."""
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def is_leaving(pod: Object) -> bool:
    """Whether somebody has deleted it."""
    return bool(pod["metadata"].get("deletionTimestamp"))


def is_active(pod: Object) -> bool:
    """Whether it counts as a replica: neither finished nor going."""
    return not is_finished(pod) and not is_leaving(pod)


def is_ready(pod: Object) -> bool:
    """Whether its Ready condition holds."""
    return condition(pod, "Ready").get("status") == "True"


def seconds_to_available(pod: Object, min_ready_seconds: int) -> float | None:
    """How long until a pod has been ready for long enough (0 when it has); None when it isn't ready."""
    if not is_ready(pod):
        return None
    since = condition(pod, "Ready").get("lastTransitionTime")
    if not min_ready_seconds or not since:
        return 0.0
    return max(0.0, min_ready_seconds - seconds_since(since))


def victims_first(pods: list[Object]) -> list[Object]:
    """Pods in the order in which a scale-down takes them: those that do the least work first."""
    return sorted(pods, key=_worth)


def _worth(pod: Object) -> tuple[Any, ...]:
    metadata, status = pod["metadata"], pod.get("status") or {}
    ready_since = condition(pod, "Ready").get("lastTransitionTime") if is_ready(pod) else None
    restarts = sum(entry.get("restartCount", 0) for entry in status.get("containerStatuses") or [])
    return (
        bool(pod["spec"].get("nodeName")),
        _PHASE_ORDER.get(status.get("phase", "Pending"), 0),
        is_ready(pod),
        _deletion_cost(metadata),
        -_moment(ready_since),
        -restarts,
        -_moment(metadata.get("creationTimestamp")),
    )


def _deletion_cost(metadata: Mapping[str, Any]) -> int:
    try:
        return int((metadata.get("annotations") or {}).get(DELETION_COST, "0"))
    except ValueError:
        return 0


def _moment(text: str | None) -> float:
    """Seconds since the epoch; what never happened is latest."""
    return datetime.fromisoformat(text).timestamp() if text else float("inf")
