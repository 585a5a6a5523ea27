"""TrafficSplit: among which Services are the calls to one Service shared?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from meshlab.kube import Object
from meshlab.mesh.rules import Backend, HttpMatch, Split
from meshlab.mesh.service import ServiceName
from meshlab.policy.objects import Objects, full_name, namespace_of
from meshlab.policy.report import Report
from meshlab.policy.schema import check_shape
from meshlab.policy.smi.routes import Routes

_MOST_WEIGHT = 2**32 - 1
"""What a proxy can add up to."""
_PATTERN_SIGNS = frozenset("\\.+*?()|[]{}^$")


def read(obj: Object, routes: Routes) -> Split:
    """The split that a sound object describes. Several groups in `matches` are merged (SMI S12)."""
    namespace, spec = namespace_of(obj), obj["spec"]
    return Split(
        name=full_name(obj),
        root=_service(spec["service"], namespace),
        backends=tuple(_backends(spec["backends"], namespace)),
        matches=_matches(obj, routes) if spec.get("matches") else None,
    )


def validate(obj: Object, known: Objects, routes: Routes, others: Iterable[Split], report: Report) -> None:
    """Weights add up, every Service is of this namespace, and no split of `others` claims the same calls."""
    spec = obj.get("spec")
    if obj["apiVersion"].endswith("/v1alpha2") and isinstance(spec, dict) and "matches" in spec:
        what = "v1alpha2 has no matches: every call would be split"
        report.error("ML258", "spec.matches", what, "write apiVersion: split.smi-spec.io/v1alpha4")
        return
    if not check_shape(obj, "traffic-split", report):
        return
    _check_names(obj, report)
    _check_weights(obj, report)
    _check_routes(obj, routes, report)
    if report.refused:
        return
    split = read(obj, routes)
    _check_services(obj, split.root, known, report)
    if rival := next((other for other in others if _same_calls(split, other)), None):
        what = f"TrafficSplit {rival.name} already splits {split.root}"
        report.error("ML252", "spec.service", what, "edit that one, or give each split matches that exclude the other")


def _service(name: str, namespace: str) -> ServiceName:
    return ServiceName(namespace, name.partition(".")[0])


def _backends(items: Iterable[dict[str, Any]], namespace: str) -> Iterator[Backend]:
    """Each Service once, with all the weight it is given."""
    weights: dict[ServiceName, int] = {}
    for item in items:
        service = _service(item["service"], namespace)
        weights[service] = weights.get(service, 0) + item["weight"]
    return (Backend(service, weight) for service, weight in weights.items())


def _matches(obj: Object, routes: Routes) -> tuple[HttpMatch, ...]:
    groups = (routes.http(namespace_of(obj), ref["name"]) for ref in obj["spec"]["matches"])
    return tuple(match for group in groups if group for match in group.values())


def _check_names(obj: Object, report: Report) -> None:
    """The root and the backends are named bare, as name.namespace, or in full, and are of this namespace."""
    spec, namespace = obj["spec"], namespace_of(obj)
    fields = {"spec.service": spec["service"]}
    fields |= {f"spec.backends[{index}].service": item["service"] for index, item in enumerate(spec["backends"])}
    for field, name in fields.items():
        service = _service(name, namespace)
        if not service.name or name.removesuffix(".") not in {service.name, *service.hosts()}:
            what = f"{name!r} is no Service of namespace {namespace}"
            cure = f"a split stays within one namespace: write {service.name or 'the name of a Service'}"
            report.error("ML257", field, what, cure)
    root = _service(spec["service"], namespace)
    seen: set[ServiceName] = set()
    for index, item in enumerate(spec["backends"]):
        field, backend = f"spec.backends[{index}].service", _service(item["service"], namespace)
        if backend == root:
            cure = "make a Service for each version, and name those"
            report.error("ML253", field, f"{root.name} is the root itself", cure)
        elif backend in seen:
            report.warning("ML259", field, f"{backend.name} is named twice; its weights add up", "name it once")
        seen.add(backend)


def _check_weights(obj: Object, report: Report) -> None:
    weights = [backend["weight"] for backend in obj["spec"]["backends"]]
    for index, weight in enumerate(weights):
        if weight < 0:
            field = f"spec.backends[{index}].weight"
            report.error("ML250", field, f"{weight} is less than nothing", "write 0 to send nothing there")
    if sum(weights) > _MOST_WEIGHT:
        what = f"the weights add up to {sum(weights)}, more than {_MOST_WEIGHT}"
        report.error("ML250", "spec.backends", what, "only their proportion counts: write smaller ones")
    if not any(weight > 0 for weight in weights):
        what = "all weights are zero, so no call could go anywhere" if weights else "there is no backend"
        report.error("ML251", "spec.backends", what, "give at least one backend a weight above 0")


def _check_routes(obj: Object, routes: Routes, report: Report) -> None:
    namespace = namespace_of(obj)
    for index, ref in enumerate(obj["spec"].get("matches", ())):
        if not routes.exists("HTTPRouteGroup", namespace, ref["name"]):
            what = f"there is no HTTPRouteGroup {ref['name']!r} in namespace {namespace}; it selects no request"
            report.warning("ML226", f"spec.matches[{index}].name", what, f"kubectl get httproutegroups -n {namespace}")


def _check_services(obj: Object, root: ServiceName, known: Objects, report: Report) -> None:
    cure = f"kubectl get services -n {root.namespace}"
    if known.lacks("Service", root.namespace, root.name):
        report.warning("ML254", "spec.service", f"there is no Service {root.name!r}, so there is nothing to call", cure)
    ports = _ports(known, root)
    for index, item in enumerate(obj["spec"]["backends"]):
        field, backend = f"spec.backends[{index}].service", _service(item["service"], root.namespace)
        if known.lacks("Service", root.namespace, backend.name):
            what = f"there is no Service {backend.name!r}; it gets nothing until there is"
            report.warning("ML255", field, what, cure)
        elif missing := ports - _ports(known, backend):
            lacking = ", ".join(map(str, sorted(missing)))
            what = f"{backend.name} lacks port {lacking} of {root.name}, and gets no call to it"
            report.warning("ML256", field, what, f"add the port to Service {backend.name}")


def _ports(known: Objects, service: ServiceName) -> set[int]:
    """The ports that a mesh carries: those of TCP."""
    obj = known.get("Service", service.namespace, service.name)
    ports = (obj or {}).get("spec", {}).get("ports") or ()
    return {port["port"] for port in ports if port.get("protocol", "TCP") == "TCP"}


def _same_calls(one: Split, other: Split) -> bool:
    """Whether some call to the same root could fall to either."""
    if one.root != other.root or one.name == other.name:
        return False
    if one.matches is None or other.matches is None:
        return True
    return any(not _exclusive(mine, theirs) for mine in one.matches for theirs in other.matches)


def _exclusive(one: HttpMatch, other: HttpMatch) -> bool:
    """Whether no request can satisfy both, as far as methods and literal texts tell."""
    if one.methods and other.methods and not one.methods & other.methods:
        return True
    if _differ(one.path_regex, other.path_regex):
        return True
    theirs = dict(other.headers)
    return any(_differ(value, theirs.get(name)) for name, value in one.headers)


def _differ(one: str | None, other: str | None) -> bool:
    return one is not None and other is not None and one != other and _literal(one) and _literal(other)


def _literal(pattern: str) -> bool:
    return _PATTERN_SIGNS.isdisjoint(pattern)
