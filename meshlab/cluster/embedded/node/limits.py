"""Which fields of a pod can a node of ordinary processes not honour?

What the pod can't do without is refused. The rest is passed over with one Event that names it, so that a manifest
written for a real node runs here too.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

from meshlab.kube import Object

VOLUMES = ("configMap", "downwardAPI", "emptyDir", "hostPath", "projected", "secret")
_PROJECTED = ("configMap", "downwardAPI", "secret", "serviceAccountToken")
_PROBES = ("startupProbe", "livenessProbe", "readinessProbe")
_INSTEAD = "Use a kind cluster: meshlab up --cluster kind"

_POD_SECURITY = ("fsGroup", "supplementalGroups", "sysctls", "seLinuxOptions")
_SECURITY = ("privileged", "capabilities", "readOnlyRootFilesystem", "seccompProfile", "appArmorProfile", "procMount")
_POD = ("activeDeadlineSeconds", "hostPID", "hostIPC", "shareProcessNamespace", "runtimeClassName", "hostUsers")


def not_enforced(pod: Object) -> list[str]:
    """The fields that a pod sets and that have no effect here, each once, as paths."""
    return list(dict.fromkeys(_fields(pod)))


def refusal(pod: Object) -> tuple[str, str] | None:
    """Why a pod can't run here, as a word and a sentence; None when it can."""
    for volume in pod["spec"].get("volumes") or []:
        kind = next((key for key in volume if key != "name"), "emptyDir")
        parts = [next(iter(source), "") for source in (volume.get("projected") or {}).get("sources") or []]
        unknown = [kind] if kind not in VOLUMES else [f"projected {part}" for part in parts if part not in _PROJECTED]
        if unknown:
            what = f'volume "{volume["name"]}" is of kind {unknown[0]}'
            return "UnsupportedVolume", f"{what}; this node knows {', '.join(VOLUMES)}. {_INSTEAD}"
    for container in _containers(pod):
        if any("grpc" in (container.get(name) or {}) for name in _PROBES):
            what = f'container "{container["name"]}" has a gRPC probe'
            return "UnsupportedProbe", f"{what}; this node knows httpGet, tcpSocket and exec. {_INSTEAD}"
    return None


def _containers(pod: Object) -> list[Mapping[str, Any]]:
    return [*(pod["spec"].get("initContainers") or []), *pod["spec"]["containers"]]


def _fields(pod: Object) -> Iterator[str]:
    spec = pod["spec"]
    yield from (name for name in _POD if spec.get(name))
    yield from _security(spec.get("securityContext") or {}, "securityContext", _POD_SECURITY)
    for container in _containers(pod):
        where = f"containers[{container['name']}]"
        yield from _security(container.get("securityContext") or {}, f"{where}.securityContext", _SECURITY)
        if (container.get("resources") or {}).get("limits"):
            yield f"{where}.resources.limits"
        if container.get("volumeDevices"):
            yield f"{where}.volumeDevices"


def _security(context: Mapping[str, Any], where: str, names: tuple[str, ...]) -> Iterator[str]:
    yield from (f"{where}.{name}" for name in names if context.get(name))
    if context.get("runAsUser", os.getuid()) != os.getuid():
        yield f"{where}.runAsUser"
    if context.get("runAsGroup", os.getgid()) != os.getgid():
        yield f"{where}.runAsGroup"
    if context.get("runAsNonRoot") and os.getuid() == 0:
        yield f"{where}.runAsNonRoot"
