"""What is each MeshRootCertificate in use for, and has everybody taken that? Told on it, in OSM's words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from meshlab.controlplane.acknowledgements import Behind
from meshlab.identity.trust import Trust
from meshlab.kube import Object
from meshlab.mesh.finding import Finding

_COMPONENTS = {"webhooks": "API server", "xdsControlPlane": "control plane"}
"""Whose parts they are; the others are the sidecars'."""
_ROLLOUT = "rollout"


def status_of(name: str, before: Object, trust: Trust, behind: Iterable[Behind], finding: Finding | None) -> Object:
    """The status of the MeshRootCertificate called so; `before` is the one it has."""
    state = "error" if finding else "inactive"
    if trust.find(name):
        state = "issuing" if trust.signer.name == name else "validating"
    waiting = sorted({_component(one) for one in behind})
    parts = {part: _ROLLOUT if part in waiting else state for part in (*_COMPONENTS, "sidecar")}
    if finding:
        ready = ("False", "Error", f"{finding.code} {finding.what}")
    elif waiting:
        ready = ("False", "Rollout", f"the mesh is taking it: {', '.join(waiting)}")
    else:
        ready = ("True", "Settled", "everybody has taken it")
    return {"state": state, "componentStatuses": parts, "conditions": [_condition(ready, before)]}


def _component(behind: Behind) -> str:
    return next((part for part, who in _COMPONENTS.items() if who == behind.who), "sidecar")


def _condition(said: tuple[str, str, str], before: Mapping[str, object]) -> Object:
    status, reason, message = said
    condition = {"type": "Ready", "status": status, "reason": reason, "message": message}
    known = before.get("conditions")
    last = known[0] if isinstance(known, list) and known else {}
    since = last.get("lastTransitionTime") if last.get("status") == status else None
    return {**condition, "lastTransitionTime": since or datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}
