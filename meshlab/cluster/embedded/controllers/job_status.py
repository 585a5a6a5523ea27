"""How far is a Job? Pure: the Job and its pods in, counts and a verdict out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from meshlab.cluster.embedded.clock import now, seconds_since
from meshlab.cluster.embedded.controllers.job_pods import (
    has_failed,
    has_succeeded,
    index_of,
    index_text,
    indexes,
    is_indexed,
    is_tracked,
)
from meshlab.cluster.embedded.controllers.pods import condition, is_active, is_finished, is_leaving, is_ready
from meshlab.kube import Object

_FIRST_DELAY, _LONGEST_DELAY = 10.0, 600.0

Status = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Verdict:
    """A Job's end: `Complete` or `Failed`, and why."""

    type: str
    reason: str
    message: str

    @property
    def announcement(self) -> str:
        """The condition that says that the verdict has been reached and pods are being ended."""
        return "SuccessCriteriaMet" if self.type == "Complete" else "FailureTarget"


_REACHED = Verdict("Complete", "CompletionsReached", "Reached expected number of succeeded pods")
_TOO_MANY = Verdict("Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit")
_TOO_LONG = Verdict("Failed", "DeadlineExceeded", "Job was active longer than specified deadline")


def is_over(job: Object) -> bool:
    """Whether it has ended, well or not."""
    return any(condition(job, type_).get("status") == "True" for type_ in ("Complete", "Failed"))


def note_ended(job: Object, pods: list[Object]) -> Status:
    """The status that writes down which pods have ended, before their finalizers go."""
    status = dict(job.get("status") or {})
    noted = {key: list(uids) for key, uids in (status.get("uncountedTerminatedPods") or {}).items()}
    completed = indexes(status.get("completedIndexes", ""))
    for pod in filter(is_tracked, pods):
        uid = pod["metadata"]["uid"]
        if has_succeeded(pod) and is_indexed(job):
            completed |= {index for index in [index_of(pod)] if index is not None}
        elif has_succeeded(pod):
            _note(noted, "succeeded", uid)
        elif has_failed(job, pod):
            _note(noted, "failed", uid)
    status["uncountedTerminatedPods"] = noted
    if is_indexed(job):
        status["completedIndexes"] = index_text(completed)
    return status


def counted(job: Object, pods: list[Object]) -> Status:
    """The status with all noted pods counted, and the present ones by what they do."""
    status = dict(job.get("status") or {})
    noted: Mapping[str, list[str]] = status.get("uncountedTerminatedPods") or {}
    for key in ("succeeded", "failed"):
        status[key] = status.get(key, 0) + len(noted.get(key) or [])
    if is_indexed(job):
        status["succeeded"] = len(indexes(status.get("completedIndexes", "")))
    status["uncountedTerminatedPods"] = {}
    active = [pod for pod in pods if is_active(pod)]
    status["active"], status["ready"] = len(active), sum(map(is_ready, active))
    status["terminating"] = sum(is_leaving(pod) and not is_finished(pod) for pod in pods)
    return status


def verdict(job: Object, status: Status, pods: list[Object]) -> Verdict | None:
    """Whether a Job is to end. One that was announced before stands."""
    for known in (_REACHED, _TOO_MANY, _TOO_LONG):
        announced = condition({"status": status}, known.announcement)
        if announced.get("status") == "True" and announced.get("reason") == known.reason:
            return known
    spec = job["spec"]
    if status["failed"] > spec["backoffLimit"] or _restarts_too_often(job, pods):
        return _TOO_MANY
    if (left := seconds_to_deadline(job, status)) is not None and left <= 0:
        return _TOO_LONG
    completions = spec.get("completions")
    if completions is None:
        return _REACHED if status["succeeded"] and not status["active"] else None
    return _REACHED if status["succeeded"] >= completions else None


def missing(job: Object, status: Status) -> int:
    """How many pods there are too few; negative: too many."""
    spec, at_work = job["spec"], int(status["active"])
    if spec.get("podReplacementPolicy") == "Failed":
        at_work += status["terminating"]
    parallelism, completions = int(spec["parallelism"]), spec.get("completions")
    if completions is not None:
        parallelism = min(parallelism, completions - status["succeeded"])
    elif status["succeeded"]:
        parallelism = min(parallelism, status["active"])  # one success tells the others that the work is done
    return parallelism - at_work


def seconds_to_deadline(job: Object, status: Status) -> float | None:
    """How long it may still be active; None for as long as it likes."""
    limit, began = job["spec"].get("activeDeadlineSeconds"), status.get("startTime")
    return None if limit is None or began is None else float(limit - seconds_since(began))


def seconds_to_retry(pods: list[Object]) -> float:
    """How long to wait after failures in a row before the next pod: ten seconds, then twice as long each time."""
    success = max((_ended_at(pod) for pod in pods if has_succeeded(pod)), default="")
    ends = [_ended_at(pod) for pod in pods if is_finished(pod) and not has_succeeded(pod)]
    failures = sorted(end for end in ends if end > success)
    if not failures:
        return 0.0
    delay: float = min(_FIRST_DELAY * 2 ** min(len(failures) - 1, 10), _LONGEST_DELAY)
    return max(0.0, delay - seconds_since(failures[-1]))


def seconds_to_expiry(job: Object) -> float | None:
    """How long until a Job that has ended is deleted; None for never."""
    limit = job["spec"].get("ttlSecondsAfterFinished")
    ended = condition(job, "Complete") or condition(job, "Failed")
    if limit is None:
        return None
    return int(limit) - seconds_since(ended["lastTransitionTime"])


def with_condition(status: Status, type_: str, value: str, reason: str, message: str) -> Status:
    """The status with a condition of this moment."""
    moment = now()
    new = {"type": type_, "status": value, "lastProbeTime": moment, "lastTransitionTime": moment}
    others = [found for found in status.get("conditions") or [] if found["type"] != type_]
    return {**status, "conditions": [*others, {**new, "reason": reason, "message": message}]}


def tidy(status: Status) -> Status:
    """Without what is zero, as a real cluster writes it."""
    zero_says_something = ("ready", "terminating", "uncountedTerminatedPods")
    return {name: value for name, value in status.items() if value or name in zero_says_something}


def _note(noted: dict[str, list[str]], key: str, uid: str) -> None:
    if uid not in noted.setdefault(key, []):
        noted[key].append(uid)


def _restarts_too_often(job: Object, pods: list[Object]) -> bool:
    if job["spec"]["template"]["spec"].get("restartPolicy") != "OnFailure":
        return False
    restarts = sum(
        row.get("restartCount", 0)
        for pod in pods
        if is_active(pod)
        for key in ("initContainerStatuses", "containerStatuses")
        for row in (pod.get("status") or {}).get(key) or []
    )
    limit = job["spec"]["backoffLimit"]
    return bool(restarts >= limit if limit else restarts > 0)


def _ended_at(pod: Object) -> str:
    rows = (pod.get("status") or {}).get("containerStatuses") or []
    ends = [(row["state"].get("terminated") or {}).get("finishedAt") for row in rows]
    return max(filter(None, ends), default=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
