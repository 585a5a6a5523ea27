"""Which fields of a pod can a node of ordinary processes not honour?

They are passed over with one Event that names them, so that a manifest written for a real node runs here too.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

from meshlab.kube import Object

_POD_SECURITY = ("fsGroup", "supplementalGroups", "sysctls", "seLinuxOptions")
_SECURITY = ("privileged", "capabilities", "readOnlyRootFilesystem", "seccompProfile", "appArmorProfile", "procMount")
_POD = ("hostPID", "hostIPC", "shareProcessNamespace", "runtimeClassName", "hostUsers")


def not_enforced(pod: Object) -> list[str]:
    """The fields that a pod sets and that have no effect here, each once, as paths."""
    return list(dict.fromkeys(_fields(pod)))


def _fields(pod: Object) -> Iterator[str]:
    spec = pod["spec"]
    yield from (name for name in _POD if spec.get(name))
    yield from _security(spec.get("securityContext") or {}, "securityContext", _POD_SECURITY)
    for container in [*(spec.get("initContainers") or []), *spec["containers"]]:
        where = f"containers[{container['name']}]"
        yield from _security(container.get("securityContext") or {}, f"{where}.securityContext", _SECURITY)
        if (container.get("resources") or {}).get("limits"):
            yield f"{where}.resources.limits"
        yield from (f"{where}.{name}" for name in ("tty", "stdin", "volumeDevices") if container.get(name))


def _security(context: Mapping[str, Any], where: str, names: tuple[str, ...]) -> Iterator[str]:
    yield from (f"{where}.{name}" for name in names if context.get(name))
    if context.get("runAsUser", os.getuid()) != os.getuid():
        yield f"{where}.runAsUser"
    if context.get("runAsGroup", os.getgid()) != os.getgid():
        yield f"{where}.runAsGroup"
    if context.get("runAsNonRoot") and os.getuid() == 0:
        yield f"{where}.runAsNonRoot"
