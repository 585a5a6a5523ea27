"""What does a ProxyOverlay say of itself? Its status, as kubectl shows it and waits for it."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from meshlab.controlplane.overlays import Laid, OverlayKeeper
from meshlab.controlplane.push import node_id
from meshlab.controlplane.reader import Store
from meshlab.kube import Kind, Object, Ref
from meshlab.kube.objects import PROXY_OVERLAY
from meshlab.mesh.finding import Finding, Severity
from meshlab.mesh.overlay import Overlay
from meshlab.xds import Proxies, ProxyStatus


class State(StrEnum):
    """In one word."""

    ACCEPTED = "Accepted"
    REFUSED = "Refused"
    FAILING = "Failing"
    PENDING = "Pending"


_CONDITION = {State.ACCEPTED: "True", State.REFUSED: "False", State.FAILING: "True", State.PENDING: "Unknown"}


def status_of(obj: Object, laid: Laid, selected: int, changed: int, findings: Iterable[Finding]) -> Object:
    """The status of an object. `findings` are those about it; `changed` of the `selected` proxies have taken it."""
    told = list(findings)
    errors = [item for item in told if item.severity is Severity.ERROR]
    state, reason = _state(laid, selected, changed, errors, [item for item in told if item not in errors])
    in_force = "this" if laid.wanted and laid.in_force == laid.wanted else "earlier" if laid.in_force else "nothing"
    generation = obj["metadata"].get("generation", 1)
    condition = {
        "type": "Accepted",
        "status": _CONDITION[state],
        "reason": state.value,
        "message": reason or "every proxy it concerns runs by it",
        "observedGeneration": generation,
    }
    return {
        "observedGeneration": generation,
        "state": state.value,
        "reason": reason,
        "inForce": in_force,
        "proxies": {"selected": selected, "changed": changed},
        "conditions": [{**condition, "lastTransitionTime": _since(obj, condition["status"], _now)}],
    }


def _state(
    laid: Laid, selected: int, changed: int, errors: list[Finding], warnings: list[Finding]
) -> tuple[State, str]:
    if errors:
        return State.REFUSED, _words(errors[0])
    if laid.undecided or not selected or changed < selected:
        waiting = "it is being tried out" if laid.undecided else f"{changed} of {selected} proxies have it"
        return State.PENDING, _words(warnings[0]) if warnings else waiting
    failing = next((item for item in warnings if item.code == "ML606"), None)
    return (State.FAILING, _words(failing)) if failing else (State.ACCEPTED, "")


def _words(finding: Finding) -> str:
    return f"{finding.code} {finding.field}: {finding.what}"


def _since(obj: Object, status: str, now: Callable[[], str]) -> str:
    """When the condition came to be what it is."""
    rows: list[dict[str, Any]] = (obj.get("status") or {}).get("conditions") or []
    return next((row["lastTransitionTime"] for row in rows if row["status"] == status), None) or now()


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class OverlayStatuses:
    """Keeps the status of every ProxyOverlay true: after each turn, and when a proxy has answered."""

    def __init__(
        self, keeper: OverlayKeeper, proxies: Proxies, objects: Store, want: Callable[[Kind, str, str, Object], None]
    ) -> None:
        self._keeper = keeper
        self._proxies = proxies
        self._objects = objects
        self._want = want
        self._findings: tuple[Finding, ...] = ()
        self._soon = False

    def hear_findings(self, findings: tuple[Finding, ...]) -> None:
        """What is wrong now."""
        self._findings = findings
        self._tell()

    def hear_proxy(self, status: ProxyStatus) -> None:
        """A proxy with an overlay has answered. A burst of answers is told of once."""
        self._keeper.hear(status)
        if status.node in self._keeper.overlaid and not self._soon:
            self._soon = True
            asyncio.get_running_loop().call_soon(self._tell)

    def _tell(self) -> None:
        self._soon = False
        by_object: dict[str, list[Finding]] = defaultdict(list)
        for item in self._findings:
            by_object[item.about].append(item)
        for (namespace, name), obj in self._objects.items():
            laid = self._keeper.look(f"{namespace}/{name}")
            about = by_object[str(Ref(PROXY_OVERLAY.kind, name, namespace))]
            selected, changed = self._count(laid)
            self._want(PROXY_OVERLAY, namespace, name, status_of(obj, laid, selected, changed, about))

    def _count(self, laid: Laid) -> tuple[int, int]:
        """How many proxies are chosen, and how many run by the overlay that is in force."""
        chosen = laid.wanted or laid.in_force
        nodes = [node_id(workload) for workload in self._keeper.concerned(chosen)] if chosen else []
        return len(nodes), sum(self._runs_by(node, laid.in_force) for node in nodes)

    def _runs_by(self, node: str, overlay: Overlay | None) -> bool:
        status, laid = self._proxies[node], self._keeper.overlaid.get(node)
        taken = status.generation == status.settled and not status.refused
        return taken and laid is not None and any(change.overlay == overlay for change in laid.changes)
