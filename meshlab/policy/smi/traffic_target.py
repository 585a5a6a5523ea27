"""TrafficTarget: who may call whom, and with which requests?"""

from __future__ import annotations

from typing import Any

from meshlab.kube import Object
from meshlab.mesh.identity import Identity
from meshlab.mesh.rules import HttpMatch, HttpRule, Permission, TcpRule
from meshlab.policy.objects import Objects, full_name, namespace_of
from meshlab.policy.report import Report
from meshlab.policy.schema import check_shape
from meshlab.policy.smi.routes import Routes


def read(obj: Object, routes: Routes) -> Permission:
    """The permission a sound target gives. Its rules name routes of its own namespace."""
    namespace, spec = namespace_of(obj), obj["spec"]
    rules = spec["rules"]
    return Permission(
        name=full_name(obj),
        destination=_identity(spec["destination"], namespace),
        sources=frozenset(_identity(source, namespace) for source in spec["sources"]),
        http_rules=tuple(_http_rule(rule, namespace, routes) for rule in rules if rule["kind"] == "HTTPRouteGroup"),
        tcp_rules=tuple(_tcp_rule(rule, namespace, routes) for rule in rules if rule["kind"] == "TCPRoute"),
        udp_only=all(rule["kind"] == "UDPRoute" for rule in rules),
    )


def validate(obj: Object, known: Objects, routes: Routes, report: Report) -> None:
    """All three parts are there (SMI A6), the destination is at home, and what is named exists."""
    if not check_shape(obj, "traffic-target", report):
        return
    spec = obj["spec"]
    if not spec["sources"]:
        report.error("ML220", "spec.sources", "nobody is named, so nobody gets in", "add at least one source")
    if not spec["rules"]:
        cure = "add a rule; an HTTPRouteGroup with one match without conditions admits every request"
        report.error("ML221", "spec.rules", "no rule says what is allowed, so nothing is", cure)
    home = namespace_of(obj)
    if spec["destination"].get("namespace", home) != home:
        where = spec["destination"]["namespace"]
        what = f"the destination is in {where}, but the TrafficTarget in {home}"
        report.error("ML222", "spec.destination.namespace", what, f"move the TrafficTarget to namespace {where}")
    _check_identity(spec["destination"], "spec.destination", home, known, report)
    for index, source in enumerate(spec["sources"]):
        _check_identity(source, f"spec.sources[{index}]", home, known, report)
    for index, rule in enumerate(spec["rules"]):
        _check_rule(rule, f"spec.rules[{index}]", home, routes, report)


def _identity(subject: dict[str, Any], namespace: str) -> Identity:
    return Identity(subject.get("namespace") or namespace, subject["name"])


def _http_rule(rule: dict[str, Any], namespace: str, routes: Routes) -> HttpRule:
    route = f"{namespace}/{rule['name']}"
    group = routes.http(namespace, rule["name"])
    if group is None:
        return HttpRule(route, (), dangling=True)
    names = rule.get("matches") or list(group)
    matches: tuple[HttpMatch, ...] = tuple(group[name] for name in names if name in group)
    return HttpRule(route, matches, dangling=len(matches) < len(names))


def _tcp_rule(rule: dict[str, Any], namespace: str, routes: Routes) -> TcpRule:
    route = f"{namespace}/{rule['name']}"
    ports = routes.tcp(namespace, rule["name"])
    return TcpRule(route, dangling=True) if ports is None else TcpRule(route, ports)


def _check_identity(subject: dict[str, Any], field: str, home: str, known: Objects, report: Report) -> None:
    if subject["kind"] != "ServiceAccount":
        what = f"{subject['kind']!r} is no kind of identity"
        report.error("ML223", f"{field}.kind", what, "write ServiceAccount: the account the pods run as")
        return
    namespace = subject.get("namespace") or home
    if not subject.get("namespace"):
        what = f"no namespace is given; {home} is taken"
        report.warning("ML224", f"{field}.namespace", what, f"write namespace: {home}")
    if known.lacks("ServiceAccount", namespace, subject["name"]):
        what = f"there is no ServiceAccount {subject['name']!r} in namespace {namespace}"
        report.warning("ML225", f"{field}.name", what, f"kubectl get serviceaccounts -n {namespace}")


def _check_rule(rule: dict[str, Any], field: str, home: str, routes: Routes, report: Report) -> None:
    kind, name = rule["kind"], rule["name"]
    if not routes.exists(kind, home, name):
        what = f"there is no {kind} {name!r} in namespace {home}; until there is, the rule admits nothing"
        report.warning("ML226", f"{field}.name", what, f"kubectl get {kind.lower()}s -n {home}")
    elif kind == "HTTPRouteGroup":
        group = routes.http(home, name) or {}
        for index, match in enumerate(rule.get("matches", ())):
            if match not in group:
                what = f"{name} has no match {match!r}; the rule admits nothing by it"
                report.warning("ML227", f"{field}.matches[{index}]", what, f"it has: {', '.join(group) or 'none'}")
    elif rule.get("matches"):
        report.warning("ML228", f"{field}.matches", f"a {kind} has no named matches", "remove matches")
    if kind == "UDPRoute":
        what = "UDP is not intercepted: it flows whether allowed or not"
        report.warning("ML241", f"{field}.kind", what, "guard it with a NetworkPolicy")
