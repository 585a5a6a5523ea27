"""What does `kubectl get pods` say about a pod?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from meshlab.cluster.embedded.apiserver.printing import NONE, Obj, age, condition, created

COLUMNS = ("Name", "Ready", "Status", "Restarts", "Age", "IP*", "Node*", "Nominated Node*", "Readiness Gates*")

_ENDED = {"Succeeded": "The pod has completed successfully.", "Failed": "The pod failed."}


def cells(pod: Obj) -> list[Any]:
    """The row of a pod."""
    spec, status = pod["spec"], pod.get("status") or {}
    sidecars = {item["name"] for item in spec.get("initContainers") or [] if item.get("restartPolicy") == "Always"}
    total = len(spec.get("containers") or []) + len(sidecars)
    summary = _Summary(status.get("reason") or status.get("phase") or "")
    if (condition(pod, "PodScheduled") or {}).get("reason") == "SchedulingGated":
        summary.reason = "SchedulingGated"
    initializing = _read_init_containers(pod, sidecars, summary)
    if not initializing or (condition(pod, "Initialized") or {}).get("status") == "True":
        _read_containers(pod, sidecars, summary)
    if pod["metadata"].get("deletionTimestamp") and status.get("phase") not in _ENDED:
        summary.reason = "Unknown" if status.get("reason") == "NodeLost" else "Terminating"
    return [
        pod["metadata"]["name"],
        f"{summary.ready}/{total}",
        summary.reason,
        summary.restart_text(),
        created(pod),
        status.get("podIP") or NONE,
        spec.get("nodeName") or NONE,
        status.get("nominatedNodeName") or NONE,
        _readiness_gates(pod),
    ]


def row_conditions(pod: Obj) -> list[dict[str, str]]:
    """What a row says besides its cells: that the pod has ended."""
    phase = (pod.get("status") or {}).get("phase")
    if phase not in _ENDED:
        return []
    return [{"type": "Completed", "status": "True", "reason": phase, "message": _ENDED[phase]}]


class _Summary:
    """What is known of a pod while its containers are read."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        self.ready = 0
        self.restarts = 0
        self.last_restart = ""

    def count_restarts(self, container: Mapping[str, Any]) -> None:
        """Add a container's restarts."""
        self.restarts += container.get("restartCount", 0)
        ended = ((container.get("lastState") or {}).get("terminated") or {}).get("finishedAt") or ""
        self.last_restart = max(self.last_restart, ended)

    def restart_text(self) -> str:
        """`2 (30s ago)`."""
        return (
            f"{self.restarts} ({age(self.last_restart)} ago)"
            if self.restarts and self.last_restart
            else str(self.restarts)
        )


def _read_init_containers(pod: Obj, sidecars: set[str], summary: _Summary) -> bool:
    """Whether init containers are still at work; the first unfinished one says how the pod is."""
    for index, container in enumerate((pod.get("status") or {}).get("initContainerStatuses") or []):
        summary.count_restarts(container)
        state = container.get("state") or {}
        terminated, waiting = state.get("terminated"), state.get("waiting") or {}
        if terminated is not None and terminated.get("exitCode") == 0:
            continue
        if container["name"] in sidecars and container.get("started"):
            summary.ready += bool(container.get("ready"))
            continue
        if terminated is not None:
            summary.reason = f"Init:{_ended(terminated)}"
        elif waiting.get("reason") not in (None, "", "PodInitializing"):
            summary.reason = f"Init:{waiting['reason']}"
        else:
            summary.reason = f"Init:{index}/{len(pod['spec'].get('initContainers') or [])}"
        return True
    return False


def _read_containers(pod: Obj, sidecars: set[str], summary: _Summary) -> None:
    status = pod.get("status") or {}
    summary.restarts, summary.last_restart = 0, ""
    for container in status.get("initContainerStatuses") or []:
        if container["name"] in sidecars:
            summary.count_restarts(container)
    running = False
    for container in reversed(status.get("containerStatuses") or []):
        summary.count_restarts(container)
        state = container.get("state") or {}
        if (state.get("waiting") or {}).get("reason"):
            summary.reason = state["waiting"]["reason"]
        elif state.get("terminated") is not None:
            summary.reason = _ended(state["terminated"])
        elif container.get("ready") and "running" in state:
            running = True
            summary.ready += 1
    if summary.reason == "Completed" and running:
        ready = (condition(pod, "Ready") or {}).get("status") == "True"
        summary.reason = "Running" if ready else "NotReady"


def _ended(terminated: Mapping[str, Any]) -> str:
    if terminated.get("reason"):
        return str(terminated["reason"])
    return f"Signal:{terminated['signal']}" if terminated.get("signal") else f"ExitCode:{terminated.get('exitCode', 0)}"


def _readiness_gates(pod: Obj) -> str:
    gates = pod["spec"].get("readinessGates") or []
    if not gates:
        return NONE
    met = sum((condition(pod, gate["conditionType"]) or {}).get("status") == "True" for gate in gates)
    return f"{met}/{len(gates)}"
