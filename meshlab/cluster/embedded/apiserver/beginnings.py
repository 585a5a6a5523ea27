"""What does a built-in kind look like at the start of its life, beyond its defaults?"""

from __future__ import annotations

import copy
from typing import Any

from meshlab.cluster.embedded.apiserver.registry import Resource

Object = dict[str, Any]

_FIRST_STATUS: dict[str, Object] = {
    "namespaces": {"phase": "Active"},
    "persistentvolumeclaims": {"phase": "Pending"},
    "persistentvolumes": {"phase": "Pending"},
    "pods": {"phase": "Pending"},
    "services": {"loadBalancer": {}},
    "ingresses.networking.k8s.io": {"loadBalancer": {}},
    "replicasets.apps": {"replicas": 0},
    "replicationcontrollers": {"replicas": 0},
    "statefulsets.apps": {"replicas": 0, "availableReplicas": 0},
    "daemonsets.apps": {
        "currentNumberScheduled": 0,
        "desiredNumberScheduled": 0,
        "numberMisscheduled": 0,
        "numberReady": 0,
    },
    "poddisruptionbudgets.policy": {
        "currentHealthy": 0,
        "desiredHealthy": 0,
        "disruptionsAllowed": 0,
        "expectedPods": 0,
    },
}
_KEEPS_STATUS = ("nodes",)
_TOLERATED = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")


def forget_status(resource: Resource, obj: Object) -> None:
    """A new object's status is not for its creator to say."""
    if resource.status_subresource and resource.storage not in _KEEPS_STATUS:
        obj.pop("status", None)


def first_state(resource: Resource, obj: Object) -> None:
    """What the server sets on a new object, in nobody's name."""
    if resource.custom or not resource.status_subresource:
        return
    obj.setdefault("status", copy.deepcopy(_FIRST_STATUS.get(resource.storage, {})))
    if resource.storage == "namespaces":
        finalizers = (obj.get("spec") or {}).get("finalizers") or []
        obj["spec"] = {"finalizers": [*finalizers, *({"kubernetes"} - set(finalizers))]}
    elif resource.storage == "jobs.batch":
        _select_own_pods(obj)
    elif resource.storage == "pods":
        obj["status"]["qosClass"] = quality_of_service(obj["spec"])


def _select_own_pods(job: Object) -> None:
    """A Job finds its pods by labels that nobody else has."""
    spec, uid, name = job["spec"], job["metadata"]["uid"], job["metadata"].get("name", "")
    if spec.get("manualSelector") or spec.get("selector"):
        return
    spec["selector"] = {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}
    own = {"controller-uid": uid, "job-name": name}
    own |= {f"batch.kubernetes.io/{key}": value for key, value in own.items()}
    metadata = spec.setdefault("template", {}).setdefault("metadata", {})
    metadata["labels"] = {**(metadata.get("labels") or {}), **own}
    job["metadata"]["labels"] = {**metadata["labels"], **(job["metadata"].get("labels") or {})}


def schedule_class(spec: Object, priority: Object | None) -> None:
    """Priority (by its class, if it has one) and the usual tolerations of a new pod."""
    spec.setdefault("priority", (priority or {}).get("value", 0))
    spec.setdefault("preemptionPolicy", (priority or {}).get("preemptionPolicy", "PreemptLowerPriority"))
    tolerations = spec["tolerations"] = list(spec.get("tolerations") or ())
    for key in _TOLERATED:
        if not any(
            row.get("key") in (key, None, "") and row.get("effect") in ("NoExecute", None, "") for row in tolerations
        ):
            tolerations.append({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300})


def quality_of_service(spec: Object) -> str:
    """Guaranteed, Burstable or BestEffort: by what the containers request and are limited to."""
    containers = [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
    resources = [container.get("resources") or {} for container in containers]
    if not any(row.get("requests") or row.get("limits") for row in resources):
        return "BestEffort"
    for row in resources:
        limits, requests = row.get("limits") or {}, row.get("requests") or {}
        if set(limits) < {"cpu", "memory"} or any(requests.get(key, limits[key]) != limits[key] for key in limits):
            return "Burstable"
    return "Guaranteed"
