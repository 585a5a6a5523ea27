"""How far is a Deployment's rollout? What `kubectl rollout status` and `kubectl wait` read."""

from __future__ import annotations

from typing import Any

from meshlab.cluster.embedded.clock import now, seconds_since
from meshlab.cluster.embedded.controllers.pods import condition
from meshlab.cluster.embedded.controllers.rollout import Limits, available, replicas
from meshlab.kube import Object

NO_DEADLINE = 2**31 - 1

_COMPLETE = "NewReplicaSetAvailable"


def status_of(deployment: Object, limits: Limits, new: Object | None, everything: list[Object]) -> dict[str, Any]:
    """The whole status of a Deployment, from its ReplicaSets."""
    before = deployment.get("status") or {}
    wanted, ready_to_serve = sum(map(replicas, everything)), sum(map(available, everything))
    counts = {
        "replicas": _sum("replicas", everything),
        "updatedReplicas": _sum("replicas", [new] if new else []),
        "readyReplicas": _sum("readyReplicas", everything),
        "availableReplicas": ready_to_serve,
        "unavailableReplicas": max(0, wanted - ready_to_serve),
    }
    status: dict[str, Any] = {"observedGeneration": deployment["metadata"]["generation"]}
    if "collisionCount" in before:
        status["collisionCount"] = before["collisionCount"]
    status |= {name: count for name, count in counts.items() if count}
    conditions = {found["type"]: found for found in before.get("conditions") or []}
    _put(conditions, _availability(limits, ready_to_serve))
    if deployment["spec"].get("progressDeadlineSeconds", NO_DEADLINE) != NO_DEADLINE:
        _put_progress(conditions, deployment, status, new)
    conditions.pop("ReplicaFailure", None)
    if failure := next((found for rs in everything if (found := condition(rs, "ReplicaFailure"))), None):
        conditions["ReplicaFailure"] = {**failure, "lastUpdateTime": failure["lastTransitionTime"]}
    status["conditions"] = list(conditions.values())
    return status


def progressed(reason: str, message: str, *, status: str = "True") -> dict[str, Any]:
    """A Progressing condition of this moment."""
    return _condition("Progressing", status, reason, message)


def seconds_to_deadline(deployment: Object) -> float | None:
    """When to look again whether a rollout makes no progress; None when there is nothing to wait for."""
    deadline = deployment["spec"].get("progressDeadlineSeconds", NO_DEADLINE)
    progress = condition(deployment, "Progressing")
    if deadline == NO_DEADLINE or not progress or progress["reason"] in (_COMPLETE, "ProgressDeadlineExceeded"):
        return None
    return float(deadline - seconds_since(progress["lastUpdateTime"]) + 1)


def _sum(field: str, replica_sets: list[Object]) -> int:
    return sum((found.get("status") or {}).get(field, 0) for found in replica_sets)


def _availability(limits: Limits, ready_to_serve: int) -> dict[str, Any]:
    if ready_to_serve >= limits.available:
        return _condition("Available", "True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
    return _condition(
        "Available", "False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability."
    )


def _put_progress(
    conditions: dict[str, dict[str, Any]], deployment: Object, status: dict[str, Any], new: Object | None
) -> None:
    known = conditions.get("Progressing") or {}
    if known.get("reason") == _COMPLETE and status.get("replicas", 0) == status.get("updatedReplicas", 0):
        return
    name = f'ReplicaSet "{new["metadata"]["name"]}"' if new else f'Deployment "{deployment["metadata"]["name"]}"'
    if _is_complete(deployment, status):
        _put(conditions, progressed(_COMPLETE, f"{name} has successfully progressed."))
    elif _is_progressing(deployment.get("status") or {}, status):
        _put(conditions, progressed("ReplicaSetUpdated", f"{name} is progressing."), touch=True)
    elif _is_late(deployment, known):
        message = f"{name} has timed out progressing."
        _put(conditions, progressed("ProgressDeadlineExceeded", message, status="False"))


def _is_complete(deployment: Object, status: dict[str, Any]) -> bool:
    desired = deployment["spec"]["replicas"]
    counts = [status.get(name, 0) for name in ("replicas", "updatedReplicas", "availableReplicas")]
    return counts == [desired] * 3


def _is_progressing(before: dict[str, Any], status: dict[str, Any]) -> bool:
    def grew(field: str) -> bool:
        return int(status.get(field, 0)) > int(before.get(field, 0))

    def old(counts: dict[str, Any]) -> int:
        return int(counts.get("replicas", 0)) - int(counts.get("updatedReplicas", 0))

    return any(map(grew, ("updatedReplicas", "readyReplicas", "availableReplicas"))) or old(status) < old(before)


def _is_late(deployment: Object, progress: dict[str, Any]) -> bool:
    if not progress or deployment["spec"].get("paused"):
        return False
    if progress["reason"] in (_COMPLETE, "ProgressDeadlineExceeded", "DeploymentPaused"):
        return bool(progress["reason"] == "ProgressDeadlineExceeded")
    return bool(seconds_since(progress["lastUpdateTime"]) > deployment["spec"]["progressDeadlineSeconds"])


def _condition(type_: str, status: str, reason: str, message: str) -> dict[str, Any]:
    moment = now()
    return {
        "type": type_,
        "status": status,
        "lastUpdateTime": moment,
        "lastTransitionTime": moment,
        "reason": reason,
        "message": message,
    }


def _put(conditions: dict[str, dict[str, Any]], new: dict[str, Any], *, touch: bool = False) -> None:
    """Set a condition; one that says the same as before keeps its times, unless it is touched."""
    known = conditions.get(new["type"])
    if known and known["status"] == new["status"]:
        if known["reason"] == new["reason"] and not touch:
            return
        new = {**new, "lastTransitionTime": known["lastTransitionTime"]}
    conditions[new["type"]] = new
