"""IngressBackend: who from outside the mesh may call a Service?"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from meshlab.kube import Object
from meshlab.kube.objects import INGRESS_BACKEND
from meshlab.mesh.identity import Identity
from meshlab.mesh.ingress import IngressRule
from meshlab.mesh.service import ServiceName
from meshlab.policy.addresses import check_range, range_of
from meshlab.policy.base import Facts
from meshlab.policy.objects import Objects, full_name, namespace_of, same
from meshlab.policy.osm.requests import check_requests, requests
from meshlab.policy.report import Report
from meshlab.policy.schema import check_shape

KIND = INGRESS_BACKEND
CRD = "ingress-backend"

_HTTP, _HTTPS = "http", "https"
_SERVICE, _PRINCIPAL, _RANGE = "Service", "AuthenticatedPrincipal", "IPRange"
_ACCOUNT = re.compile(r"(?P<account>[a-z0-9-]+)\.(?P<namespace>[a-z0-9-]+)\.(?P<domain>[a-z0-9.-]+)")
"""How OSM names a service account: ``<account>.<namespace>.<trust domain>``."""


def read(obj: Object, known: Objects) -> Facts:
    """The rules that a sound object states: one for each backend."""
    spec, namespace = obj["spec"], namespace_of(obj)
    sources = spec["sources"]
    rules = [
        IngressRule(
            name=full_name(obj),
            service=ServiceName(namespace, backend["name"]),
            port=backend["port"]["number"],
            services=tuple(
                ServiceName(item["namespace"], item["name"]) for item in sources if item["kind"] == _SERVICE
            ),
            ranges=tuple(filter(None, (range_of(item["name"]) for item in sources if item["kind"] == _RANGE))),
            principals=tuple(
                filter(None, (_spiffe_id(item["name"]) for item in sources if item["kind"] == _PRINCIPAL))
            ),
            tls=_speaks(backend) == _HTTPS,
            asks_client=not _skips(backend),
            sni_hosts=tuple(backend.get("tls", {}).get("sniHosts", ())),
            matches=requests(obj, known),
        )
        for backend in spec["backends"]
    ]
    return Facts(ingress_rules=tuple(rules))


def validate(obj: Object, known: Objects, report: Report) -> None:
    """Each backend once and here alone, sources that somebody can be, and a certificate asked for only by name."""
    if not check_shape(obj, CRD, report):
        return
    spec = obj["spec"]
    for index, source in enumerate(spec["sources"]):
        _check_source(source, f"spec.sources[{index}]", known, report)
    named = {source["kind"] for source in spec["sources"]}
    seen: set[tuple[str, int]] = set()
    for index, backend in enumerate(spec["backends"]):
        field = f"spec.backends[{index}]"
        claim = backend["name"], backend["port"]["number"]
        if claim in seen:
            report.error("ML340", field, f"{claim[0]}, port {claim[1]}, is named before", "name it once")
        seen.add(claim)
        _check_backend(backend, field, named, report)
        _check_claim(obj, backend, field, known, report)
        _check_service(obj, backend, field, known, report)
    check_requests(obj, known, report)


def _speaks(backend: dict[str, Any]) -> str:
    return str(backend["port"]["protocol"]).lower()


def _skips(backend: dict[str, Any]) -> bool:
    return bool(backend.get("tls", {}).get("skipClientCertValidation", False))


def _spiffe_id(principal: str) -> str | None:
    """A principal as certificates of the mesh have it; None when it is neither written so nor as OSM writes it."""
    if Identity.from_spiffe_id(principal):
        return principal
    if found := _ACCOUNT.fullmatch(principal):
        return Identity(found["namespace"], found["account"]).spiffe_id(found["domain"])
    return None


def _claims(obj: Object) -> Iterator[tuple[str, str, int]]:
    """The ports of Services that an object has for itself; nothing when it has no shape."""
    try:
        for backend in obj["spec"]["backends"]:
            yield namespace_of(obj), str(backend["name"]), int(backend["port"]["number"])
    except (KeyError, TypeError, ValueError):
        return


def _check_backend(backend: dict[str, Any], field: str, named: set[str], report: Report) -> None:
    protocol = _speaks(backend)
    if protocol not in {_HTTP, _HTTPS}:
        what = f"{backend['port']['protocol']!r} is nothing that callers from outside speak"
        report.error("ML342", f"{field}.port.protocol", what, "write http or https")
    elif protocol == _HTTPS and not _skips(backend) and _PRINCIPAL not in named:
        what = "a certificate is asked for, but no AuthenticatedPrincipal says whose: nobody could come in"
        report.error("ML343", f"{field}.tls", what, "add such a source, or write skipClientCertValidation: true")
    elif named == {_PRINCIPAL} and (protocol == _HTTP or _skips(backend)):
        what = "only a certificate proves a principal, and none is asked for: only proxies of the mesh can come in"
        report.warning("ML344", f"{field}.port.protocol", what, "write protocol: https, or add a Service or an IPRange")


def _check_claim(obj: Object, backend: dict[str, Any], field: str, known: Objects, report: Report) -> None:
    claim = namespace_of(obj), backend["name"], backend["port"]["number"]
    first = known.claimed(KIND.kind, _claims).get(claim)
    if first is not None and not same(first, obj):
        what = f"IngressBackend {full_name(first)} already speaks of {claim[1]}, port {claim[2]}"
        report.error("ML341", field, what, "edit that one")


def _check_service(obj: Object, backend: dict[str, Any], field: str, known: Objects, report: Report) -> None:
    namespace, name, number = namespace_of(obj), backend["name"], backend["port"]["number"]
    service = known.get("Service", namespace, name)
    if service is None:
        if known.lacks("Service", namespace, name):
            what = f"there is no Service {name!r} in namespace {namespace}"
            report.warning("ML345", f"{field}.name", what, f"kubectl get services -n {namespace}")
        return
    targets = [port.get("targetPort", port["port"]) for port in service.get("spec", {}).get("ports") or ()]
    if all(isinstance(target, int) for target in targets) and number not in targets:
        what = f"Service {name} leads to port {' or '.join(map(str, targets))} of its pods, not to {number}"
        report.warning("ML345", f"{field}.port.number", what, "write the Service's target port")


def _check_source(source: dict[str, Any], field: str, known: Objects, report: Report) -> None:
    kind, name = source["kind"], source["name"]
    if kind == _RANGE:
        check_range(name, f"{field}.name", report)
    elif kind == _PRINCIPAL and _spiffe_id(name) is None:
        what = f"{name!r} is no principal of the mesh"
        cure = "write spiffe://cluster.local/ns/<namespace>/sa/<account>, or <account>.<namespace>.cluster.local"
        report.error("ML346", f"{field}.name", what, cure)
    elif kind == _SERVICE and not source.get("namespace"):
        report.error("ML347", f"{field}.namespace", f"no namespace is given for Service {name}", "add its namespace")
    elif kind == _SERVICE and known.lacks("Service", source["namespace"], name):
        what = f"there is no Service {name!r} in namespace {source['namespace']}"
        report.warning("ML345", f"{field}.name", what, f"kubectl get services -n {source['namespace']}")
