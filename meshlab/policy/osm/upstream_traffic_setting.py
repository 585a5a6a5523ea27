"""UpstreamTrafficSetting: how much may a Service be asked?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from meshlab.kube import Object
from meshlab.kube.objects import UPSTREAM_TRAFFIC_SETTING
from meshlab.mesh import pattern
from meshlab.mesh.service import ServiceName
from meshlab.mesh.upstream_setting import Limits, Rate, Rates, RequestRate, UpstreamSetting
from meshlab.policy.base import Facts
from meshlab.policy.http import HEADER_NAME, RE2_SYNTAX
from meshlab.policy.objects import Objects, full_name, namespace_of, same
from meshlab.policy.osm.duration import check_duration, duration
from meshlab.policy.report import Report
from meshlab.policy.schema import check_shape

KIND = UPSTREAM_TRAFFIC_SETTING
CRD = "upstream-traffic-setting"

_SECONDS = {"second": 1, "minute": 60, "hour": 3600}
ANSWERS = frozenset({*range(400, 418), *range(421, 425), 426, 428, 429, 431, *range(500, 509), 510, 511})
"""The statuses that a proxy may answer with of its own."""


def read(obj: Object, known: Objects) -> Facts:
    """The setting of a host."""
    del known
    spec, host = obj["spec"], host_of(obj)
    setting = UpstreamSetting(
        name=full_name(obj),
        host=host,
        service=_service(obj),
        limits=_limits(spec.get("connectionSettings", {})),
        rates=_rates(obj),
    )
    return Facts(upstream_settings=(setting,))


def validate(obj: Object, known: Objects, report: Report) -> None:
    """The host is a Service of this namespace that no other setting speaks of, and every value means something."""
    if not check_shape(obj, CRD, report):
        return
    _check_host(obj, known, report)
    tcp = obj["spec"].get("connectionSettings", {}).get("tcp", {})
    check_duration(tcp, "connectTimeout", "spec.connectionSettings.tcp", report)
    for field, rate in _request_rates(obj["spec"]):
        _check_answer(rate, field, report)
    for index, route in enumerate(obj["spec"].get("httpRoutes", ())):
        if reason := pattern.problem(route["path"]):
            what = f"{route['path']!r} is no pattern that proxies understand: {reason}"
            report.error("ML232", f"spec.httpRoutes[{index}].path", what, RE2_SYNTAX)


def host_of(obj: Object) -> str:
    """The host a setting speaks of: a Service of its namespace by its full name, or any other host as it is written."""
    service = _service(obj)
    return service.fqdn if service else str(obj["spec"]["host"]).removesuffix(".").lower()


def _service(obj: Object) -> ServiceName | None:
    host = str(obj["spec"]["host"]).removesuffix(".").lower()
    service = ServiceName(namespace_of(obj), host.partition(".")[0])
    return service if host in {service.name, *service.hosts()} else None


def _claims(obj: Object) -> list[tuple[str, str]]:
    """The host, within its namespace."""
    spec = obj.get("spec")
    sound = isinstance(spec, dict) and isinstance(spec.get("host"), str)
    return [(namespace_of(obj), host_of(obj))] if sound else []


def _check_host(obj: Object, known: Objects, report: Report) -> None:
    host, home, service = host_of(obj), namespace_of(obj), _service(obj)
    first = known.claimed(KIND.kind, _claims).get((home, host))
    if first is not None and not same(first, obj):
        what = f"UpstreamTrafficSetting {full_name(first)} already speaks of {host}"
        report.error("ML310", "spec.host", what, "edit that one")
    if service is None:
        _check_elsewhere(obj, host, known, report)
    elif known.lacks("Service", home, service.name):
        what = f"there is no Service {service.name!r} in namespace {home}"
        report.warning("ML312", "spec.host", what, f"kubectl get services -n {home}")


def _check_elsewhere(obj: Object, host: str, known: Objects, report: Report) -> None:
    """A Service is set by those who own its namespace; other hosts are reached by an Egress alone."""
    name, _, rest = host.partition(".")
    namespace = rest.partition(".")[0]
    home = namespace_of(obj)
    service = ServiceName(namespace, name)
    if host == service.fqdn or (known.get("Service", namespace, name) and host in service.hosts()):
        what = f"{name} is a Service of namespace {namespace}, not of {home}"
        report.error("ML311", "spec.host", what, f"move the UpstreamTrafficSetting to namespace {namespace}")
    elif obj["metadata"].get("name") not in _named_by_egress(known, home):
        what = f"{host!r} is no Service of namespace {home}, and no Egress there names this object"
        report.warning("ML312", "spec.host", what, "write the name of a Service, or name this object in an Egress")


def _named_by_egress(known: Objects, namespace: str) -> set[str]:
    """The settings that the Egresses of a namespace name, those that are of Egress's shape."""
    matches = (
        match
        for egress in known.of("Egress")
        if namespace_of(egress) == namespace and check_shape(egress, "egress", Report(egress))
        for match in egress["spec"].get("matches", ())
    )
    return {match["name"] for match in matches if match["kind"] == KIND.kind}


def _check_answer(rate: dict[str, Any], field: str, report: Report) -> None:
    if (status := rate.get("responseStatusCode", 429)) not in ANSWERS:
        what = f"{status} is no status that proxies know"
        report.error("ML314", f"{field}.responseStatusCode", what, "429 is usual, or 503")
    for index, header in enumerate(rate.get("responseHeadersToAdd", ())):
        if not HEADER_NAME.fullmatch(header["name"]):
            what = f"{header['name']!r} can't be the name of a header"
            report.error("ML236", f"{field}.responseHeadersToAdd[{index}].name", what, "use letters, digits and -")
        elif not header["value"].isprintable():
            what = f"{header['value']!r} can't be the value of a header"
            report.error("ML236", f"{field}.responseHeadersToAdd[{index}].value", what, "write it in one line")


def _request_rates(spec: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every rate of requests, by its field."""
    if rate := spec.get("rateLimit", {}).get("local", {}).get("http"):
        yield "spec.rateLimit.local.http", rate
    for index, route in enumerate(spec.get("httpRoutes", ())):
        if rate := route.get("rateLimit", {}).get("local"):
            yield f"spec.httpRoutes[{index}].rateLimit.local", rate


def _limits(settings: dict[str, Any]) -> Limits | None:
    tcp, http = settings.get("tcp", {}), settings.get("http", {})
    limits = Limits(
        connections=tcp.get("maxConnections"),
        pending_requests=http.get("maxPendingRequests"),
        requests=http.get("maxRequests"),
        retries=http.get("maxRetries"),
        requests_per_connection=http.get("maxRequestsPerConnection"),
        connect_timeout=duration(tcp.get("connectTimeout", "")),
    )
    return None if limits == Limits() else limits


def _rates(obj: Object) -> Rates | None:
    spec = obj["spec"]
    local = spec.get("rateLimit", {}).get("local", {})
    rates = Rates(
        name=full_name(obj),
        connections=_rate(local["tcp"], "connections") if "tcp" in local else None,
        requests=_request_rate(local["http"]) if "http" in local else None,
        routes=tuple(
            (route["path"], _request_rate(rate))
            for route in spec.get("httpRoutes", ())
            if (rate := route.get("rateLimit", {}).get("local"))
        ),
    )
    return None if rates == Rates(rates.name) else rates


def _request_rate(rate: dict[str, Any]) -> RequestRate:
    headers = tuple((header["name"], header["value"]) for header in rate.get("responseHeadersToAdd", ()))
    return RequestRate(_rate(rate, "requests"), rate.get("responseStatusCode", 429), headers)


def _rate(rate: dict[str, Any], what: str) -> Rate:
    return Rate(rate[what], _SECONDS[rate["unit"]], rate.get("burst", 0))
