"""What does a pod's status say, and how does it get to the API server?"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from meshlab.cluster.embedded.clock import now
from meshlab.cluster.embedded.node.container import Container
from meshlab.errors import ClusterError
from meshlab.kube import ApiError, Kube, Object
from meshlab.kube.client import STRATEGIC_PATCH
from meshlab.kube.objects import POD

log = logging.getLogger(__name__)

_RETRY_SECONDS = 0.1

_Reason = tuple[str, str]
"""Why a condition doesn't hold: a word, and a sentence."""


def sidecars(init: Sequence[Container]) -> list[Container]:
    """The init containers that go on running beside the others."""
    return [container for container in init if container.spec.get("restartPolicy") == "Always"]


def phase(restart: str, init: Sequence[Container], containers: Sequence[Container]) -> str:
    """The pod's phase from the states of its containers."""
    beside = sidecars(init)
    if any(container.is_ended and container.exit_code for container in init if container not in beside):
        return "Failed"
    if any(not (container.is_ended or container.started.is_set()) for container in init):
        return "Pending"
    if all(container.is_ended for container in [*containers, *beside]):
        failed = any(container.exit_code for container in containers)
        return "Failed" if failed else "Succeeded"
    if all(container.is_running or container.is_ended or container.has_run for container in containers):
        return "Running"
    return "Running" if restart == "Always" and any(c.is_running for c in containers) else "Pending"


def conditions(
    pod: Object, phase_now: str, init: Sequence[Container], containers: Sequence[Container], *, attached: bool
) -> list[dict[str, Any]]:
    """The conditions that the node decides; each keeps its time of transition as long as it says the same."""
    done = phase_now == "Succeeded"
    waiting = [] if done else [c.name for c in init if not ((c.is_ended and c.exit_code == 0) or c.started.is_set())]
    serving = [*containers, *(sidecars(init) if not waiting else [])]
    unready = [container.name for container in serving if not container.is_ready]
    have = {found["type"]: found for found in (pod.get("status") or {}).get("conditions") or []}
    gates = [gate["conditionType"] for gate in pod["spec"].get("readinessGates") or []]
    closed = [gate for gate in gates if have.get(gate, {}).get("status") != "True"]
    why_not: dict[str, _Reason | None] = {
        "PodReadyToStartContainers": None if attached and not done else ("", ""),
        "Initialized": ("ContainersNotInitialized", _list("incomplete", waiting)) if waiting else None,
        "ContainersReady": _not_ready(unready, done=done),
        "Ready": _not_ready(unready, done=done) or _closed(closed),
        "PodScheduled": None,
    }
    return [_condition(type_, reason, have.get(type_, {})) for type_, reason in why_not.items()]


def _not_ready(unready: list[str], *, done: bool) -> _Reason | None:
    if done:
        return "PodCompleted", ""
    return ("ContainersNotReady", _list("unready", unready)) if unready else None


def _closed(gates: list[str]) -> _Reason | None:
    if not gates:
        return None
    return "ReadinessGatesNotReady", f'corresponding condition of pod readiness gate "{gates[0]}" is not "True".'


def _list(word: str, names: list[str]) -> str:
    return f"containers with {word} status: [{' '.join(names)}]"


def _condition(type_: str, why_not: _Reason | None, known: Mapping[str, Any]) -> dict[str, Any]:
    status, (reason, message) = "False" if why_not else "True", why_not or ("", "")
    since = known.get("lastTransitionTime") if known.get("status") == status else None
    condition = {"type": type_, "status": status, "lastProbeTime": None, "lastTransitionTime": since or now()}
    # A strategic merge keeps what isn't named: what no longer holds has to be taken away.
    return condition | {"reason": reason or None, "message": message or None}


class StatusWriter:
    """Writes a pod's status after every change, the newest only, one write at a time."""

    def __init__(self, kube: Kube, pod: Object, compute: Callable[[], dict[str, Any]]) -> None:
        metadata = pod["metadata"]
        self._kube = kube
        self._name, self._namespace, self._uid = metadata["name"], metadata["namespace"], metadata["uid"]
        self._compute = compute
        self._changed = asyncio.Event()
        self._written: dict[str, Any] = {}

    def changed(self) -> None:
        """Have the status written soon."""
        self._changed.set()

    async def run(self) -> None:
        """Write until cancelled, or until the pod is gone."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                await self.write()
            except ApiError as error:
                if error.status == HTTPStatus.NOT_FOUND:
                    return
                log.warning("status of pod %s/%s: %s", self._namespace, self._name, error)
                await self._again()
            except ClusterError:
                await self._again()

    async def write(self) -> None:
        """Write the status if it differs from what was written last."""
        status = self._compute()
        if _timeless(status) == _timeless(self._written):
            return
        body = {"metadata": {"uid": self._uid}, "status": status}
        await self._kube.patch(
            POD, self._name, body, self._namespace, content_type=STRATEGIC_PATCH, subresource="status"
        )
        self._written = status

    async def _again(self) -> None:
        await asyncio.sleep(_RETRY_SECONDS)
        self._changed.set()


def _timeless(status: Mapping[str, Any]) -> dict[str, Any]:
    rows = [{**row, "lastTransitionTime": None} for row in status.get("conditions") or []]
    return {**status, "conditions": rows}
