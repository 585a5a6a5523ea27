"""What does the downward API say: fields of the pod, and resources of a container?"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from typing import Any

import psutil

from meshlab.cluster.embedded.node import quantity
from meshlab.kube import Object

_SUBSCRIPT = re.compile(r"metadata\.(labels|annotations)\['([^']+)'\]")


def pod_field(pod: Object, path: str) -> str:
    """A field a pod may read of itself. Raises KeyError for a path the downward API doesn't offer."""
    metadata, spec, status = pod["metadata"], pod["spec"], pod.get("status") or {}
    if subscript := _SUBSCRIPT.fullmatch(path):
        return str((metadata.get(subscript[1]) or {}).get(subscript[2], ""))
    addresses = [entry["ip"] for entry in status.get("podIPs") or []]
    fields: dict[str, Any] = {
        "metadata.name": metadata["name"],
        "metadata.namespace": metadata["namespace"],
        "metadata.uid": metadata["uid"],
        "metadata.labels": _lines(metadata.get("labels") or {}),
        "metadata.annotations": _lines(metadata.get("annotations") or {}),
        "spec.nodeName": spec.get("nodeName", ""),
        "spec.serviceAccountName": spec.get("serviceAccountName", "default"),
        "status.hostIP": status.get("hostIP", ""),
        "status.hostIPs": status.get("hostIP", ""),
        "status.podIP": status.get("podIP", ""),
        "status.podIPs": ",".join(addresses),
    }
    return str(fields[path])


def resource_field(pod: Object, reference: Mapping[str, Any], container: str) -> str:
    """A request or limit of a container as a whole number; without a limit, what the machine has."""
    name = reference.get("containerName") or container
    everyone = [*(pod["spec"].get("initContainers") or []), *pod["spec"]["containers"]]
    spec = next(found for found in everyone if found["name"] == name)
    which, _, resource = reference["resource"].partition(".")
    resources = spec.get("resources") or {}
    limit = (resources.get("limits") or {}).get(resource)
    value = (resources.get(which) or {}).get(resource) or (limit if which == "requests" else None)
    if value is None:
        value = _machine(resource) if which == "limits" else "0"
    return str(quantity.in_units(value, reference.get("divisor") or "1"))


def _machine(resource: str) -> str:
    if resource == "cpu":
        return str(os.cpu_count() or 1)
    return str(psutil.virtual_memory().total) if resource == "memory" else "0"


def _lines(values: Mapping[str, str]) -> str:
    return "\n".join(f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in sorted(values.items()))
