"""How far is a StatefulSet? What `kubectl rollout status` and `kubectl get` read."""

from __future__ import annotations

from typing import Any

from meshlab.cluster.embedded.controllers.pods import is_leaving, is_ready, seconds_to_available
from meshlab.cluster.embedded.controllers.stateful_pods import revision_of
from meshlab.kube import Object

_ALWAYS = ("observedGeneration", "replicas", "availableReplicas", "collisionCount")


def status_of(stateful_set: Object, pods: list[Object], current: str, update: str) -> dict[str, Any]:
    """The whole status, from the pods and the names of the two revisions."""
    spec, seconds = stateful_set["spec"], stateful_set["spec"].get("minReadySeconds", 0)
    staying = [pod for pod in pods if not is_leaving(pod)]
    counts = {
        "replicas": len(pods),
        "readyReplicas": sum(map(is_ready, pods)),
        "currentReplicas": sum(revision_of(pod) == current for pod in staying),
        "updatedReplicas": sum(revision_of(pod) == update for pod in staying),
        "availableReplicas": sum(seconds_to_available(pod, seconds) == 0 for pod in pods),
    }
    rolls = (spec.get("updateStrategy") or {}).get("type") == "RollingUpdate"
    if rolls and {counts[name] for name in ("updatedReplicas", "readyReplicas", "replicas")} == {spec["replicas"]}:
        current, counts["currentReplicas"] = update, counts["updatedReplicas"]
    before = stateful_set.get("status") or {}
    status: dict[str, Any] = {
        "observedGeneration": stateful_set["metadata"]["generation"],
        **counts,
        "currentRevision": current,
        "updateRevision": update,
        "collisionCount": before.get("collisionCount", 0),
    }
    return {name: value for name, value in status.items() if value or name in _ALWAYS}
