"""Which nodes lack a pod of a DaemonSet, and which pods have to go? Pure: nodes and pods in, steps out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from meshlab.cluster.embedded.controllers.history import POD_LABEL
from meshlab.cluster.embedded.controllers.pod_control import pod_of
from meshlab.cluster.embedded.controllers.pods import is_finished, is_leaving, seconds_to_available
from meshlab.cluster.embedded.controllers.scheduler import is_chosen, tolerates
from meshlab.kube import Object
from meshlab.kube.objects import labels_of

_NODE_IS = "node.kubernetes.io/"
_TOLERATED = (
    ("not-ready", "NoExecute"),
    ("unreachable", "NoExecute"),
    ("disk-pressure", "NoSchedule"),
    ("memory-pressure", "NoSchedule"),
    ("pid-pressure", "NoSchedule"),
    ("unschedulable", "NoSchedule"),
)


@dataclass(slots=True)
class Steps:
    """What to do now: the names of nodes to make a pod for, and pods to end."""

    create: list[str] = field(default_factory=list)
    delete: list[Object] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.create or self.delete)


def new_pod(daemon_set: Object, node: str, revision_hash: str) -> Object:
    """The pod for a node, which the scheduler can put nowhere else."""
    pod = pod_of(daemon_set, daemon_set["spec"]["template"])
    pod["metadata"]["labels"] = {**labels_of(pod), POD_LABEL: revision_hash}
    spec = pod["spec"]
    here = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}
    affinity = spec.setdefault("affinity", {}).setdefault("nodeAffinity", {})
    affinity["requiredDuringSchedulingIgnoredDuringExecution"] = {"nodeSelectorTerms": [here]}
    tolerations = spec["tolerations"] = list(spec.get("tolerations") or [])
    tolerations += [{"key": _NODE_IS + key, "operator": "Exists", "effect": effect} for key, effect in _TOLERATED]
    return pod


def node_of(pod: Object) -> str:
    """The node a pod is on, or is to be on."""
    if name := pod["spec"].get("nodeName"):
        return str(name)
    affinity = (pod["spec"].get("affinity") or {}).get("nodeAffinity") or {}
    for term in (affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}).get("nodeSelectorTerms") or []:
        for rule in term.get("matchFields") or []:
            return str(rule["values"][0])
    return ""


def belongs(daemon_set: Object, node: Object, *, stays: bool = False) -> bool:
    """Whether a node is to have a pod; `stays`: whether one that is there may stay."""
    pod = new_pod(daemon_set, node["metadata"]["name"], "")
    plain = {**pod, "spec": {**pod["spec"], "affinity": daemon_set["spec"]["template"]["spec"].get("affinity") or {}}}
    effects = {"NoExecute"} if stays else {"NoSchedule", "NoExecute"}
    taints = (node.get("spec") or {}).get("taints") or []
    return is_chosen(plain, node) and all(tolerates(pod, taint) for taint in taints if taint["effect"] in effects)


def next_steps(daemon_set: Object, nodes: list[Object], pods: list[Object], revision_hash: str) -> Steps:
    """What brings the DaemonSet to all its nodes, and then to its present template."""
    steps = Steps()
    here: dict[str, list[Object]] = {node["metadata"]["name"]: [] for node in nodes}
    for pod in sorted(pods, key=lambda pod: (pod["metadata"]["creationTimestamp"], pod["metadata"]["name"])):
        here.setdefault(node_of(pod), []).append(pod)
    served: dict[str, _Pair] = {}
    for node in nodes:
        name = node["metadata"]["name"]
        staying = [pod for pod in here[name] if not is_leaving(pod)]
        done = [pod for pod in staying if is_finished(pod)]
        steps.delete += done
        pair = _Pair.of([pod for pod in staying if not is_finished(pod)], revision_hash)
        if belongs(daemon_set, node):
            served[name] = pair
            if not here[name]:
                steps.create.append(name)
        elif not belongs(daemon_set, node, stays=True):
            steps.delete += [pod for pod in (pair.old, pair.new) if pod]
        steps.delete += pair.surplus
    if (daemon_set["spec"].get("updateStrategy") or {}).get("type") == "RollingUpdate" and not steps:
        _roll(daemon_set, served, steps)
    return steps


@dataclass(frozen=True, slots=True)
class _Pair:
    """The pods of one node: at most one of an old template and one of the present one; the rest is too many."""

    old: Object | None
    new: Object | None
    surplus: list[Object]

    @classmethod
    def of(cls, pods: list[Object], revision_hash: str) -> _Pair:
        new = [pod for pod in pods if labels_of(pod).get(POD_LABEL) == revision_hash]
        old = [pod for pod in pods if pod not in new]
        return cls(next(iter(old), None), next(iter(new), None), [*old[1:], *new[1:]])


def _roll(daemon_set: Object, served: Mapping[str, _Pair], steps: Steps) -> None:
    """Replace old pods: as many at once as may be missing, or as may be there twice."""
    rolling = (daemon_set["spec"].get("updateStrategy") or {}).get("rollingUpdate") or {}
    surge = _share(rolling.get("maxSurge", 0), len(served))
    if surge:
        _replace_beside(daemon_set, served, surge, steps)
        return
    missing = _share(rolling.get("maxUnavailable", 1), len(served))
    candidates = []
    for pair in served.values():
        available = any(pod and _is_available(daemon_set, pod) for pod in (pair.old, pair.new))
        missing -= not available
        if pair.old and not available:
            steps.delete.append(pair.old)
        elif pair.old:
            candidates.append(pair.old)
    steps.delete += candidates[: max(0, missing)]


def _replace_beside(daemon_set: Object, served: Mapping[str, _Pair], surge: int, steps: Steps) -> None:
    """A new pod starts while the old one is there, which goes when the new one is available."""
    doubled = sum(bool(pair.old and pair.new) for pair in served.values())
    for name, pair in served.items():
        if not pair.old:
            continue
        if pair.new:
            steps.delete += [pair.old] if _is_available(daemon_set, pair.new) else []
        elif not _is_available(daemon_set, pair.old):
            steps.delete.append(pair.old)
        elif doubled < surge:
            steps.create.append(name)
            doubled += 1


def _is_available(daemon_set: Object, pod: Object) -> bool:
    return seconds_to_available(pod, daemon_set["spec"].get("minReadySeconds", 0)) == 0


def _share(value: int | str, whole: int) -> int:
    return value if isinstance(value, int) else math.ceil(int(value.rstrip("%")) * whole / 100)
