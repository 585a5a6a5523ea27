"""Which pod does a Job make, and what became of one?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import count, islice
from typing import Any

from meshlab.cluster.embedded.controllers.pod_control import pod_of
from meshlab.cluster.embedded.controllers.pods import is_finished, is_leaving
from meshlab.kube import Object
from meshlab.kube.objects import labels_of

FINALIZER = "batch.kubernetes.io/job-tracking"
"""Keeps a pod that has ended until it has been counted."""
JOB_NAME = "batch.kubernetes.io/job-name"
INDEX = "batch.kubernetes.io/job-completion-index"

_INDEX_VARIABLE = "JOB_COMPLETION_INDEX"


def is_indexed(job: Object) -> bool:
    """Whether each of its pods has work of its own, told by a number."""
    return bool(job["spec"].get("completionMode") == "Indexed")


def is_tracked(pod: Object) -> bool:
    """Whether it has yet to be counted."""
    return FINALIZER in (pod["metadata"].get("finalizers") or [])


def has_succeeded(pod: Object) -> bool:
    """Whether all its containers ended well."""
    return bool((pod.get("status") or {}).get("phase") == "Succeeded")


def has_failed(job: Object, pod: Object) -> bool:
    """Whether it is a failure. One that was deleted before its end is, unless the Job wants to see how it ends, or
    is suspended: then it was the Job that deleted it.
    """
    if is_leaving(pod) and job["spec"].get("suspend"):
        return False
    if (pod.get("status") or {}).get("phase") == "Failed":
        return True
    return is_leaving(pod) and not is_finished(pod) and job["spec"].get("podReplacementPolicy") != "Failed"


def index_of(pod: Object) -> int | None:
    """The number of a pod's work; None for a pod that has none."""
    text = (pod["metadata"].get("annotations") or {}).get(INDEX, "")
    return int(text) if text.isdecimal() else None


def new_pods(job: Object, number: int, active: Iterable[Object], completed: Iterable[int]) -> Iterator[Object]:
    """So many more pods; of an indexed Job, for the lowest numbers that are neither done nor being worked on."""
    if not is_indexed(job):
        yield from (_new_pod(job) for _ in range(number))
        return
    taken = {*completed, *map(index_of, active)}
    free = (index for index in range(job["spec"]["completions"]) if index not in taken)
    yield from (_new_pod(job, index) for index in islice(free, number))


def _new_pod(job: Object, index: int | None = None) -> Object:
    pod = pod_of(job, job["spec"]["template"])
    metadata, spec = pod["metadata"], pod["spec"]
    metadata["finalizers"] = [FINALIZER]
    if index is None:
        return pod
    name = f"{job['metadata']['name']}-{index}"
    metadata["generateName"] = f"{name}-"
    metadata["labels"] = {**labels_of(pod), INDEX: str(index)}
    metadata["annotations"] = {**(metadata.get("annotations") or {}), INDEX: str(index)}
    spec.setdefault("hostname", name)
    source = {"fieldRef": {"fieldPath": f"metadata.labels['{INDEX}']"}}
    for container in [*(spec.get("initContainers") or []), *spec["containers"]]:
        variables = container.setdefault("env", [])
        if all(variable["name"] != _INDEX_VARIABLE for variable in variables):
            variables.append({"name": _INDEX_VARIABLE, "valueFrom": source})
    return pod


def indexes(text: str) -> set[int]:
    """The numbers in `0-2,5`."""
    found: set[int] = set()
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        found |= set(range(int(first), int(last or first) + 1))
    return found


def index_text(numbers: Iterable[int]) -> str:
    """`0-2,5`; two in a row are written `1,2`."""
    runs: dict[int, list[int]] = {}
    for place, number in zip(count(), sorted(numbers), strict=False):
        runs.setdefault(number - place, []).append(number)
    return ",".join(_run_text(run) for run in runs.values())


def _run_text(run: list[Any]) -> str:
    return f"{run[0]}-{run[-1]}" if len(run) > 2 else ",".join(map(str, run))
