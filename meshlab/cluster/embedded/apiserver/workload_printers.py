"""What does `kubectl get` say about the kinds that run pods?"""

from __future__ import annotations

from typing import Any

from meshlab.cluster.embedded.apiserver.printing import (
    NONE,
    Obj,
    age,
    condition,
    container_names,
    counts,
    created,
    duration,
    label_selector,
    labels,
    name_of,
    parse_time,
    spec_of,
    status_of,
)

_JOB_STATES = ("Complete", "Failed", "Suspended", "FailureTarget", "SuccessCriteriaMet")
"""What a Job is called by the first of its conditions that holds."""


def _template(obj: Obj) -> list[str]:
    return [
        *container_names(spec_of(obj).get("template") or {}),
        label_selector(spec_of(obj).get("selector")),
    ]


def deployment(obj: Obj) -> list[Any]:
    """The row of a Deployment."""
    ready, updated, available = counts(obj, "readyReplicas", "updatedReplicas", "availableReplicas")
    return [
        name_of(obj),
        f"{ready}/{spec_of(obj).get('replicas', 1)}",
        updated,
        available,
        created(obj),
        *_template(obj),
    ]


def replica_set(obj: Obj) -> list[Any]:
    """The row of a ReplicaSet."""
    return [
        name_of(obj),
        spec_of(obj).get("replicas", 1),
        *counts(obj, "replicas", "readyReplicas"),
        created(obj),
        *_template(obj),
    ]


def controller(obj: Obj) -> list[Any]:
    """The row of a ReplicationController."""
    spec = spec_of(obj)
    wide = [*container_names(spec.get("template") or {}), labels(spec.get("selector"))]
    return [
        name_of(obj),
        spec.get("replicas", 1),
        *counts(obj, "replicas", "readyReplicas"),
        created(obj),
        *wide,
    ]


def stateful_set(obj: Obj) -> list[Any]:
    """The row of a StatefulSet."""
    ready = f"{counts(obj, 'readyReplicas')[0]}/{spec_of(obj).get('replicas', 1)}"
    return [name_of(obj), ready, created(obj), *_template(obj)[:2]]


def daemon_set(obj: Obj) -> list[Any]:
    """The row of a DaemonSet."""
    scheduled = ("desiredNumberScheduled", "currentNumberScheduled", "numberReady")
    numbers = counts(obj, *scheduled, "updatedNumberScheduled", "numberAvailable")
    selector = labels(((spec_of(obj).get("template") or {}).get("spec") or {}).get("nodeSelector"))
    return [name_of(obj), *numbers, selector, created(obj), *_template(obj)]


def job(obj: Obj) -> list[Any]:
    """The row of a Job."""
    spec, status = spec_of(obj), status_of(obj)
    state = next((kind for kind in _JOB_STATES if (condition(obj, kind) or {}).get("status") == "True"), "Running")
    if obj["metadata"].get("deletionTimestamp") and state not in ("Complete", "Failed"):
        state = "Terminating"
    done = status.get("succeeded") or 0
    wanted = spec.get("completions")
    workers = spec.get("parallelism", 1)
    completions = f"{done}/{wanted}" if wanted is not None else f"{done}/1 of {workers}" if workers > 1 else f"{done}/1"
    taken = ""
    if status.get("startTime"):
        begun = parse_time(status["startTime"])
        until = status.get("completionTime")
        taken = duration(parse_time(until) - begun) if until else age(status["startTime"])
    return [name_of(obj), state, completions, taken, created(obj), *_template(obj)]


def cron_job(obj: Obj) -> list[Any]:
    """The row of a CronJob."""
    spec, status = spec_of(obj), status_of(obj)
    last = age(status["lastScheduleTime"]) if status.get("lastScheduleTime") else NONE
    template = ((spec.get("jobTemplate") or {}).get("spec") or {}).get("template") or {}
    row = [
        spec.get("schedule"),
        spec.get("timeZone") or NONE,
        bool(spec.get("suspend")),
        len(status.get("active") or []),
    ]
    return [name_of(obj), *row, last, created(obj), *container_names(template), NONE]
