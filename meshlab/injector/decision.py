"""Does this pod get a sidecar? OSM's rules: the namespace says so, and the pod's own setting wins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from meshlab.errors import DataPlaneError
from meshlab.kube import Object, Ref, labels_of

MESH_NAME = "meshlab"
MONITORED_BY = "openservicemesh.io/monitored-by"
INJECTION = "openservicemesh.io/sidecar-injection"
IGNORE = "openservicemesh.io/ignore"
PROXY_UUID = "osm-proxy-uuid"
"""The label of an injected pod, as in OSM."""

GATEWAY = "meshlab.dev/gateway"
"""The label of the mesh's gateway: a pod that is all proxy, in the mesh's own namespace and nowhere else."""
MESH_NAMESPACE = "meshlab-system"

IGNORED_NAMESPACES = frozenset({"kube-system", "kube-public", MESH_NAMESPACE})

_YES = frozenset({"enabled", "yes", "true"})
_NO = frozenset({"disabled", "no", "false"})


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether to inject, and why (or why not), in a sentence."""

    inject: bool
    why: str


def wants_sidecar(pod: Object, namespace: Object) -> Verdict:
    """The verdict for a pod that is about to be created in a namespace.

    Raises DataPlaneError ML350 when an annotation says neither yes nor no.
    """
    name = namespace["metadata"]["name"]
    labels = labels_of(namespace)
    if labels_of(pod).get(GATEWAY) == "true" and name == MESH_NAMESPACE:
        return Verdict(inject=PROXY_UUID not in labels_of(pod), why="the pod is the mesh's gateway")
    if why := _why_none(pod, name, labels):
        return Verdict(inject=False, why=why)
    for obj, whose in ((pod, "the pod's"), (namespace, "the namespace's")):
        wanted = _setting(obj)
        if wanted is not None:
            return Verdict(inject=wanted, why=f"{whose} annotation {INJECTION} says so")
    return Verdict(inject=False, why=f"neither pod nor namespace has the annotation {INJECTION}")


def _why_none(pod: Object, namespace: str, labels: Mapping[str, str]) -> str:
    """Why the pod gets none whatever annotations say; empty when they count. `labels` are its namespace's."""
    if namespace in IGNORED_NAMESPACES or IGNORE in labels:
        return f"namespace {namespace} is none the mesh looks at"
    if labels.get(MONITORED_BY) != MESH_NAME:
        return f"namespace {namespace} has no label {MONITORED_BY}={MESH_NAME}"
    if (pod.get("spec") or {}).get("hostNetwork"):
        return "the pod uses the host's network, whose traffic is not the pod's alone"
    return "the pod has a sidecar already" if PROXY_UUID in labels_of(pod) else ""


def is_gateway(pod: Object) -> bool:
    """Whether a pod that exists is the mesh's gateway."""
    return labels_of(pod).get(GATEWAY) == "true" and pod["metadata"].get("namespace") == MESH_NAMESPACE


def _setting(obj: Object) -> bool | None:
    annotations: Mapping[str, Any] = (obj.get("metadata") or {}).get("annotations") or {}
    value = annotations.get(INJECTION)
    if value is None:
        return None
    word = str(value).lower()
    if word in _YES:
        return True
    if word in _NO:
        return False
    raise DataPlaneError(
        "ML350",
        f"annotation {INJECTION} is {value!r}",
        about=str(Ref.of(obj)),
        hint="write enabled or disabled",
    )
