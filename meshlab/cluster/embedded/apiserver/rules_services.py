"""Which rules does a Service break?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from meshlab.cluster.embedded.apiserver import status
from meshlab.cluster.embedded.apiserver.rules_cluster import broken_address
from meshlab.cluster.embedded.apiserver.status import Cause
from meshlab.cluster.embedded.apiserver.words import (
    broken_label,
    broken_port,
    broken_port_name,
    broken_qualified_name,
    broken_subdomain,
)

Object = dict[str, Any]

_TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
_PROTOCOLS = ("SCTP", "TCP", "UDP")


def service_rules(storage: str, obj: Object, old: Object | None) -> Iterator[Cause]:
    """What is wrong with a Service."""
    if storage != "services":
        return
    spec = obj.get("spec") or {}
    kind = spec.get("type")
    if not spec.get("ports") and kind != "ExternalName" and spec.get("clusterIP") != "None":
        yield status.required("spec.ports")
    if kind == "ExternalName":
        yield from _external_name(spec.get("externalName") or "")
    yield from _ports(spec.get("ports") or ())
    if kind not in _TYPES:
        yield status.unsupported_value("spec.type", kind, _TYPES)
    if spec.get("sessionAffinity") not in ("ClientIP", "None"):
        yield status.unsupported_value("spec.sessionAffinity", spec.get("sessionAffinity"), ("ClientIP", "None"))
    yield from _addresses(spec, (old or {}).get("spec") or {})
    for key in sorted(spec.get("selector") or ()):
        if problem := broken_qualified_name(key):
            yield status.invalid_value("spec.selector", key, problem)


def _addresses(spec: Object, before: Object) -> Iterator[Cause]:
    for index, text in enumerate(spec.get("clusterIPs") or filter(None, [spec.get("clusterIP")])):
        if text != "None" and (problem := broken_address(text)):
            yield status.invalid_value(f"spec.clusterIPs[{index}]", text, problem)
    address, known = spec.get("clusterIP"), before.get("clusterIP")
    if known and spec.get("type") != "ExternalName" and before.get("type") != "ExternalName" and address != known:
        yield status.invalid_value("spec.clusterIPs[0]", [address], "may not change once set")


def _external_name(name: str) -> Iterator[Cause]:
    if not name:
        yield status.required("spec.externalName")
    elif problem := broken_subdomain(name.removesuffix(".")):
        yield status.invalid_value("spec.externalName", name, problem)


def _ports(ports: Any) -> Iterator[Cause]:
    names: set[str] = set()
    seen: set[tuple[Any, Any]] = set()
    for index, port in enumerate(ports):
        where = f"spec.ports[{index}]"
        name, number = port.get("name") or "", port.get("port")
        if not name and len(ports) > 1:
            yield status.required(f"{where}.name")
        elif name and (problem := broken_label(name)):
            yield status.invalid_value(f"{where}.name", name, problem)
        elif name and name in names:
            yield status.duplicate(f"{where}.name", name)
        names.add(name)
        if problem := broken_port(number):
            yield status.invalid_value(f"{where}.port", number, problem)
        if port.get("protocol") not in _PROTOCOLS:
            yield status.unsupported_value(f"{where}.protocol", port.get("protocol"), _PROTOCOLS)
        yield from _target(port.get("targetPort"), f"{where}.targetPort")
        if (number, port.get("protocol")) in seen:
            yield status.duplicate(where, {"port": number, "protocol": port.get("protocol")})
        seen.add((number, port.get("protocol")))


def _target(target: Any, where: str) -> Iterator[Cause]:
    problem = broken_port_name(target) if isinstance(target, str) else broken_port(target)
    if problem:
        yield status.invalid_value(where, target, problem)
