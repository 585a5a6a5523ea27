"""Kubernetes' own Ingress: what does the mesh's gateway send where? Those of class `meshlab`; others are not ours."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from meshlab.kube import Kind, Object
from meshlab.kube.objects import INGRESS, SERVICE
from meshlab.mesh.finding import Finding
from meshlab.mesh.ingress import GatewayRoute
from meshlab.mesh.service import ServiceName
from meshlab.policy.base import Facts
from meshlab.policy.objects import Objects, full_name, group_of, namespace_of
from meshlab.policy.report import Report
from meshlab.policy.schema import check_body

CLASS = "meshlab"
_OLD_CLASS = "kubernetes.io/ingress.class"
"""The annotation that said so before the field did."""
_EXACT = "Exact"

_TEXT = {"type": "string"}
_PORT = {"type": "object", "properties": {"name": _TEXT, "number": {"type": "integer", "minimum": 1, "maximum": 65535}}}
_SERVICE = {"type": "object", "required": ["name"], "properties": {"name": _TEXT, "port": _PORT}}
_BACKEND = {"type": "object", "properties": {"service": _SERVICE}}
_PATH = {
    "type": "object",
    "required": ["backend"],
    "properties": {"path": _TEXT, "pathType": _TEXT, "backend": _BACKEND},
}
_HTTP = {"type": "object", "properties": {"paths": {"type": "array", "items": _PATH}}}
_RULE = {"type": "object", "properties": {"host": _TEXT, "http": _HTTP}}
_TLS = {"type": "object", "properties": {"secretName": _TEXT}}
_SPEC = {
    "type": "object",
    "properties": {
        "defaultBackend": _BACKEND,
        "rules": {"type": "array", "items": _RULE},
        "tls": {"type": "array", "items": _TLS},
    },
}
_SCHEMA: Object = {"type": "object", "required": ["spec"], "properties": {"spec": _SPEC}}
"""As far as it is looked at: an API server knows the kind itself, but a file that is linted has met none."""


class Ingresses:
    """Ingress as a policy language. It lets nobody in: that is for an IngressBackend or a TrafficTarget to do."""

    kinds: tuple[Kind, ...] = (INGRESS,)
    refers_to: tuple[Kind, ...] = (SERVICE,)

    def crds(self) -> list[Object]:
        """None: every cluster has it."""
        return []

    def read(self, objects: Iterable[Object]) -> Facts:
        """The routes of the gateway. Of two objects that have the same host and path, the older one counts."""
        known = Objects(objects)
        routes: dict[tuple[str, str, bool], GatewayRoute] = {}
        findings: list[Finding] = []
        for obj in known.of(INGRESS.kind):
            if not _is_ours(obj):
                continue
            report = _validate(obj, known)
            findings += report.findings
            for route in () if report.refused else _routes(obj, known):
                routes.setdefault((route.host, route.path, route.exact), route)
        return Facts(gateway_routes=tuple(routes.values()), findings=tuple(findings))

    def validate(self, obj: Object, others: Iterable[Object]) -> list[Finding]:
        """What the gateway can't do of an Ingress, and which Services it will not find."""
        if (obj["kind"], group_of(obj)) != (INGRESS.kind, INGRESS.group) or not _is_ours(obj):
            return []
        return _validate(obj, Objects(others)).findings


def _is_ours(obj: Object) -> bool:
    spec = obj.get("spec")
    named = spec.get("ingressClassName") if isinstance(spec, dict) else None
    return bool((named or (obj["metadata"].get("annotations") or {}).get(_OLD_CLASS)) == CLASS)


def _paths(obj: Object) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Field, host and path of everything an Ingress sends somewhere; its default is the root of every host."""
    spec = obj.get("spec") or {}
    if backend := spec.get("defaultBackend"):
        yield "spec.defaultBackend", "", {"path": "/", "backend": backend}
    for number, rule in enumerate(spec.get("rules") or ()):
        for index, path in enumerate((rule.get("http") or {}).get("paths") or ()):
            field = f"spec.rules[{number}].http.paths[{index}]"
            yield field, (rule.get("host") or "").lower(), path


def _routes(obj: Object, known: Objects) -> Iterator[GatewayRoute]:
    namespace = namespace_of(obj)
    for _, host, path in _paths(obj):
        service = path["backend"].get("service")
        number = _port(service, namespace, known) if service else None
        if number is not None:
            yield GatewayRoute(
                name=full_name(obj),
                host=host,
                path=path.get("path") or "/",
                exact=path.get("pathType") == _EXACT,
                service=ServiceName(namespace, service["name"]),
                port=number,
            )


def _port(service: dict[str, Any], namespace: str, known: Objects) -> int | None:
    """The number of the port that a backend names; None for a name that the Service doesn't have."""
    port = service.get("port") or {}
    if "number" in port:
        return int(port["number"])
    found = known.get(SERVICE.kind, namespace, service["name"]) or {}
    ports = (found.get("spec") or {}).get("ports") or ()
    return next((item["port"] for item in ports if item.get("name") == port.get("name")), None)


def _validate(obj: Object, known: Objects) -> Report:
    report, namespace = Report(obj), namespace_of(obj)
    if not check_body(obj, _SCHEMA, report):
        return report
    for field, _, path in _paths(obj):
        service = path["backend"].get("service")
        if service is None:
            report.warning(
                "ML360", f"{field}.backend", "it leads to no Service", "name a Service; nothing else is served"
            )
            continue
        number = _port(service, namespace, known)
        found = known.get(SERVICE.kind, namespace, service["name"])
        numbers = {port["port"] for port in ((found or {}).get("spec") or {}).get("ports") or ()}
        if known.lacks(SERVICE.kind, namespace, service["name"]) or (found and number not in numbers):
            what = f"Service {service['name']} of namespace {namespace} is not there, or has no such port"
            report.warning("ML361", f"{field}.backend.service", what, f"kubectl get services -n {namespace}")
    for index, tls in enumerate((obj.get("spec") or {}).get("tls") or ()):
        if tls.get("secretName"):
            what = "the gateway shows its own certificate, of the mesh's authority, whose names are the hosts"
            cure = "leave it out; clients trust the mesh's root, or another controller serves this Ingress"
            report.warning("ML362", f"spec.tls[{index}].secretName", what, cure)
    return report
