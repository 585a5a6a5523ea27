"""Which values does a pod spec get for what a client left out?"""

from __future__ import annotations

from typing import Any

Object = dict[str, Any]

CONTAINER_LISTS = ("initContainers", "containers", "ephemeralContainers")
_READ_ONLY_BITS = 0o644


def default_pod_spec(spec: Object) -> None:
    """Fill in a pod spec, alone or in a template."""
    for field in CONTAINER_LISTS:
        for container in spec.get(field) or ():
            _container(container)
    for key, value in (
        ("restartPolicy", "Always"),
        ("terminationGracePeriodSeconds", 30),
        ("dnsPolicy", "ClusterFirst"),
        ("securityContext", {}),
        ("schedulerName", "default-scheduler"),
    ):
        fill(spec, key, value)
    if spec.get("serviceAccountName") and not spec.get("serviceAccount"):
        spec["serviceAccount"] = spec["serviceAccountName"]
    elif spec.get("serviceAccount") and not spec.get("serviceAccountName"):
        spec["serviceAccountName"] = spec["serviceAccount"]
    for volume in spec.get("volumes") or ():
        _volume(volume)
    if spec.get("hostNetwork"):
        _expose_on_host(spec)


def _expose_on_host(spec: Object) -> None:
    for container in spec.get("containers") or ():
        for port in container.get("ports") or ():
            fill(port, "hostPort", port.get("containerPort"))


def default_requests(spec: Object) -> None:
    """A pod (not a template) requests what it is limited to, unless it says otherwise."""
    for field in CONTAINER_LISTS:
        for container in spec.get(field) or ():
            limits = (container.get("resources") or {}).get("limits")
            if limits:
                container["resources"]["requests"] = {**limits, **(container["resources"].get("requests") or {})}


def fill(obj: Object, key: str, value: Any) -> None:
    """Set a field that is absent, null or empty text."""
    if obj.get(key) in (None, ""):
        obj[key] = value


def _container(container: Object) -> None:
    for port in container.get("ports") or ():
        fill(port, "protocol", "TCP")
    for variable in container.get("env") or ():
        reference = (variable.get("valueFrom") or {}).get("fieldRef")
        if reference:
            fill(reference, "apiVersion", "v1")
        resource = (variable.get("valueFrom") or {}).get("resourceFieldRef")
        if resource:
            fill(resource, "divisor", "0")
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        if container.get(name):
            _probe(container[name])
    for hook in (container.get("lifecycle") or {}).values():
        _handler(hook if isinstance(hook, dict) else {})
    fill(container, "resources", {})
    fill(container, "terminationMessagePath", "/dev/termination-log")
    fill(container, "terminationMessagePolicy", "File")
    fill(container, "imagePullPolicy", _pull_policy(container.get("image") or ""))


def _pull_policy(image: str) -> str:
    name = image.rpartition("/")[2]
    if "@" in name:
        return "IfNotPresent"
    tag = name.partition(":")[2]
    return "Always" if tag in ("", "latest") else "IfNotPresent"


def _probe(probe: Object) -> None:
    _handler(probe)
    for key, value in (("timeoutSeconds", 1), ("periodSeconds", 10), ("successThreshold", 1), ("failureThreshold", 3)):
        if not probe.get(key):
            probe[key] = value


def _handler(handler: Object) -> None:
    if handler.get("httpGet"):
        fill(handler["httpGet"], "path", "/")
        fill(handler["httpGet"], "scheme", "HTTP")
    if handler.get("grpc"):
        handler["grpc"].setdefault("service", "")


def _volume(volume: Object) -> None:
    if not set(volume) - {"name"}:
        volume["emptyDir"] = {}
    for kind in ("secret", "configMap", "downwardAPI", "projected"):
        source = volume.get(kind)
        if source is not None:
            fill(source, "defaultMode", _READ_ONLY_BITS)
            _references(source.get("items") or ())
            for part in source.get("sources") or ():
                _references((part.get("downwardAPI") or {}).get("items") or ())
                if part.get("serviceAccountToken"):
                    fill(part["serviceAccountToken"], "expirationSeconds", 3600)
    if volume.get("hostPath"):
        volume["hostPath"].setdefault("type", "")


def _references(items: Any) -> None:
    for item in items:
        if item.get("fieldRef"):
            fill(item["fieldRef"], "apiVersion", "v1")
