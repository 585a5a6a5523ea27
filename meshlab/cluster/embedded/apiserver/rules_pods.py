"""Which rules does a pod spec break, alone or in a template?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from meshlab.cluster.embedded.apiserver import quantities, status
from meshlab.cluster.embedded.apiserver.status import Cause
from meshlab.cluster.embedded.apiserver.words import broken_label, broken_port, broken_port_name, broken_subdomain

Object = dict[str, Any]

_IMAGES = ("Always", "IfNotPresent", "Never")
_RESTARTS = ("Always", "OnFailure", "Never")
_DNS = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
_PROTOCOLS = ("SCTP", "TCP", "UDP")
_CONTAINERS = ("containers", "initContainers")
_MAY_CHANGE = ("activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds", "schedulingGates")
_FIXED = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)


def pod_rules(storage: str, obj: Object, old: Object | None) -> Iterator[Cause]:
    """What is wrong with a Pod."""
    if storage != "pods":
        return
    if old is None:
        yield from pod_spec_rules(obj.get("spec") or {}, "spec")
        if (obj.get("spec") or {}).get("ephemeralContainers"):
            yield status.forbidden_field("spec.ephemeralContainers", "cannot be set on create")
    elif any(len(_containers(obj, field)) != len(_containers(old, field)) for field in _CONTAINERS):
        yield status.forbidden_field("spec.containers", "pod updates may not add or remove containers")
    elif _fixed(obj) != _fixed(old):
        yield status.forbidden_field("spec", _FIXED)


def _containers(pod: Object, field: str) -> list[Object]:
    return (pod.get("spec") or {}).get(field) or []


def _fixed(pod: Object) -> Object:
    """What of a pod's spec can't change: all but images and a few numbers."""
    spec = {key: value for key, value in (pod.get("spec") or {}).items() if key not in _MAY_CHANGE}
    for field in _CONTAINERS:
        spec[field] = [{**container, "image": ""} for container in spec.get(field) or ()]
    return spec


def pod_spec_rules(spec: Object, where: str) -> Iterator[Cause]:
    """What is wrong with a pod spec at a path."""
    volumes: set[str] = set()
    for index, volume in enumerate(spec.get("volumes") or ()):
        yield from _volume(volume, f"{where}.volumes[{index}]", volumes)
    if not spec.get("containers"):
        yield status.required(f"{where}.containers")
    names: set[str] = set()
    for field in ("containers", "initContainers"):
        for index, container in enumerate(spec.get(field) or ()):
            yield from _container(container, f"{where}.{field}[{index}]", names, volumes)
    for field, allowed in (("restartPolicy", _RESTARTS), ("dnsPolicy", _DNS)):
        if spec and spec.get(field) not in allowed:
            yield status.unsupported_value(f"{where}.{field}", spec.get(field), allowed)
    if spec.get("hostname") and (problem := broken_label(spec["hostname"])):
        yield status.invalid_value(f"{where}.hostname", spec["hostname"], problem)
    if spec.get("serviceAccountName") and (problem := broken_subdomain(spec["serviceAccountName"])):
        yield status.invalid_value(f"{where}.serviceAccountName", spec["serviceAccountName"], problem)


def _name_of_its_own(named: Object, where: str, names: set[str]) -> Iterator[Cause]:
    """A label that none of `names` is yet; it is one of them afterwards."""
    name = named.get("name") or ""
    if not name:
        yield status.required(f"{where}.name")
    elif problem := broken_label(name):
        yield status.invalid_value(f"{where}.name", name, problem)
    elif name in names:
        yield status.duplicate(f"{where}.name", name)
    names.add(name)


def _volume(volume: Object, where: str, names: set[str]) -> Iterator[Cause]:
    yield from _name_of_its_own(volume, where, names)
    sources = [key for key in volume if key != "name"]
    for extra in sources[1:]:
        yield status.forbidden_field(f"{where}.{extra}", "may not specify more than 1 volume type")
    needed = {"secret": "secretName", "configMap": "name", "persistentVolumeClaim": "claimName", "hostPath": "path"}
    kind = sources[0] if sources else ""
    if kind in needed and not (volume[kind] or {}).get(needed[kind]):
        yield status.required(f"{where}.{kind}.{needed[kind]}")


def _container(container: Object, where: str, names: set[str], volumes: set[str]) -> Iterator[Cause]:
    yield from _name_of_its_own(container, where, names)
    image = container.get("image") or ""
    if not image:
        yield status.required(f"{where}.image")
    elif image != image.strip():
        yield status.invalid_value(f"{where}.image", image, "must not have leading or trailing whitespace")
    yield from _ports(container.get("ports") or (), where)
    yield from _environment(container.get("env") or (), where)
    yield from _mounts(container.get("volumeMounts") or (), where, volumes)
    yield from _resources(container.get("resources") or {}, f"{where}.resources")
    for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
        if container.get(probe) is not None:
            yield from _probe(container[probe], f"{where}.{probe}")
    if container.get("imagePullPolicy") not in _IMAGES:
        yield status.unsupported_value(f"{where}.imagePullPolicy", container.get("imagePullPolicy"), _IMAGES)


def _resources(resources: Object, where: str) -> Iterator[Cause]:
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    for field, amounts in (("limits", limits), ("requests", requests)):
        for name, text in amounts.items():
            if (quantities.amount(text) or 0) < 0:
                rule = "must be greater than or equal to 0"
                yield status.invalid_value(f"{where}.{field}[{name}]", text, rule)
    for name, text in requests.items():
        limit = quantities.amount(limits.get(name, text))
        if (quantities.amount(text) or 0) > (limit or 0):
            rule = f"must be less than or equal to {name} limit of {limits[name]}"
            yield status.invalid_value(f"{where}.requests", text, rule)


def _ports(ports: Any, where: str) -> Iterator[Cause]:
    names: set[str] = set()
    for index, port in enumerate(ports):
        here = f"{where}.ports[{index}]"
        name, number = port.get("name"), port.get("containerPort")
        if name and (problem := broken_port_name(name)):
            yield status.invalid_value(f"{here}.name", name, problem)
        elif name and name in names:
            yield status.duplicate(f"{here}.name", name)
        names.add(name)
        if not number:
            yield status.required(f"{here}.containerPort")
        elif problem := broken_port(number):
            yield status.invalid_value(f"{here}.containerPort", number, problem)
        if port.get("protocol") not in _PROTOCOLS:
            yield status.unsupported_value(f"{here}.protocol", port.get("protocol"), _PROTOCOLS)


def _environment(variables: Any, where: str) -> Iterator[Cause]:
    for index, variable in enumerate(variables):
        here = f"{where}.env[{index}]"
        name = variable.get("name") or ""
        if not name:
            yield status.required(f"{here}.name")
        elif "=" in name or not name.isascii() or not name.isprintable():
            detail = "a valid environment variable name must consist only of printable ASCII characters other than '='"
            yield status.invalid_value(f"{here}.name", name, detail)
        if not variable.get("valueFrom"):
            continue
        sources = [key for key, value in variable["valueFrom"].items() if value]
        if variable.get("value"):
            yield status.invalid_value(f"{here}.valueFrom", "", "may not be specified when `value` is not empty")
        if len(sources) != 1:
            count = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`"
            many = "may not have more than one field specified at a time"
            yield status.invalid_value(f"{here}.valueFrom", "", many if sources else count)


def _mounts(mounts: Any, where: str, volumes: set[str]) -> Iterator[Cause]:
    paths: set[str] = set()
    for index, mount in enumerate(mounts):
        here = f"{where}.volumeMounts[{index}]"
        name, path = mount.get("name") or "", mount.get("mountPath") or ""
        if not name:
            yield status.required(f"{here}.name")
        elif name not in volumes:
            yield status.not_found_value(f"{here}.name", name)
        if not path:
            yield status.required(f"{here}.mountPath")
        elif path in paths:
            yield status.invalid_value(f"{here}.mountPath", path, "must be unique")
        paths.add(path)


def _probe(probe: Object, where: str) -> Iterator[Cause]:
    handlers = [key for key in ("exec", "httpGet", "tcpSocket", "grpc") if probe.get(key) is not None]
    if not handlers:
        yield status.required(where, "must specify a handler type")
    for extra in handlers[1:]:
        yield status.forbidden_field(f"{where}.{extra}", "may not specify more than 1 handler type")
    if probe.get("exec") is not None and not probe["exec"].get("command"):
        yield status.required(f"{where}.exec.command")
    for handler in ("httpGet", "tcpSocket"):
        port = (probe.get(handler) or {}).get("port", 0)
        if handler in handlers and (problem := broken_port_name(port) if isinstance(port, str) else broken_port(port)):
            yield status.invalid_value(f"{where}.{handler}.port", port, problem)
    for key in ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"):
        if (probe.get(key) or 0) < 0:
            yield status.invalid_value(f"{where}.{key}", probe[key], "must be greater than or equal to 0")
