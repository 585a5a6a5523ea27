"""Which node does a pod run on?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from meshlab.cluster.embedded.clock import now
from meshlab.cluster.embedded.controllers.pods import condition, is_finished, is_ready
from meshlab.cluster.embedded.controllers.selectors import holds
from meshlab.cluster.embedded.controllers.workqueue import WorkQueue
from meshlab.cluster.embedded.events import Recorder
from meshlab.cluster.embedded.informers import Informers, Key, key_of
from meshlab.kube import Change, Kube, Object
from meshlab.kube.objects import NODE, POD, labels_of

_OURS = "default-scheduler"
_KEEPS_AWAY = {"NoSchedule", "NoExecute"}
_UNSCHEDULABLE = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}
"""What `kubectl cordon` comes to; a DaemonSet's pods don't mind."""


class Scheduler:
    """Binds a pod to the first node that fits, and says why none does."""

    def __init__(self, kube: Kube, informers: Informers) -> None:
        self._kube = kube
        self._events = Recorder(kube, _OURS)
        self._pods, self._nodes = informers.of(POD), informers.of(NODE)
        self._queue: WorkQueue[Key] = WorkQueue("scheduler", self._sync)
        self._pods.listen(self._pod_changed)
        self._nodes.listen(self._node_changed)

    async def run(self) -> None:
        """Work until cancelled."""
        await self._queue.run()

    def _pod_changed(self, change: Change) -> None:
        if _wants_a_node(change.object):
            self._queue.add(key_of(change.object))

    def _node_changed(self, _: Change) -> None:
        for pod in self._pods.all():
            if _wants_a_node(pod):
                self._queue.add(key_of(pod))

    async def _sync(self, key: Key) -> None:
        pod = self._pods.get(*key)
        if pod is None or not _wants_a_node(pod):
            return
        if gates := pod["spec"].get("schedulingGates"):
            names = ", ".join(gate["name"] for gate in gates)
            await self._say_why_not(
                pod, "SchedulingGated", f"Scheduling is blocked due to non-empty scheduling gates: {names}"
            )
            return
        nodes = sorted(self._nodes.all(), key=key_of)
        reasons: Counter[str] = Counter()
        for node in nodes:
            reason = why_not(pod, node)
            if reason is None:
                await self._bind(pod, node)
                return
            reasons[reason] += 1
        why = ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items())) or "no nodes"
        message = f"0/{len(nodes)} nodes are available: {why}."
        if await self._say_why_not(pod, "Unschedulable", message):
            self._events.record(pod, "FailedScheduling", message, warning=True)

    async def _bind(self, pod: Object, node: Object) -> None:
        metadata, name = pod["metadata"], node["metadata"]["name"]
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": metadata["name"], "namespace": metadata["namespace"], "uid": metadata["uid"]},
            "target": {"apiVersion": "v1", "kind": "Node", "name": name},
        }
        path = POD.path(metadata["namespace"], metadata["name"], "binding")
        await self._kube.request("POST", path, body=binding, about=f"Pod {'/'.join(key_of(pod))}")
        where = "/".join(key_of(pod))
        self._events.record(pod, "Scheduled", f"Successfully assigned {where} to {name}")

    async def _say_why_not(self, pod: Object, reason: str, message: str) -> bool:
        """Whether this is news."""
        known = condition(pod, "PodScheduled")
        if known.get("message") == message:
            return False
        news = {
            "type": "PodScheduled",
            "status": "False",
            "reason": reason,
            "message": message,
            "lastTransitionTime": known.get("lastTransitionTime") if known.get("status") == "False" else now(),
        }
        metadata = pod["metadata"]
        body = {"status": {"phase": "Pending", "conditions": [news]}}
        await self._kube.patch(POD, metadata["name"], body, metadata["namespace"], subresource="status")
        return True


def why_not(pod: Object, node: Object) -> str | None:
    """What keeps a pod off a node, in the scheduler's words; None when nothing does."""
    spec = node.get("spec") or {}
    if not is_ready(node):
        return "node(s) were not ready"
    if spec.get("unschedulable") and not tolerates(pod, _UNSCHEDULABLE):
        return "node(s) were unschedulable"
    if not is_chosen(pod, node):
        return "node(s) didn't match Pod's node affinity/selector"
    for taint in spec.get("taints") or []:
        if taint["effect"] in _KEEPS_AWAY and not tolerates(pod, taint):
            return f"node(s) had untolerated taint {{{taint['key']}: {taint.get('value', '')}}}"
    return None


def tolerates(pod: Object, taint: Mapping[str, Any]) -> bool:
    """Whether one of a pod's tolerations covers a taint."""
    return any(_covers(toleration, taint) for toleration in pod["spec"].get("tolerations") or [])


def _wants_a_node(pod: Object) -> bool:
    spec, leaving = pod["spec"], pod["metadata"].get("deletionTimestamp")
    mine = spec.get("schedulerName", _OURS) == _OURS
    return mine and not spec.get("nodeName") and not leaving and not is_finished(pod)


def is_chosen(pod: Object, node: Object) -> bool:
    """Whether a pod's node selector and node affinity allow a node."""
    labels = labels_of(node)
    selector = pod["spec"].get("nodeSelector") or {}
    if any(labels.get(key) != value for key, value in selector.items()):
        return False
    affinity = (pod["spec"].get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    if not required:
        return True
    fields = {"metadata.name": node["metadata"]["name"]}
    return any(
        all(holds(rule, labels) for rule in term.get("matchExpressions") or [])
        and all(holds(rule, fields) for rule in term.get("matchFields") or [])
        for term in required.get("nodeSelectorTerms") or []
        if term.get("matchExpressions") or term.get("matchFields")
    )


def _covers(toleration: Mapping[str, Any], taint: Mapping[str, Any]) -> bool:
    if toleration.get("effect") not in (None, "", taint["effect"]):
        return False
    if toleration.get("operator") == "Exists":
        return toleration.get("key") in (None, "", taint["key"])
    return (toleration.get("key"), toleration.get("value", "")) == (taint["key"], taint.get("value", ""))
