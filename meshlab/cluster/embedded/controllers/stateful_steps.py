"""What is the next step of a StatefulSet? Pure: its pods in, the ordinals to make and the pods to end out.

In order: one pod at a time, each only when all before it are well; the last goes first. `Parallel` makes and ends
all at once, but even then a rolling update changes one pod at a time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from meshlab.cluster.embedded.controllers.pods import is_active, is_finished, is_leaving, seconds_to_available
from meshlab.cluster.embedded.controllers.stateful_pods import ordinal, revision_of, wanted
from meshlab.kube import Object


@dataclass(slots=True)
class Steps:
    """What to do now."""

    create: list[int] = field(default_factory=list)
    delete: list[Object] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.create or self.delete)


def next_steps(stateful_set: Object, pods: list[Object], update_revision: str) -> Steps:
    """One step towards what is wanted; none when there is nothing to do, or something to wait for."""
    in_order = stateful_set["spec"].get("podManagementPolicy") != "Parallel"
    steps = Steps()
    go_on = _fill(stateful_set, pods, steps, in_order=in_order) and _scale_down(
        stateful_set, pods, steps, in_order=in_order
    )
    if go_on:
        _update(stateful_set, pods, update_revision, steps)
    return steps


def is_well(stateful_set: Object, pod: Object) -> bool:
    """Whether a pod is there to stay and has been ready for long enough."""
    waiting = seconds_to_available(pod, stateful_set["spec"].get("minReadySeconds", 0))
    return is_active(pod) and waiting == 0


def is_at_present_revision(stateful_set: Object, number: int) -> bool:
    """Whether a pod made now keeps the revision from before the update: those below the partition do."""
    return number < wanted(stateful_set).start + partition(stateful_set)


def partition(stateful_set: Object) -> int:
    """How many pods a rolling update leaves as they are."""
    strategy: dict[str, Any] = stateful_set["spec"].get("updateStrategy") or {}
    return int((strategy.get("rollingUpdate") or {}).get("partition") or 0)


def _fill(stateful_set: Object, pods: list[Object], steps: Steps, *, in_order: bool) -> bool:
    """Whether every wanted pod is there (and well, where order counts)."""
    by_ordinal = {ordinal(pod): pod for pod in pods}
    for number in wanted(stateful_set):
        pod = by_ordinal.get(number)
        if pod is None:
            steps.create.append(number)
        elif is_finished(pod):
            if not is_leaving(pod):
                steps.delete.append(pod)
        elif not in_order or is_well(stateful_set, pod):
            continue
        if in_order:
            return False
    return True


def _scale_down(stateful_set: Object, pods: list[Object], steps: Steps, *, in_order: bool) -> bool:
    """Whether the pods too many, if any, are taken care of."""
    there = sorted(pods, key=ordinal)
    first_ill = next((pod for pod in there if not is_well(stateful_set, pod)), None)
    for pod in reversed([pod for pod in there if ordinal(pod) not in wanted(stateful_set)]):
        if not is_leaving(pod):
            if in_order and not is_well(stateful_set, pod) and pod is not first_ill:
                return False
            steps.delete.append(pod)
        if in_order:
            return False
    return True


def _update(stateful_set: Object, pods: list[Object], update_revision: str, steps: Steps) -> None:
    """End the last pod that has an old revision, once all after it are well."""
    if (stateful_set["spec"].get("updateStrategy") or {}).get("type") == "OnDelete":
        return
    by_ordinal = {ordinal(pod): pod for pod in pods}
    for number in reversed(wanted(stateful_set)[partition(stateful_set) :]):
        pod = by_ordinal.get(number)
        if pod is None or not is_active(pod):
            return
        if revision_of(pod) != update_revision:
            steps.delete.append(pod)
            return
        if not is_well(stateful_set, pod):
            return
