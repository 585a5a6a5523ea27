"""MeshConfig: what has been set for the whole mesh?"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from ipaddress import IPv4Network
from typing import Any

from meshlab.kube import Object
from meshlab.kube.objects import MESH_CONFIG
from meshlab.mesh.settings import Exclusions, Settings
from meshlab.policy.base import Facts
from meshlab.policy.objects import Objects, namespace_of
from meshlab.policy.osm import mesh_config_proxies
from meshlab.policy.osm.duration import duration
from meshlab.policy.report import Report
from meshlab.policy.schema import check_shape

KIND = MESH_CONFIG
CRD = "mesh-config"

NAMESPACE = "meshlab-system"
NAME = "meshlab-mesh-config"

_QUANTITY = re.compile(r"\d+(\.\d+)?(m|[kMGTPE]i?)?")
_RANGE = "write it as in 10.0.0.0/8"
_SHORTEST_CERTIFICATE = timedelta(minutes=1)
_ACTED_ON = frozenset(
    {
        "traffic.enablePermissiveTrafficPolicyMode",
        "traffic.enableEgress",
        "traffic.inboundPortExclusionList",
        "traffic.networkInterfaceExclusionList",
        "traffic.outboundIPRangeExclusionList",
        "traffic.outboundIPRangeInclusionList",
        "traffic.outboundPortExclusionList",
        "certificate.serviceCertValidityDuration",
        "sidecar.logLevel",
        "sidecar.maxDataPlaneConnections",
        "sidecar.tlsMinProtocolVersion",
        "sidecar.tlsMaxProtocolVersion",
        "sidecar.cipherSuites",
        "sidecar.ecdhCurves",
        "traffic.inboundExternalAuthorization.enable",
        "traffic.inboundExternalAuthorization.address",
        "traffic.inboundExternalAuthorization.port",
        "traffic.inboundExternalAuthorization.statPrefix",
        "traffic.inboundExternalAuthorization.timeout",
        "traffic.inboundExternalAuthorization.failureModeAllow",
        "observability.osmLogLevel",
        "observability.tracing.enable",
        "observability.tracing.address",
        "observability.tracing.port",
        "observability.tracing.endpoint",
        "featureFlags.enableRetryPolicy",
    }
)


def is_the_meshs(obj: Object) -> bool:
    """Whether this MeshConfig is the one that counts; there is one for each mesh."""
    return (namespace_of(obj), obj["metadata"].get("name")) == (NAMESPACE, NAME)


def read(obj: Object, known: Objects) -> Facts:
    """The settings of the mesh's own MeshConfig; what it leaves out keeps its default."""
    del known
    return Facts(settings=_settings(obj)) if is_the_meshs(obj) else Facts()


def settings_in(known: Objects) -> Settings:
    """What the mesh's own MeshConfig says, if it is there and sound."""
    obj = known.get(KIND.kind, NAMESPACE, NAME)
    if obj is None:
        return Settings()
    report = Report(obj)
    validate(obj, known, report)
    return Settings() if report.refused else _settings(obj)


def _settings(obj: Object) -> Settings:
    spec = obj.get("spec", {})
    sidecar, traffic, observability, certificate = (
        spec.get(part, {}) for part in ("sidecar", "traffic", "observability", "certificate")
    )
    default = Settings()
    return Settings(
        permissive=traffic.get("enablePermissiveTrafficPolicyMode", default.permissive),
        egress=traffic.get("enableEgress", default.egress),
        certificate_validity=_validity(certificate) or default.certificate_validity,
        proxy_log_level=sidecar.get("logLevel", default.proxy_log_level),
        proxy_resources=sidecar.get("resources"),
        exclusions=_exclusions(traffic),
        log_level=observability.get("osmLogLevel", default.log_level),
        proxies=mesh_config_proxies.read(spec),
        most_proxies=sidecar.get("maxDataPlaneConnections", default.most_proxies),
        retries=spec.get("featureFlags", {}).get("enableRetryPolicy", default.retries),
    )


def validate(obj: Object, known: Objects, report: Report) -> None:
    """It is the mesh's own, its durations are durations, and the person knows what has no effect here."""
    del known
    if not check_shape(obj, CRD, report):
        return
    if not is_the_meshs(obj):
        what = "meshlab reads no other MeshConfig than its own"
        report.warning("ML270", "metadata.name", what, f"edit {NAME} in namespace {NAMESPACE}")
    spec = obj.get("spec", {})
    certificate = spec.get("certificate", {})
    if "serviceCertValidityDuration" in certificate and _validity(certificate) is None:
        text = certificate["serviceCertValidityDuration"]
        what = f"{text!r} is not a duration of a minute or more, so the default is taken"
        report.warning("ML272", "spec.certificate.serviceCertValidityDuration", what, "write it as in 24h or 1h30m")
    traffic = spec.get("traffic", {})
    for field in ("outboundIPRangeExclusionList", "outboundIPRangeInclusionList"):
        for text in traffic.get(field, ()):
            if not _is_range(text):
                report.error("ML273", f"spec.traffic.{field}", f"{text!r} is not a range of addresses", _RANGE)
    mesh_config_proxies.validate(spec, report)
    _check_resources(spec.get("sidecar", {}).get("resources", {}), report)
    for field in _leaves(spec):
        if field not in _ACTED_ON and not field.startswith("sidecar.resources."):
            report.warning("ML271", f"spec.{field}", "OSM's setting is accepted but changes nothing", "remove it")


def _exclusions(traffic: dict[str, Any]) -> Exclusions:
    return Exclusions(
        inbound_ports=tuple(traffic.get("inboundPortExclusionList", ())),
        outbound_ports=tuple(traffic.get("outboundPortExclusionList", ())),
        outbound_ranges=tuple(traffic.get("outboundIPRangeExclusionList", ())),
        only_ranges=tuple(traffic.get("outboundIPRangeInclusionList", ())),
        interfaces=tuple(traffic.get("networkInterfaceExclusionList", ())),
    )


def _check_resources(resources: dict[str, Any], report: Report) -> None:
    """No pod could be created with a sidecar whose resources are none."""
    for part, amounts in resources.items():
        sound = isinstance(amounts, dict) and all(_QUANTITY.fullmatch(str(amount)) for amount in amounts.values())
        if part not in {"requests", "limits"} or not sound:
            cure = "write requests and limits as in a pod: {cpu: 100m, memory: 64Mi}"
            report.error("ML319", f"spec.sidecar.resources.{part}", "no pod could have these resources", cure)


def _is_range(text: str) -> bool:
    try:
        IPv4Network(text)
    except ValueError:
        return False
    return True


def _validity(certificate: dict[str, Any]) -> timedelta | None:
    validity = duration(certificate.get("serviceCertValidityDuration", ""))
    return validity if validity and validity >= _SHORTEST_CERTIFICATE else None


def _leaves(value: Any, path: str = "") -> Iterator[str]:
    """The path of every value, and of every list as one."""
    if isinstance(value, dict):
        for name, part in value.items():
            yield from _leaves(part, f"{path}.{name}" if path else name)
    else:
        yield path
