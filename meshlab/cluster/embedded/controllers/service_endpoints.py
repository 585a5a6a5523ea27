"""Where does a Service lead at this moment? Pure: a Service and its pods in, addresses by ports out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from meshlab.cluster.embedded.controllers.pods import is_finished, is_ready
from meshlab.kube import Object, matches_labels
from meshlab.kube.objects import labels_of

Ports = tuple[tuple[tuple[str, Any], ...], ...]
"""Endpoint ports in a form that can be a key: one tuple of (field, value) pairs per port."""


def has_endpoints(service: Object) -> bool:
    """Whether addresses are for us to find: it selects pods, and isn't an alias of an outside name."""
    spec = service["spec"]
    return bool(spec.get("selector")) and spec.get("type") != "ExternalName"


def is_headless(service: Object) -> bool:
    """Whether clients get the pods' addresses instead of one of the Service."""
    return bool(service["spec"].get("clusterIP") == "None")


def by_ports(service: Object, pods: Iterable[Object]) -> dict[Ports, list[dict[str, Any]]]:
    """Endpoints, grouped by the ports they are reached at: a named target port may differ from pod to pod."""
    groups: dict[Ports, list[dict[str, Any]]] = {}
    for pod in sorted(pods, key=lambda pod: pod["metadata"]["name"]):
        if not matches_labels(service["spec"]["selector"], labels_of(pod)):
            continue
        if is_finished(pod) or not (pod.get("status") or {}).get("podIP"):
            continue
        groups.setdefault(_ports(service, pod), []).append(_endpoint(service, pod))
    return groups


def _endpoint(service: Object, pod: Object) -> dict[str, Any]:
    metadata, spec = pod["metadata"], pod["spec"]
    always = bool(service["spec"].get("publishNotReadyAddresses"))
    serving, terminating = always or is_ready(pod), bool(metadata.get("deletionTimestamp"))
    endpoint: dict[str, Any] = {
        "addresses": [pod["status"]["podIP"]],
        "conditions": {
            "ready": serving and (always or not terminating),
            "serving": serving,
            "terminating": terminating,
        },
        "targetRef": {
            "kind": "Pod",
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "uid": metadata["uid"],
        },
    }
    if spec.get("nodeName"):
        endpoint["nodeName"] = spec["nodeName"]
    if spec.get("hostname") and spec.get("subdomain") == service["metadata"]["name"]:
        endpoint["hostname"] = spec["hostname"]
    return endpoint


def _ports(service: Object, pod: Object) -> Ports:
    ports = []
    for port in service["spec"].get("ports") or []:
        number = _target(port, pod)
        if number is None:
            continue
        fields = {"name": port.get("name", ""), "port": number, "protocol": port.get("protocol", "TCP")}
        if port.get("appProtocol"):
            fields["appProtocol"] = port["appProtocol"]
        ports.append(tuple(sorted(fields.items())))
    return tuple(ports)


def _target(port: Mapping[str, Any], pod: Object) -> int | None:
    target = port.get("targetPort", port["port"])
    if isinstance(target, int):
        return target
    protocol = port.get("protocol", "TCP")
    for container in pod["spec"]["containers"]:
        for named in container.get("ports") or []:
            if named.get("name") == target and named.get("protocol", "TCP") == protocol:
                return int(named["containerPort"])
    return None
