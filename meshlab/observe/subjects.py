"""What can traffic be counted for? Pods, and what contains or fronts them, as SMI's TrafficMetrics names it."""

from __future__ import annotations

from dataclasses import dataclass

from meshlab.mesh.service import Workload

KINDS = {
    "namespaces": ("v1", "Namespace"),
    "pods": ("v1", "Pod"),
    "services": ("v1", "Service"),
    "deployments": ("apps/v1", "Deployment"),
    "daemonsets": ("apps/v1", "DaemonSet"),
    "statefulsets": ("apps/v1", "StatefulSet"),
    "replicasets": ("apps/v1", "ReplicaSet"),
    "jobs": ("batch/v1", "Job"),
    "trafficsplits": ("split.smi-spec.io/v1alpha4", "TrafficSplit"),
}
"""apiVersion and kind of each resource by its plural."""

_VERSIONS = {kind: version for version, kind in KINDS.values()}
_TEMPLATE_HASH = "pod-template-hash"


@dataclass(frozen=True, slots=True, order=True)
class Subject:
    """One thing that has traffic."""

    kind: str
    namespace: str
    """Empty for a Namespace."""
    name: str

    def reference(self) -> dict[str, str]:
        """As an ObjectReference of Kubernetes."""
        where = {"namespace": self.namespace} if self.namespace else {}
        version = {"apiVersion": _VERSIONS[self.kind]} if self.kind in _VERSIONS else {}
        return {"kind": self.kind, **where, "name": self.name, **version}


def owner(workload: Workload) -> Subject:
    """What runs a pod: its Deployment, Job …, or itself."""
    kind, name = workload.owner
    return Subject(kind or "Pod", workload.namespace, name or workload.name)


def containing(kind: str, workload: Workload) -> Subject | None:
    """The subject of a kind that a pod belongs to."""
    if kind == "Pod":
        return Subject(kind, workload.namespace, workload.name)
    if kind == "Namespace":
        return Subject(kind, "", workload.namespace)
    template = dict(workload.labels).get(_TEMPLATE_HASH)
    if kind == "ReplicaSet" and template and workload.owner[0] == "Deployment":
        return Subject(kind, workload.namespace, f"{workload.owner[1]}-{template}")
    found = owner(workload)
    return found if found.kind == kind else None
